"""Routes of products: list and search, read, create, change, remove, many at once; and of their stock."""

from typing import Annotated
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Query, Response
from fastapi.exceptions import RequestValidationError
from msgspec import Meta
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from contract.card import Selling
from livecart.shop.api.error_handlers import Refused
from livecart.shop.api.gate import MOST_BYTES
from livecart.shop.api.openapi import Json
from livecart.shop.api.operations import (
    KIB,
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
    reads,
    writes,
)
from livecart.shop.api.request_schemas import (
    MOST_PRODUCTS,
    BulkBody,
    ConfirmBody,
    CreateBody,
    PatchBody,
    StockBody,
    UpsertBody,
)
from livecart.shop.availability.product import ProductAvailability, Refusal
from livecart.shop.repositories import bulk, products
from livecart.shop.repositories.bulk import Upserted
from livecart.shop.repositories.search import ProductPage, search
from livecart.shop.schemas.product import Link, Price, Product, ProductName, Seconds, Sku
from livecart.shop.service import CatalogService

_BULK = TypeAdapter(BulkBody)
_LINE = TypeAdapter(UpsertBody)
_MOST_BULK_BYTES = 16 * MIB
_CONFIRM_BYTES = 256 * KIB
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


class Confirmed(msgspec.Struct):
    """A product for which a card may be shown now."""

    sku: Sku
    name: ProductName
    url: Link
    price: Price | None
    currency: Annotated[str | None, Meta(examples=["CNY"])]
    is_from_price: Annotated[bool, Meta(description="Variants in stock cost more than `price`.")]
    selling: Annotated[Selling | None, Meta(description="What a card says beside the price, as in card events.")]
    stock: Annotated[int | None, Meta(examples=[40])]
    version: Annotated[int, Meta(examples=[3])]
    confirmed_at_s: Seconds


class Confirmations(msgspec.Struct):
    """The products that may be shown, and why the others may not."""

    confirmed: list[Confirmed]
    refused: Annotated[
        dict[str, Refusal],
        Meta(description="By sku. `not_known`: the database is away, and nothing fresh enough is known."),
    ]


def add_products(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/products`."""
    store = service.store

    @router.get("/products", **reads())
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
    ) -> Json[ProductPage]:
        """Products in the order they were added; with `q` those that hold all its words, an exact sku first."""
        with store.read() as session:
            page = search(
                session, q, room=room, brand=brand, on_sale=on_sale, in_stock=in_stock, cursor=cursor, limit=limit
            )
        return Json(page)

    @router.post("/products", status_code=201, **writes())
    def create_product(body: CreateBody, caller: Writing) -> Json[Product]:
        """Add a product. 409: the sku is taken; the answer holds who has it."""
        patch = body.patch(body.sku)
        return writer.run(caller, lambda session: _created(products.create(session, patch)))

    @router.post(
        "/products/bulk",
        **writes(most_bytes=_MOST_BULK_BYTES, openapi_extra=_BULK_REQUEST),
    )
    def upsert_products(raw: RawBody, caller: Writing) -> Json[Upserted]:
        """Create or change many products in one transaction: all of them, or none."""
        patches = [body.patch(body.sku) for body in _bulk(raw)]
        return writer.run(caller, lambda session: Json(bulk.upsert(session, patches)))

    # After those whose path says more: a sku may hold a slash.
    @router.get("/products/{sku:path}", **reads())
    def read_product(sku: SkuPath) -> Json[Product]:
        """A product; its version stands in `version` and as ETag."""
        with store.read() as session:
            return product_reply(products.get(session, sku))

    @router.patch("/products/{sku:path}", **writes(versioned=True))
    def change_product(sku: SkuPath, body: PatchBody, caller: Writing, if_match: IfMatch = None) -> Json[Product]:
        """Change the fields that are given. Off sale is `on_sale: false`: it stays known, and is not shown."""
        version = expected_version(if_match)
        patch = body.patch(sku)

        def change(session: Session) -> Json[Product]:
            return product_reply(products.update(session, patch, expected_version=version))

        return writer.run(caller, change)

    @router.delete("/products/{sku:path}", status_code=204, **writes(versioned=True))
    def remove_product(sku: SkuPath, caller: Writing, if_match: IfMatch = None) -> Response:
        """Take a product and its photos out of the catalog. Cards shown keep what they held."""
        version = expected_version(if_match)
        return writer.do(caller, lambda session: products.remove(session, sku, expected_version=version))


def add_stock(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/stock`."""
    cache = service.cache

    @router.post("/stock/confirm", **reads(openapi_extra={MOST_BYTES: _CONFIRM_BYTES}))
    def confirm(body: ConfirmBody) -> Json[Confirmations]:
        """The products that a card may be shown for now, with link, price and stock of that moment."""
        found = cache.check(body.skus).values()
        confirmed = [_confirmed(answer) for answer in found if answer.refusal is None]
        refused = {answer.sku: answer.refusal for answer in found if answer.refusal is not None}
        return Json(Confirmations(confirmed, refused))

    @router.put("/stock/{sku:path}", **writes())
    def set_stock(sku: SkuPath, body: StockBody, caller: Writing, if_match: IfMatch = None) -> Json[Product]:
        """Say how many there are. A till counts, whatever else was edited: If-Match may be left out."""
        version = expected_version(if_match, required=False)

        def change(session: Session) -> Json[Product]:
            return product_reply(
                products.set_stock(session, sku, body.stock, variant=body.variant, expected_version=version)
            )

        return writer.run(caller, change)


def product_reply(product: Product, status: int = 200, **headers: str) -> Json[Product]:
    """A product with its version as ETag."""
    return Json.versioned(product, product.version, status, **headers)


def _confirmed(found: ProductAvailability) -> Confirmed:
    values = {name: getattr(found, name) for name in Confirmed.__struct_fields__ if name != "confirmed_at_s"}
    return Confirmed(**values, confirmed_at_s=found.read_at_s)


def _created(product: Product) -> Json[Product]:
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
