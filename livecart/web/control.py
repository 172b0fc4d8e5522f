"""What the HTTP API needs of the rest of livecart; `livecart.app` puts the implementations in."""

from __future__ import annotations

from typing import Protocol

from livecart.settings import RoomSettings
from livecart.types import Candidate, RoomView


class RoomControl(Protocol):
    """The rooms. Methods that give None know no such room."""

    def views(self) -> list[RoomView]:
        """All rooms, by id."""

    def view(self, room: str) -> RoomView | None:
        """One room."""

    async def put(self, settings: RoomSettings) -> RoomView:
        """Add or change a room.

        Raises:
            SettingsError: it cannot be run so; nothing changed.
        """

    async def delete(self, room: str) -> bool:
        """Remove a room and withdraw its cards; whether there was such a one."""

    def pin(self, room: str, sku: str, candidate: Candidate | None) -> RoomView | None:
        """Show a product until it is unpinned.

        Raises:
            SettingsError: it is not on the room's own list.
        """

    def unpin(self, room: str) -> RoomView | None:
        """End that; the card stays while the product is in sight."""

    def mute(self, room: str, sku: str, for_s: float | None) -> RoomView | None:
        """Do not show a product for so many seconds, None: until unmuted.

        Raises:
            SettingsError: the time is not more than 0.
        """

    def unmute(self, room: str, sku: str) -> RoomView | None:
        """End a mute."""

    def withdraw(self, room: str, sku: str) -> RoomView | None:
        """Take a product's card away."""

    async def whip_accept(self, room: str, offer_sdp: str) -> tuple[str, str] | None:
        """Take a WebRTC sender; its id and the SDP answer.

        Raises:
            StreamError: the room takes none, or the offer cannot be answered.
        """

    async def whip_end(self, room: str, sender: str) -> bool:
        """The sender has ended; whether there was such a one."""


class Health(Protocol):
    """Whether the process works, and what it depends on."""

    def is_alive(self) -> bool:
        """Whether it does its work; if not, it is to be restarted."""

    def checks(self) -> dict[str, bool]:
        """By name, whether each thing that it depends on answers."""
