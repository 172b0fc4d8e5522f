"""Routes of products: list and search, read, create, change, remove, many at once."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Query, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from livecart.catalog.api.answers.products import ProductAnswer, ProductPage, UpsertedAnswer
from livecart.catalog.api.bodies import MOST_PRODUCTS, BulkBody, CreateBody, PatchBody, UpsertBody
from livecart.catalog.api.faults import Refused
from livecart.catalog.api.operations import (
    MIB,
    Cursor,
    IfMatch,
    Limit,
    RawBody,
    Room,
    SkuPath,
    Writer,
    Writing,
    expected_version,
    json_reply,
    reads,
    versioned_reply,
    writes,
)
from livecart.catalog.records import bulk, products
from livecart.catalog.records.search import search
from livecart.catalog.service import CatalogService
from livecart.catalog.values import Product

_BULK = TypeAdapter(BulkBody)
_LINE = TypeAdapter(UpsertBody)
_MOST_BULK_BYTES = 16 * MIB
_NDJSON = "application/x-ndjson"
#: Written out: an operation's own description cannot name a component.
_LIST = {
    "type": "array",
    "minItems": 1,
    "maxItems": MOST_PRODUCTS,
    "items": UpsertBody.model_json_schema(),
}
_BULK_REQUEST = {
    "requestBody": {
        "required": True,
        "description": f"At most {MOST_PRODUCTS} products: one JSON object, or one product a line as {_NDJSON}.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"products": _LIST},
                    "required": ["products"],
                    "additionalProperties": False,
                },
                "example": {"products": [{"sku": "1001", "stock": 12}]},
            }
        },
    }
}


def add_products(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/products`."""
    store = service.store

    @router.get("/products", response_model=ProductPage, **reads())
    def list_products(  # noqa: PLR0917  FastAPI gives them by name
        q: Annotated[
            str,
            Query(max_length=200, description="Words of sku, name, brand or packaging.", examples=["螺蛳粉"]),
        ] = "",
        room: Room = None,
        brand: Annotated[str | None, Query(max_length=128, description="Only this brand.")] = None,
        on_sale: Annotated[bool | None, Query(description="Only what is on sale, or is not.")] = None,
        in_stock: Annotated[bool | None, Query(description="Only what is not sold out, or is.")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """Products in the order they were added; with `q` those that hold all its words, an exact sku first."""
        with store.read() as session:
            page = search(
                session, q, room=room, brand=brand, on_sale=on_sale, in_stock=in_stock, cursor=cursor, limit=limit
            )
        return json_reply(page)

    @router.post("/products", status_code=201, response_model=ProductAnswer, **writes())
    def create_product(body: CreateBody, caller: Writing) -> Response:
        """Add a product. 409: the sku is taken; the answer holds who has it."""
        patch = body.patch(body.sku)
        return writer.run(caller, lambda session: _created(products.create(session, patch)))

    @router.post(
        "/products/bulk",
        response_model=UpsertedAnswer,
        **writes(most_bytes=_MOST_BULK_BYTES, openapi_extra=_BULK_REQUEST),
    )
    def upsert_products(raw: RawBody, caller: Writing) -> Response:
        """Create or change many products in one transaction: all of them, or none."""
        patches = [body.patch(body.sku) for body in _bulk(raw)]
        return writer.run(caller, lambda session: json_reply(bulk.upsert(session, patches)))

    # After those whose path says more: a sku may hold a slash.
    @router.get("/products/{sku:path}", response_model=ProductAnswer, **reads())
    def read_product(sku: SkuPath) -> Response:
        """A product; its version stands in `version` and as ETag."""
        with store.read() as session:
            return product_reply(products.get(session, sku))

    @router.patch("/products/{sku:path}", response_model=ProductAnswer, **writes(versioned=True))
    def change_product(sku: SkuPath, body: PatchBody, caller: Writing, if_match: IfMatch = None) -> Response:
        """Change the fields that are given. Off sale is `on_sale: false`: it stays known, and is not shown."""
        version = expected_version(if_match)
        patch = body.patch(sku)

        def change(session: Session) -> Response:
            return product_reply(products.update(session, patch, expected_version=version))

        return writer.run(caller, change)

    @router.delete("/products/{sku:path}", status_code=204, response_model=None, **writes(versioned=True))
    def remove_product(sku: SkuPath, caller: Writing, if_match: IfMatch = None) -> Response:
        """Take a product and its photos out of the catalog. Cards shown keep what they held."""
        version = expected_version(if_match)

        def remove(session: Session) -> Response:
            products.remove(session, sku, expected_version=version)
            return Response(status_code=204)

        return writer.run(caller, remove)


def product_reply(product: Product, status: int = 200, **headers: str) -> Response:
    """A product with its version as ETag."""
    return versioned_reply(product, product.version, status, **headers)


def _created(product: Product) -> Response:
    return product_reply(product, 201, Location=f"products/{quote(product.sku, safe='')}")


def _bulk(raw: bytes) -> list[UpsertBody]:
    """Of JSON, or of lines of JSON: by what the first line is, since both begin with a brace.

    Raises:
        RequestValidationError: naming the product and the field.
        Refused: more products than one request may have.
    """
    first, newline, rest = raw.strip().partition(b"\n")
    try:
        if newline and rest and _is_line(first):
            lines = [line for line in raw.splitlines() if line.strip()]
            if len(lines) > MOST_PRODUCTS:
                raise Refused(422, "bad_request", f"{len(lines)} products in one request, more than {MOST_PRODUCTS}")
            return [_line(number, line) for number, line in enumerate(lines, 1)]
        return _BULK.validate_json(raw).products
    except ValidationError as error:
        raise _named(error, "body") from error


def _is_line(first: bytes) -> bool:
    if not first.rstrip().endswith(b"}"):
        return False
    try:
        found = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A line that is no JSON: told with its number.
        return True
    return not (isinstance(found, dict) and "products" in found)


def _line(number: int, line: bytes) -> UpsertBody:
    try:
        return _LINE.validate_json(line)
    except ValidationError as error:
        raise _named(error, "body", f"line {number}") from error


def _named(error: ValidationError, *where: str) -> RequestValidationError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return RequestValidationError([{**first, "loc": (*where, *first["loc"])}])
