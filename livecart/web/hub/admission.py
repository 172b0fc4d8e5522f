"""Who is let in: pages of allowed origins, viewers with a ticket, into rooms that there are, up to the limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from livecart.web.hub.addresses import Asking
from livecart.web.hub.messages import BAD_ORIGIN, BAD_TICKET, NO_SUCH_ROOM, TRY_AGAIN_LATER
from livecart.web.hub.seats import Seats
from livecart.web.hub.settings import ViewersSettings
from livecart.web.hub.tickets import TicketOffice

#: Whether there is such a room.
KnowsRoom: TypeAlias = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not let in, as counter, WebSocket and HTTP say it."""

    reason: str
    close_code: int
    http_status: int
    message: str


_REFUSALS = {
    refusal.reason: refusal
    for refusal in (
        Refusal("origin", BAD_ORIGIN, 403, "this page may not watch; its origin is not in viewers.origins"),
        Refusal("ticket", BAD_TICKET, 401, "the ticket is missing, expired, or another room's"),
        Refusal("room", NO_SUCH_ROOM, 404, "there is no such room"),
        Refusal("full", TRY_AGAIN_LATER, 503, "too many viewers; try again later"),
        Refusal("room_full", TRY_AGAIN_LATER, 503, "too many viewers of this room; try again later"),
        Refusal("ip_full", TRY_AGAIN_LATER, 429, "too many connections from this address"),
        Refusal("bus", TRY_AGAIN_LATER, 503, "what the room shows is not known now; try again"),
        Refusal("closing", TRY_AGAIN_LATER, 503, "going away; try again"),
    )
}


def refusal(reason: str) -> Refusal:
    """The refusal of that name."""
    return _REFUSALS[reason]


class Admission:
    """Judges who asks.

    Args:
        settings: origins, tickets and limits.
        knows_room: whether there is such a room.
        is_public: whether machines but this one reach the hub; then, without a secret, it must be `open`.
    """

    def __init__(self, settings: ViewersSettings, knows_room: KnowsRoom, *, is_public: bool) -> None:
        self._origins = frozenset(origin.lower() for origin in settings.origins)
        self.knows_room = knows_room
        self._office = None if settings.secret is None else TicketOffice(settings.secret)
        self._is_closed = is_public and self._office is None and not settings.open
        self.seats = Seats(
            most=settings.most_viewers, most_per_room=settings.most_per_room, most_per_ip=settings.most_per_ip
        )

    @property
    def is_closed(self) -> bool:
        """Whether nobody can be let in: other machines reach the hub, and nothing says who may watch."""
        return self._is_closed

    def allows_origin(self, asking: Asking) -> bool:
        """Programs name no origin: they are let in as far as their ticket does it."""
        if asking.origin is None or asking.is_same_host or "*" in self._origins:
            return True
        return asking.origin.lower() in self._origins

    async def check(self, asking: Asking) -> Refusal | None:
        """Whether this viewer may watch or report; strangers do not learn which rooms there are."""
        if not self.allows_origin(asking):
            return refusal("origin")
        if self._is_closed or (self._office is not None and not self._office.admits(asking.room, asking.ticket)):
            return refusal("ticket")
        if not await self.knows_room(asking.room):
            return refusal("room")
        return None

    def take_seat(self, asking: Asking) -> Refusal | None:
        """Count the viewer in, or say which limit is reached. Who was counted in gives the seat back."""
        full = self.seats.take(asking.room, asking.ip)
        return None if full is None else refusal(full)
