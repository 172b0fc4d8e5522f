"""Card events: what goes over the bus, to viewers, and out of `livecart watch --json`. docs/events.md describes them.

The order of the fields is the order of the keys.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from contract.boxes import BoxXyxyPx

#: Why a card is withdrawn; docs/events.md says what each means.
WithdrawReason = Literal["gone", "replaced", "muted", "stream_lost", "room_closed", "off_sale", "host"]


#: Lower case, such as "douyin", "taobao", "wechat".
PLATFORM = "^[a-z][a-z0-9_-]{0,31}$"
#: Text: many have more digits than a JavaScript number keeps.
PLATFORM_ID = "^[!-~]{1,64}$"
HIGHEST_SLOT = 9999


class PlatformOffer(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """The product as one platform sells it."""

    platform: Annotated[str, Meta(pattern=PLATFORM, description='Such as "douyin", "taobao", "wechat".')]
    item_id: Annotated[str, Meta(pattern=PLATFORM_ID)]
    sku_id: Annotated[str, Meta(pattern=PLATFORM_ID)] | None = None
    url: Annotated[str, Meta(description="Always https.")]
    slot: Annotated[int, Meta(ge=1, le=HIGHEST_SLOT, description="Its number in the room's list there.")] | None = None


class Selling(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """What a card says beside the price, all of it only where the catalog says so."""

    usual_price: Annotated[str | None, Meta(description="Before and after the sale that `price` is of.")] = None
    sale_ends_at_s: Annotated[float | None, Meta(description="UNIX time from which `usual_price` counts.")] = None
    stock_left: Annotated[int, Meta(ge=1, description="Only where it is counted and low.")] | None = None
    coupon: Annotated[str, Meta(max_length=40)] | None = None
    limit_per_buyer: Annotated[int, Meta(ge=1)] | None = None


class CardEvent(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """`card` shows a product, `update` moves its box, `withdraw` takes it away; the three have the same `card_id`.

    `box` and `avoid` are in pixels of a picture `frame_width` x `frame_height`; `captured_at_s`, `decided_at_s` and
    `emitted_at_s` are UNIX time.
    """

    event: Literal["card", "update", "withdraw"]
    event_id: Annotated[int, Meta(description="Grows by one in each room, from 1, so that a viewer can resume.")]
    card_id: str
    room: str
    sku: str
    name: str
    url: Annotated[str, Meta(description="Always https.")]
    price: Annotated[str | None, Meta(description='Decimal as text, such as "12.90".')]
    currency: str | None
    confidence: float
    box: Annotated[BoxXyxyPx | None, Meta(description="Null where the product is not in the picture.")]
    frame_width: int
    frame_height: int
    pts_s: Annotated[float, Meta(description="Presentation time of the frame that decided, seconds of the stream.")]
    captured_at_s: Annotated[float, Meta(description="When that frame was captured.")]
    decided_at_s: float
    emitted_at_s: Annotated[float, Meta(description="When the event was handed to the bus.")]
    avoid: Annotated[
        tuple[BoxXyxyPx, ...] | None,
        Meta(description="Faces that a card must not cover; null: nobody looked for them, what was said before holds."),
    ] = None
    image_url: Annotated[str | None, Meta(description="The product's picture: https, or a path of the hub.")] = None
    offers: Annotated[tuple[PlatformOffer, ...], Meta(description="Where else it is sold: one a platform.")] = ()
    is_from_price: Annotated[bool, Meta(description="Variants of it cost more: a card reads ¥59 起, from ¥59.")] = False
    selling: Annotated[Selling | None, Meta(description="Sale, stock left, coupon, limit; null: none of them.")] = None
    reason: Annotated[str | None, Meta(description="Of a withdraw only: why, one of docs/events.md.")] = None
    schema: Literal[1] = 1


class CardClosed(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A card after its withdrawal: what the webhook `card.closed` tells. Times are UNIX time."""

    card_id: str
    room: str
    sku: str
    name: str
    url: str
    price: str | None
    currency: str | None
    offers: tuple[PlatformOffer, ...]
    shown_at_s: Annotated[float | None, Meta(description="Null: the catalog kept no card.")]
    withdrawn_at_s: float
    reason: str | None
    impressions: Annotated[int, Meta(description="Viewers who saw it.")]
    clicks: Annotated[int, Meta(description="Viewers who followed its link.")]
    is_from_price: Annotated[bool, Meta(description="As of the card.")] = False
