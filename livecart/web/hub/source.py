"""What the hub needs of the bus; `livecart.app` puts it in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from livecart.types import CardEvent


class MissingEvents(Protocol):
    """Stands where events are missing: of one room, or of nobody knows which (None)."""

    @property
    def room(self) -> str | None:
        """Whose events."""


class RoomEvents(Protocol):
    """The part of `livecart.bus.Bus` that the hub reads. Every method raises BusError while the bus is away."""

    def subscribe(
        self, room: str | None = None, after_event_id: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        """`CardEvent` and `MissingEvents`, of a room or of all; ends when the bus is closed."""

    async def latest(self, room: str) -> list[CardEvent]:
        """The cards that the room shows now."""

    async def last_event_id(self, room: str) -> int:
        """Id of the room's newest event, 0 where there is none."""
