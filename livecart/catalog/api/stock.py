"""Routes of stock: may a card be shown now; how many are left."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from livecart.catalog.api.answers.products import ConfirmationsAnswer, ProductAnswer
from livecart.catalog.api.bodies import ConfirmBody, StockBody
from livecart.catalog.api.operations import (
    KIB,
    IfMatch,
    SkuPath,
    Writer,
    Writing,
    expected_version,
    json_reply,
    reads,
    writes,
)
from livecart.catalog.api.products import product_reply
from livecart.catalog.api.route import MOST_BYTES
from livecart.catalog.records import products
from livecart.catalog.service import CatalogService
from livecart.catalog.stock.entry import Confirmed
from livecart.catalog.values import ProductPatch

_CONFIRM_BYTES = 256 * KIB


def add_stock(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/stock`."""
    cache = service.cache

    @router.post(
        "/stock/confirm",
        response_model=ConfirmationsAnswer,
        **reads(openapi_extra={MOST_BYTES: _CONFIRM_BYTES}),
    )
    def confirm(body: ConfirmBody) -> Response:
        """Which of these products a card may be shown for now, with link, price and stock of that moment."""
        found = {sku: cache.check(sku) for sku in dict.fromkeys(body.skus)}
        confirmed = [answer for answer in found.values() if isinstance(answer, Confirmed)]
        refused = {sku: answer for sku, answer in found.items() if not isinstance(answer, Confirmed)}
        return json_reply({"confirmed": confirmed, "refused": refused})

    @router.put("/stock/{sku:path}", response_model=ProductAnswer, **writes())
    def set_stock(sku: SkuPath, body: StockBody, caller: Writing, if_match: IfMatch = None) -> Response:
        """Say how many there are. A till counts, whatever else was edited: If-Match may be left out."""
        version = expected_version(if_match, required=False)

        def change(session: Session) -> Response:
            patch = ProductPatch(sku=sku, stock=body.stock)
            return product_reply(products.update(session, patch, expected_version=version))

        return writer.run(caller, change)
