"""Where a room's decisions put their events."""

from __future__ import annotations

from typing import Protocol

from livecart.types import CardEvent, Frame


class EventSink(Protocol):
    """Where events go."""

    def put(self, event: CardEvent) -> None:
        """Leave an event; never waits."""


class RoomSink(EventSink, Protocol):
    """Where a room's events go, and the pictures that they are about."""

    def saw_frame(self, frame: Frame) -> None:
        """A frame is about to be decided on without a look; the events that follow are put next."""
