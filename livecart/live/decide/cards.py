"""Writes a room's events and numbers them."""

import uuid
from dataclasses import dataclass
from typing import Literal

from contract.card import CardEvent, WithdrawReason
from livecart.core.types import Detection, ShareBox
from livecart.live.decide.boxes import moved_share, to_pixels
from livecart.live.decide.settings import DecisionSettings


@dataclass(slots=True)
class LiveCard:
    """A card that viewers see now, as last sent. `sent_at_s` is the room's time."""

    card_id: str
    confidence: float
    sent_box: ShareBox | None
    sent_at_s: float


@dataclass(frozen=True, slots=True)
class FrameStamp:
    """Of the newest frame that has a result. Size 0 by 0: none has."""

    pts_s: float
    captured_at_s: float
    width_px: int
    height_px: int


class CardWriter:
    """Makes events of one room. `last_event_id` is that of the event made last, 0 before the first."""

    def __init__(self, room: str, last_event_id: int) -> None:
        self._room = room
        self.last_event_id = last_event_id

    def card(self, detection: Detection, confidence: float, box: ShareBox | None, now_s: float) -> LiveCard:
        """A new live card; `now_s` is the room's time."""
        return LiveCard(uuid.uuid4().hex, round(confidence, 4), box, now_s)

    def write(
        self,
        event: Literal["card", "update", "withdraw"],
        detection: Detection,
        card: LiveCard,
        *,
        frame: FrameStamp,
        decided_at_s: float,
        reason: WithdrawReason | None = None,
    ) -> CardEvent:
        """The next event. `emitted_at_s` is the time of decision until who publishes it writes the right one."""
        self.last_event_id += 1
        return CardEvent(
            event=event,
            event_id=self.last_event_id,
            card_id=card.card_id,
            room=self._room,
            sku=detection.sku,
            name=detection.name,
            url=detection.url,
            price=detection.price,
            currency=detection.currency,
            confidence=card.confidence,
            box=to_pixels(card.sent_box, frame.width_px, frame.height_px),
            frame_width=frame.width_px,
            frame_height=frame.height_px,
            pts_s=frame.pts_s,
            captured_at_s=frame.captured_at_s,
            decided_at_s=decided_at_s,
            emitted_at_s=decided_at_s,
            image_url=detection.image_url,
            offers=detection.offers,
            is_from_price=detection.is_from_price,
            selling=detection.selling,
            reason=reason,
        )


def update_due(card: LiveCard, box: ShareBox | None, now_s: float, settings: DecisionSettings) -> bool:
    """True where viewers need an update of the box; `now_s` is the room's time."""
    quiet_s = now_s - card.sent_at_s
    if quiet_s < settings.update_min_interval_s:
        return False
    return quiet_s >= settings.update_every_s or moved_share(card.sent_box, box) > settings.update_moved_share
