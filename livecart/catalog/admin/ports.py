"""What the pages need of the rest of livecart; `livecart.app` puts the implementations in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from livecart.types import Look, RoomView

#: Shows the recogniser an encoded photo (JPEG, PNG or WebP), its print read, and products asked for far below their
#: thresholds, so that the nearest others are in the answer. Boxes are in pixels of the photo as displayed. Raises
#: RecognizerBusy or RecognizerError.
See: TypeAlias = Callable[[bytes], Awaitable[Look]]


class LiveRooms(Protocol):
    """The rooms on air. Methods that give None know no such room. Called in the event loop; none of them blocks."""

    def views(self) -> Sequence[RoomView]:
        """All rooms, by id, with the skus of the cards that viewers see now."""

    def pin(self, room: str, sku: str) -> RoomView | None:
        """Show a product until it is unpinned.

        Raises:
            SettingsError: it is not on the room's own list.
        """

    def unpin(self, room: str) -> RoomView | None:
        """End that."""

    def mute(self, room: str, sku: str, for_s: float | None) -> RoomView | None:
        """Do not show a product for so many seconds, None: until unmuted."""

    def unmute(self, room: str, sku: str) -> RoomView | None:
        """End a mute."""

    def withdraw(self, room: str, sku: str) -> RoomView | None:
        """Take a product's card away."""
