"""Bodies as clients send them. Types are strict: "5" is no number, and prices are texts: 12.90 keeps its digits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.card import HIGHEST_SLOT, PLATFORM, PLATFORM_ID, PlatformOffer
from contract.catalog import Variant
from livecart.shop.schemas.money import parse_price
from livecart.shop.schemas.product import COUPON_CHARS, HIGHEST_LIMIT, LATEST_S, MOST_VARIANTS, URL_CHARS, ProductPatch

#: Of one bulk request; more go in several.
MOST_PRODUCTS = 5000
MOST_CONFIRMED = 500
MOST_EVENTS = 500
_HIGHEST_STOCK = 2_000_000_000

SkuText = Annotated[str, Field(min_length=1, max_length=128, examples=["1001"])]
Name = Annotated[str, Field(min_length=1, max_length=255, examples=["好欢螺螺蛳粉 300g"])]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        description="https, to a host on the list of link hosts.",
        examples=["https://shop.example.com/item/1001"],
    ),
]
Words = Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=500, examples=[["螺蛳粉"]])]
Price = Annotated[str, Field(pattern=r"^\d{1,14}(\.\d{1,4})?$", description="A decimal as text.", examples=["12.90"])]
Stock = Annotated[int, Field(ge=0, le=_HIGHEST_STOCK, description="null: not counted.", examples=[40])]
RoomNames = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=500, examples=[["room-1"]])
]
Threshold = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, examples=[0.9])]


class Body(BaseModel):
    """Strict, and without unknown keys: a slip must not pass for a field."""

    model_config = ConfigDict(extra="forbid", strict=True)


class OfferBody(Body):
    """The product as one platform sells it."""

    platform: Annotated[str, Field(pattern=PLATFORM, examples=["douyin"])]
    item_id: Annotated[str, Field(pattern=PLATFORM_ID, examples=["3712345678901234567"])]
    sku_id: Annotated[str | None, Field(pattern=PLATFORM_ID, examples=["1790000000000000001"])] = None
    url: Url
    slot: Annotated[int | None, Field(ge=1, le=HIGHEST_SLOT, description="Its number in the room's list there.")] = None


class VariantBody(Body):
    """One of the forms that the product is sold in."""

    sku: Annotated[str, Field(min_length=1, max_length=128, examples=["1001-RED-M"])]
    name: Annotated[str, Field(min_length=1, max_length=255, examples=["红色 M"])]
    price: Price | None = None
    stock: Stock | None = None
    image_url: Annotated[str | None, Field(max_length=URL_CHARS, description="A picture of it elsewhere.")] = None


def _without_defaults(schema: dict[str, Any]) -> None:
    """Leaves out defaults: a field that is not given stays as it is."""
    for field in schema["properties"].values():
        field.pop("default", None)


class PatchBody(Body):
    """The fields to change; those that are not given stay. null clears a field that may be empty."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    name: Name = ""
    url: Url = ""
    brand: Annotated[str | None, Field(max_length=128, examples=["好欢螺"])] = None
    words: Words = []
    labels: Words = []
    price: Price | None = None
    currency: Annotated[str | None, Field(pattern="^[A-Z]{3}$", examples=["CNY"])] = None
    sale_price: Annotated[Price | None, Field(description="Counts while it is below `price`, until `sale_to_s`.")] = (
        None
    )
    sale_to_s: Annotated[
        float | None, Field(ge=0, le=LATEST_S, allow_inf_nan=False, description="UNIX time at which the sale ends.")
    ] = None
    coupon: Annotated[str | None, Field(max_length=COUPON_CHARS, examples=["满 200 减 20"])] = None
    limit_per_buyer: Annotated[int | None, Field(ge=1, le=HIGHEST_LIMIT, examples=[2])] = None
    stock: Stock | None = None
    on_sale: bool = True
    threshold: Threshold | None = None
    rooms: Annotated[RoomNames | None, Field(description="null: every room; []: none.")] = None
    offers: Annotated[list[OfferBody], Field(max_length=16, description="The same elsewhere, one a platform.")] = []
    variants: Annotated[
        list[VariantBody],
        Field(max_length=MOST_VARIANTS, description="All of them. Price and stock of the product follow from them."),
    ] = []
    image_urls: Annotated[
        list[Annotated[str, Field(max_length=URL_CHARS, examples=["https://cdn.example.com/1001.jpg"])]],
        Field(max_length=50, description="Its pictures elsewhere; the first 8 are fetched as photos."),
    ] = []

    def patch(self, sku: str) -> ProductPatch:
        values = {name: getattr(self, name) for name in self.model_fields_set - {"sku"}}
        for name in ("words", "labels", "rooms", "image_urls"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        if "offers" in values:
            values["offers"] = tuple(PlatformOffer(**offer.model_dump()) for offer in self.offers)
        if "variants" in values:
            values["variants"] = tuple(
                Variant(**each.model_dump() | {"price": each.price and parse_price(each.price)})
                for each in self.variants
            )
        for name in ("price", "sale_price"):
            if values.get(name) is not None:
                values[name] = parse_price(values[name], name)
        return ProductPatch(sku=sku, **values)


class UpsertBody(PatchBody):
    """A product to create or change; a new one needs `name` and `url`."""

    sku: SkuText


class CreateBody(UpsertBody):
    """A new product."""

    name: Name
    url: Url


class BulkBody(Body):
    """Products to create or change: all of them, or none."""

    products: Annotated[list[UpsertBody], Field(min_length=1, max_length=MOST_PRODUCTS)]


class OrderBody(Body):
    """All photos of the product, in the order they are to have."""

    digests: Annotated[
        list[Annotated[str, Field(pattern="^[0-9a-f]{64}$", examples=["e3b0c44298fc1c14" * 4])]], Field(max_length=50)
    ]


class RoomBody(Body):
    """A room."""

    title: Annotated[str, Field(min_length=1, max_length=255, examples=["零食专场"])]


class SkusBody(Body):
    """Products by sku."""

    skus: Annotated[list[SkuText], Field(max_length=MOST_PRODUCTS, examples=[["1001", "1002"]])]


class ConfirmBody(Body):
    """Products to ask about."""

    skus: Annotated[list[SkuText], Field(min_length=1, max_length=MOST_CONFIRMED, examples=[["1001"]])]


class StockBody(Body):
    """The number in stock; null: not counted."""

    stock: Stock | None
    variant: Annotated[SkuText | None, Field(description="Of a product with variants: the one's sku.")] = None


class EventBody(Body):
    """One thing that one viewer did with a card."""

    event_key: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{8,64}$", examples=["5b1c9d20-1"])]
    kind: Literal["impression", "click", "close", "wrong", "dwell"]
    card_id: Annotated[str, Field(min_length=1, max_length=32, examples=["0123456789abcdef"])]
    viewer: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{8,64}$", examples=["viewer-0001"])]
    dwell_s: Annotated[float | None, Field(ge=0, le=86_400, allow_inf_nan=False, description="Of dwell only.")] = None


class EventsBody(Body):
    """A batch; what is sent twice counts once."""

    events: Annotated[list[EventBody], Field(min_length=1, max_length=MOST_EVENTS)]


class DecisionBody(Body):
    """The decision on a crop. approved: its product; corrected: `corrected_sku`; rejected: neither."""

    state: Literal["approved", "corrected", "rejected"]
    version: Annotated[int, Field(ge=1, le=2**31, description="Of the review that was looked at.", examples=[1])]
    corrected_sku: SkuText | None = None


class TokenBody(Body):
    """A token to issue."""

    name: Annotated[str, Field(min_length=1, max_length=128, description="Who holds it.", examples=["till"])]
    role: Literal["read", "edit", "admin"]
    lifetime_s: Annotated[
        float | None, Field(gt=0, le=315_360_000, allow_inf_nan=False, description="null: until it is revoked.")
    ] = None
