"""Interfaces of the rest of livecart to the HTTP API; `livecart.server.app` puts the implementations in."""

from typing import Protocol

from fastapi import Response

from livecart.core.http_replies import error
from livecart.core.settings import RoomSettings
from livecart.core.types import HostControls, RoomView


class RoomControl(HostControls, Protocol):
    """The rooms. Methods that give None know no such room."""

    def view(self, room: str) -> RoomView | None:
        """One room."""

    async def put(self, settings: RoomSettings) -> RoomView:
        """Add or change a room."""

    async def delete(self, room: str) -> bool:
        """Remove a room and withdraw its cards; whether there was such a one."""

    async def end_tickets(self, room: str) -> RoomView | None:
        """Revoke the tickets of hosts and publishers, and end what they have open."""

    async def whip_accept(self, room: str, offer_sdp: str) -> tuple[str, str] | None:
        """Take a WebRTC sender; its id and the SDP answer.

        Raises:
            StreamError: the room takes none, or the offer cannot be answered.
        """

    def ice_links(self) -> list[str]:
        """ICE servers, each as a value of the header Link."""

    async def whip_end(self, room: str, sender: str) -> bool:
        """The sender has ended; whether there was such a one."""


class Health(Protocol):
    """Liveness and readiness."""

    def is_alive(self) -> bool:
        """False: the process is to be restarted."""

    def checks(self) -> dict[str, bool]:
        """Dependencies by name: True where one answers."""


def unknown_room(room: str) -> Response:
    return error(404, "unknown_room", f"there is no room {room!r}; GET /rooms lists them")
