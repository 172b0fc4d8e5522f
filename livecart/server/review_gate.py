"""Chooses the reports and uncertain decisions that people review. Each viewer counts once, nobody floods the queue."""

from typing import ClassVar, Literal, TypeAlias

import msgspec
from cachetools import LRUCache

from livecart.core.rate_limits import TokenBuckets
from livecart.core.settings import Bounds, check_bounds

_HOUR_S = 3600.0
#: Cards whose reporters are remembered, and reporters of one card.
_MOST_CARDS = 5000
_MOST_REPORTERS = 1000
#: `submit`: its crop goes to the review queue; `more`: it is there, this is one report more; `repeated`: this viewer
#: said so before; `few`: not enough viewers yet; `limited`: too much of it this hour.
Verdict: TypeAlias = Literal["submit", "more", "repeated", "few", "limited"]


class FeedbackSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of what viewers' reports cause. Viewers are told apart by their network."""

    BOUNDS: ClassVar[Bounds] = {
        "wrong_viewers": (1, 1000),
        "reports_per_viewer_hour": (1, 1000),
        "crops_per_product_hour": (1, 1000),
        "uncertain_per_product_hour": (0, 1000),
        "crops_per_room_hour": (1, 10_000),
        "most_waiting_events": (100, 1_000_000),
    }

    #: Viewers that must call a card wrong before its crop is reviewed.
    wrong_viewers: int = 1
    #: Cards that one viewer's reports count for in an hour; later ones are counted, and cause nothing.
    reports_per_viewer_hour: int = 10
    #: Crops of one product in one room that reports bring into the queue in an hour.
    crops_per_product_hour: int = 6
    #: The same, of decisions that were not sure; 0: none.
    uncertain_per_product_hour: int = 2
    #: All crops of one room in an hour.
    crops_per_room_hour: int = 60
    #: Events that wait for the database; more are not acknowledged, so that viewers send them again.
    most_waiting_events: int = 10_000

    def __post_init__(self) -> None:
        check_bounds(self, "feedback.{name} is {value}; it must be {lowest} to {highest}")


class ReviewGate:
    """Decides for each report and each uncertain crop. One event loop's; what it remembers is bounded."""

    def __init__(self, settings: FeedbackSettings) -> None:
        self._wrong_viewers = settings.wrong_viewers
        self._by_viewer = _hourly(settings.reports_per_viewer_hour)
        self._by_product = _hourly(settings.crops_per_product_hour)
        self._uncertain = _hourly(settings.uncertain_per_product_hour)
        self._by_room = _hourly(settings.crops_per_room_hour)
        self._reporters: LRUCache[str, set[str]] = LRUCache(_MOST_CARDS)

    def reported(self, *, card_id: str, room: str, sku: str, source: str) -> Verdict:
        """A viewer of the network `source` called a card wrong."""
        reporters = self._reporters.setdefault(card_id, set())
        if source in reporters or len(reporters) >= _MOST_REPORTERS:
            return "repeated"
        if not self._by_viewer.take(source):
            return "limited"
        reporters.add(source)
        if len(reporters) < self._wrong_viewers:
            return "few"
        if len(reporters) > self._wrong_viewers:
            return "more"
        return "submit" if self._room_for(self._by_product, room, sku) else "limited"

    def uncertain(self, *, room: str, sku: str) -> Verdict:
        """A decision was not sure."""
        return "submit" if self._room_for(self._uncertain, room, sku) else "limited"

    def _room_for(self, by_product: TokenBuckets, room: str, sku: str) -> bool:
        return by_product.take(f"{room}\n{sku}") and self._by_room.take(room)


def _hourly(count: int) -> TokenBuckets:
    return TokenBuckets(count, count / _HOUR_S)
