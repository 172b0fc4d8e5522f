"""What the API answers, as OpenAPI describes it. The bytes themselves are made by msgspec from the records."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Money = Annotated[str, Field(description="An exact decimal, as it was written.", examples=["12.90"])]
Seconds = Annotated[float, Field(description="UNIX time in seconds.", examples=[1_760_000_000.0])]
Digest = Annotated[str, Field(description="SHA-256 of the file, in hex.", examples=["e3b0c44298fc1c14" * 4])]
Sku = Annotated[str, Field(examples=["1001"])]
Text = Annotated[str, Field(examples=["好欢螺螺蛳粉 300g"])]
Count = Annotated[int, Field(ge=0, examples=[1])]
RoomName = Annotated[str, Field(examples=["room-1"])]
Link = Annotated[str, Field(examples=["https://shop.example.com/item/1001"])]


class Answer(BaseModel):
    """Exactly these fields."""

    model_config = ConfigDict(extra="forbid")


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: Annotated[str, Field(description="For programs.", examples=["not_found"])]
    message: Annotated[str, Field(description="For people.", examples=["no product has sku '1001'"])]
    field: Annotated[str | None, Field(description="Of `invalid_value`: whose value it is.")] = None


class ErrorAnswer(Answer):
    """Every error, in the form that the recogniser uses too."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    error: ErrorDetail


class ConflictDetail(ErrorDetail):
    """Both values: merge them, and send If-Match with the version of `theirs`."""

    theirs: Annotated[dict[str, Any] | None, Field(description="What stands there now; null: it is gone.")]
    yours: Annotated[dict[str, Any], Field(description="What was to be written.")]


class ConflictAnswer(Answer):
    """Somebody else was first."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    error: ConflictDetail


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


class CardAnswer(Answer):
    """A card as it was shown, with the price and link of that moment."""

    card_id: Annotated[str, Field(examples=["0123456789abcdef"])]
    room: RoomName
    sku: Sku
    name: Text
    url: Link
    price: Money | None
    currency: str | None
    confidence: Annotated[float, Field(examples=[0.97])]
    shown_at_s: Seconds
    withdrawn_at_s: float | None
    reason: Annotated[str | None, Field(description="Why it was withdrawn.")]


class CardPage(Answer):
    """The newest cards first."""

    cards: list[CardAnswer]
    next_cursor: Annotated[str | None, Field(examples=["1760000000.5:0123456789abcdef"])]


class RecordedAnswer(Answer):
    """How many events were kept, were known already, and named no card of ours."""

    kept: Count
    known: Count
    unknown_card: Count


class FigureAnswer(Answer):
    """What viewers did with the cards of one product, or of one room."""

    name: Annotated[str, Field(description="The sku, or the room.", examples=["1001"])]
    cards: Annotated[int, Field(description="How often its card was shown.", examples=[12])]
    impressions: Count
    clicks: Count
    closes: Count
    wrongs: Annotated[int, Field(description='Reports of "not this product".', examples=[0])]
    dwell_s: Annotated[float, Field(description="Seconds on screen, of all viewers together.")]
    click_rate: Annotated[float, Field(description="Clicks per impression.", examples=[0.08])]
    wrong_rate: Annotated[float, Field(description="Reports per impression.", examples=[0.0])]


class FiguresAnswer(Answer):
    """Those with the most cards first."""

    since_s: Seconds
    figures: list[FigureAnswer]


class ReviewAnswer(Answer):
    """A product crop that staff should look at. `sku`: what the recogniser took it for."""

    id: Annotated[int, Field(examples=[7])]
    state: Literal["pending", "approved", "corrected", "rejected"]
    reason: Annotated[str, Field(examples=["low_margin"])]
    room: RoomName
    sku: Sku
    card_id: str | None
    confidence: float | None
    crop_digest: Digest
    crop_kind: Literal["jpeg", "png", "webp"]
    reports: Count
    created_at_s: Seconds
    decided_at_s: float | None
    decided_by: str | None
    corrected_sku: str | None
    version: Annotated[int, Field(examples=[1])]


class ReviewsAnswer(Answer):
    """Oldest first. `pending`: how many wait in all."""

    reviews: list[ReviewAnswer]
    pending: Count
    next_cursor: Annotated[int | None, Field(examples=[7])]


class HostsAnswer(Answer):
    """Hosts that links may lead to."""

    hosts: Annotated[list[str], Field(examples=[["shop.example.com", "*.shop.example.cn"]])]


class RunAnswer(Answer):
    """One reading of a feed."""

    id: int
    source: Annotated[str, Field(examples=["shop"])]
    state: Annotated[str, Field(examples=["done"])]
    started_at_s: Seconds
    finished_at_s: float | None
    fetched: Count
    bad: Count
    created: Count
    changed: Count
    removed: Count
    detail: str | None


class FeedAnswer(Answer):
    """A feed of the settings, and its newest runs."""

    name: Annotated[str, Field(examples=["shop"])]
    every_s: Annotated[float, Field(examples=[300.0])]
    runs: list[RunAnswer]


class FeedsAnswer(Answer):
    """All feeds of the settings."""

    feeds: list[FeedAnswer]


class ChangeAnswer(Answer):
    """The fields of a product that would differ."""

    sku: Sku
    before: Annotated[dict[str, Any], Field(examples=[{"price": "12.90"}])]
    after: Annotated[dict[str, Any], Field(examples=[{"price": "11.90"}])]


class DryRunAnswer(Answer):
    """What a reading would do. Lists end at 1,000 entries, the counts do not."""

    outcome: Annotated[str, Field(description="dry, failed, busy", examples=["dry"])]
    created: Count
    changed: Count
    removed: Count
    bad: Count
    created_skus: list[str]
    changes: list[ChangeAnswer]
    removed_skus: list[str]
    refused: Annotated[str | None, Field(description="Why the guard would change nothing, or the feed failed.")]


class TableAnswer(Answer):
    """What a table did, or of a dry run would do. Lists end at 100 entries, the counts do not."""

    dry_run: bool
    created: Count
    changed: Count
    unchanged: Count
    bad: Count
    changes: list[ChangeAnswer]
    bad_rows: Annotated[list[str], Field(examples=[["products.csv: row 3: price: 'x' is no decimal number"]])]


class TokenAnswer(Answer):
    """A token, without what it is."""

    id: Annotated[int, Field(examples=[3])]
    name: Annotated[str, Field(examples=["till"])]
    role: Literal["read", "edit", "admin"]
    created_at_s: Seconds
    expires_at_s: float | None
    revoked_at_s: float | None


class TokensAnswer(Answer):
    """All tokens ever issued."""

    tokens: list[TokenAnswer]


class IssuedAnswer(Answer):
    """A new token. `token` is shown this once: only its hash is kept."""

    token: Annotated[str, Field(examples=["lc_…"])]
    info: TokenAnswer


class AuditAnswer(Answer):
    """One change: who, when, and the fields that differ."""

    id: Annotated[int, Field(examples=[12])]
    at_s: Seconds
    who: Annotated[str, Field(examples=["till#3"])]
    action: Annotated[str, Field(examples=["update"])]
    subject: Annotated[str, Field(examples=["product"])]
    name: Annotated[str, Field(examples=["1001"])]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditPage(Answer):
    """The newest changes first."""

    entries: list[AuditAnswer]
    next_cursor: Annotated[int | None, Field(examples=[12])]
