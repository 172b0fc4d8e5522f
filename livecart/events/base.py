"""The promises of every bus."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import msgspec

from contract.card import CardEvent


@dataclass(frozen=True, slots=True)
class Gap:
    """Stands in a subscriber's stream where events are missing; `Bus.latest` says what is shown now.

    `room` is None where events of several rooms may be missing. `missed` is 0 where nobody knows how many: the bus
    was away, or the room began to number its events anew.
    """

    room: str | None
    missed: int


BusItem: TypeAlias = CardEvent | Gap


@dataclass(slots=True)
class BusStats:
    """Counters since the bus was opened, and one gauge."""

    #: Events that are on the bus.
    published: int = 0
    #: Published events that were on it already.
    duplicates: int = 0
    #: Events that never got onto it: the outbox was full, or the bus was closed while it was away.
    dropped: int = 0
    #: Gauge: events that wait in the outbox.
    queued: int = 0
    #: Times that the bus was found away, by who publishes and by who reads.
    publish_failures: int = 0
    read_failures: int = 0
    #: Events that subscribers did not get because their queues were full.
    subscriber_dropped: int = 0
    #: Entries on the bus that are no events.
    unreadable: int = 0
    #: Gauge: open subscriptions.
    subscribers: int = 0


class Bus(Protocol):
    """Carries the events of all rooms, each room's in order and once. To be used in one event loop."""

    stats: BusStats

    async def publish(self, event: CardEvent) -> None:
        """Hand an event over. Never waits for a subscriber or a server.

        An event that is on the bus already is not sent again. A room whose `event_id` falls back began anew; its
        subscribers get a `Gap` first.
        """

    def subscribe(
        self, room: str | None = None, after_event_id: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[BusItem]]:
        """Events of a room, or of all, from now on; or of a room those after an id, as far as they are kept.

        The iterator ends when the bus is closed. A subscriber that is too slow loses its oldest events and gets a
        `Gap` in their place. For a viewer that comes late: subscribe first, then take `latest`, then leave out what
        has no greater `event_id`.

        Raises:
            ValueError: `after_event_id` without a room, or below 0.
            BusError: the bus is closed.
        """

    async def latest(self, room: str) -> list[CardEvent]:
        """The cards that the room shows now, as `card` events with what the newest `update` said, oldest first."""

    async def last_event_id(self, room: str) -> int:
        """Id of the room's newest event on the bus; 0 where there is none."""

    async def close(self) -> None:
        """Send what waits, for a moment; end every subscription; let go of connections. May be called again."""


def check_after(room: str | None, after_event_id: int | None) -> None:
    if after_event_id is not None and (room is None or after_event_id < 0):
        raise ValueError(f"after_event_id {after_event_id} needs a room, and to be 0 or more; ids are each room's own")


class CurrentCards:
    """The cards that each room shows now, from its events."""

    def __init__(self) -> None:
        self._cards: dict[str, dict[str, CardEvent]] = {}

    def apply(self, event: CardEvent) -> CardEvent | None:
        """Take in one event; the card as a late viewer is to get it, or None where it was withdrawn."""
        cards = self._cards.setdefault(event.room, {})
        cards.pop(event.card_id, None)
        if event.event == "withdraw":
            if not cards:
                del self._cards[event.room]
            return None
        cards[event.card_id] = msgspec.structs.replace(event, event="card")
        return cards[event.card_id]

    def of(self, room: str) -> list[CardEvent]:
        """The room's cards in the order of their events."""
        return sorted(self._cards.get(room, {}).values(), key=lambda card: card.event_id)

    def rooms(self) -> list[str]:
        return list(self._cards)
