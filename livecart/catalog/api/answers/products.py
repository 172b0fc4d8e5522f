"""Products, their photos, their rooms, and which may be shown now."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from livecart.catalog.api.answers.base import Answer, Count, Digest, Link, Money, RoomName, Seconds, Sku, Text


class PhotoAnswer(Answer):
    """A photo of a product."""

    digest: Digest
    kind: Literal["jpeg", "png", "webp"]
    name: Annotated[str, Field(examples=["front.jpg"])]
    width_px: Annotated[int, Field(ge=1, examples=[800])]
    height_px: Annotated[int, Field(ge=1, examples=[800])]
    size_bytes: Annotated[int, Field(ge=1, examples=[81_234])]


class ProductAnswer(Answer):
    """A product as it stands."""

    sku: Sku
    name: Text
    url: Link
    brand: Annotated[str | None, Field(examples=["好欢螺"])]
    words: Annotated[list[str], Field(description="Print on the packaging.", examples=[["螺蛳粉", "柳州"]])]
    labels: Annotated[list[str], Field(description="Labels of the classifier.", examples=[["螺蛳粉"]])]
    price: Money | None
    currency: Annotated[str | None, Field(examples=["CNY"])]
    stock: Annotated[int | None, Field(description="null: not counted.", examples=[40])]
    on_sale: bool
    threshold: Annotated[float | None, Field(description="Confidence from which it is shown; null: the usual one.")]
    rooms: Annotated[list[str] | None, Field(description="null: in every room.")]
    photos: list[PhotoAnswer]
    source: Annotated[str | None, Field(description="The feed that owns it; null: staff.")]
    version: Annotated[int, Field(ge=1, description="Grows with each change.", examples=[3])]
    updated_at_s: Seconds


class ProductPage(Answer):
    """Some products, and where the next ones start."""

    products: list[ProductAnswer]
    next_cursor: Annotated[int | None, Field(description="null: these were the last.", examples=[50])]


class UpsertedAnswer(Answer):
    """How many products were created, changed, and as they were to be."""

    created: Count
    changed: Count
    unchanged: Count


class PhotosAnswer(Answer):
    """A product's photos in their order."""

    photos: list[PhotoAnswer]


class NegativeAnswer(Answer):
    """A photo of what was taken for a product and is not it."""

    digest: Digest
    kind: Literal["jpeg", "png", "webp"]
    created_at_s: Seconds


class NegativesAnswer(Answer):
    """What a product is not, newest first."""

    negatives: list[NegativeAnswer]


class RoomAnswer(Answer):
    """A room. `listed`: products that are only for certain rooms, this one among them."""

    name: RoomName
    title: Annotated[str, Field(examples=["零食专场"])]
    version: Annotated[int, Field(ge=1, examples=[1])]
    listed: Count


class RoomsAnswer(Answer):
    """All rooms, by name."""

    rooms: list[RoomAnswer]


class SkusAnswer(Answer):
    """Products by sku."""

    skus: Annotated[list[str], Field(examples=[["1001", "1002"]])]


class ConfirmedAnswer(Answer):
    """A product for which a card may be shown now."""

    sku: Sku
    name: Text
    url: Link
    price: Money | None
    currency: Annotated[str | None, Field(examples=["CNY"])]
    stock: Annotated[int | None, Field(examples=[40])]
    version: Annotated[int, Field(examples=[3])]
    confirmed_at_s: Seconds


class ConfirmationsAnswer(Answer):
    """Which may be shown, and why the others may not."""

    confirmed: list[ConfirmedAnswer]
    refused: Annotated[
        dict[str, Literal["unknown", "off_sale", "sold_out", "link", "not_known"]],
        Field(description="By sku. `not_known`: the database is away, and nothing fresh enough is known."),
    ]
