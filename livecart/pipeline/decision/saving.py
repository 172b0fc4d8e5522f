"""Between a room's working parts and its state.RoomState."""

from __future__ import annotations

import math

from livecart.pipeline.decision.cards import FrameStamp, LiveCard
from livecart.pipeline.decision.host import HostControl
from livecart.pipeline.decision.settings import DecisionSettings
from livecart.pipeline.decision.state import CardState, ProductState, RoomState
from livecart.pipeline.decision.stream_clock import StreamClock
from livecart.pipeline.decision.track import TrackedProduct
from livecart.pipeline.decision.tracker import Tracker
from livecart.pipeline.decision.vote import Ballot


def room_state(
    room: str,
    *,
    last_event_id: int,
    heard_at_s: float,
    clock: StreamClock,
    frame: FrameStamp,
    tracker: Tracker,
    host: HostControl,
) -> RoomState:
    """What of a room survives a restart."""
    return RoomState(
        room=room,
        last_event_id=last_event_id,
        heard_at_s=heard_at_s,
        now_s=clock.now_s,
        pts_s=clock.pts_s,
        captured_at_s=clock.captured_at_s,
        frame_width_px=frame.width_px,
        frame_height_px=frame.height_px,
        products=[_product_state(product) for product in tracker.products.values()],
        pinned=host.pinned,
        # JSON knows no infinity.
        muted_until_s={sku: None if math.isinf(until_s) else until_s for sku, until_s in host.muted_until_s.items()},
        listed=None if host.listed is None else sorted(host.listed),
    )


def tracked_product(saved: ProductState, settings: DecisionSettings) -> TrackedProduct:
    """The product as it was. Not in the last look: the picture that it was seen in is not the one to come."""
    card = saved.card
    return TrackedProduct(
        candidate=saved.candidate,
        ballot=Ballot(settings),
        last_seen_s=saved.last_seen_s,
        in_sight_since_s=saved.in_sight_since_s,
        box=saved.box,
        missed_looks=max(saved.missed_looks, 1),
        prominence=saved.prominence,
        announced_at_s=saved.announced_at_s,
        card=None if card is None else LiveCard(card.card_id, card.confidence, card.sent_box, card.sent_at_s),
    )


def _product_state(product: TrackedProduct) -> ProductState:
    card = product.card
    return ProductState(
        candidate=product.candidate,
        last_seen_s=product.last_seen_s,
        in_sight_since_s=product.in_sight_since_s,
        box=product.box,
        missed_looks=product.missed_looks,
        prominence=product.prominence,
        announced_at_s=product.announced_at_s,
        card=None
        if card is None
        else CardState(
            card_id=card.card_id, confidence=card.confidence, sent_box=card.sent_box, sent_at_s=card.sent_at_s
        ),
    )
