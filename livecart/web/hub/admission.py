"""Admission of viewers: allowed origins, tickets, existing rooms, limits of connections."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cachetools import LRUCache
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from livecart.core.http_replies import error
from livecart.core.rate_limits import network_of
from livecart.web.hub.messages import BAD_ORIGIN, BAD_TICKET, NO_SUCH_ROOM, TRY_AGAIN_LATER
from livecart.web.hub.settings import ViewersSettings
from livecart.web.hub.tickets import TicketSigner

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ViewerRequest:
    """One viewer's request. `origin` is None where no page asks; `after` where it has no event yet."""

    room: str
    ip: str
    host: str
    origin: str | None
    ticket: str
    after: int | None
    #: X-Forwarded-For as it came.
    forwarded_for: str = ""

    @property
    def is_behind_unknown_proxy(self) -> bool:
        """True where somebody handed it on whose word on whom it comes from is not taken."""
        return bool(self.forwarded_for) and self.ip not in self.forwarded_for

    @property
    def is_same_host(self) -> bool:
        """True where the page was loaded from this host."""
        host = self.host.lower()
        return self.origin is not None and self.origin.lower() in (f"http://{host}", f"https://{host}")


class BadAfter(ValueError):
    """`after` is no event's id."""


def read_viewer_request(connection: HTTPConnection, room: str) -> ViewerRequest:
    """The request of a viewer of `room`.

    Raises:
        BadAfter: its `after` is no event's id.
    """
    after = connection.query_params.get("after")
    # Ids stay below 2**53, as JavaScript counts.
    if after is not None and not (after.isascii() and after.isdigit() and len(after) <= 16):
        raise BadAfter(f"after is {after[:40]!r}; it must be an event_id")
    return ViewerRequest(
        room=room,
        ip=connection.client.host if connection.client else "unknown",
        host=connection.headers.get("host", ""),
        origin=connection.headers.get("origin"),
        ticket=connection.query_params.get("ticket", ""),
        after=None if after is None else int(after),
        forwarded_for=connection.headers.get("x-forwarded-for", ""),
    )


Full: TypeAlias = Literal["full", "room_full", "ip_full"]


class ConnectionLimiter:
    """Counts connections. Who takes one gives it back."""

    def __init__(self, *, most: int, most_per_room: int, most_per_ip: int) -> None:
        self._most = most
        self._most_per_room = most_per_room
        self._most_per_ip = most_per_ip
        self._by_room: Counter[str] = Counter()
        self._by_network: Counter[str] = Counter()
        #: All that are taken.
        self.taken = 0

    def take(self, room: str, ip: str) -> Full | None:
        """Count a connection in; else the limit that is reached."""
        network = network_of(ip)
        if self._by_network[network] >= self._most_per_ip:
            return "ip_full"
        if self._by_room[room] >= self._most_per_room:
            return "room_full"
        if self.taken >= self._most:
            return "full"
        self.taken += 1
        self._by_room[room] += 1
        self._by_network[network] += 1
        return None

    def give_back(self, room: str, ip: str) -> None:
        self.taken -= 1
        for counts, key in ((self._by_room, room), (self._by_network, network_of(ip))):
            counts[key] -= 1
            # A Counter keeps its zeros; addresses come and go for ever.
            if counts[key] <= 0:
                del counts[key]


#: Whether there is such a room.
KnowsRoom: TypeAlias = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal of a viewer, as counter, WebSocket and HTTP say it."""

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
    return _REFUSALS[reason]


class Admission:
    """Judges who asks."""

    def __init__(
        self, settings: ViewersSettings, knows_room: KnowsRoom, tickets: TicketSigner, *, is_public: bool
    ) -> None:
        self._origins = frozenset(origin.lower() for origin in settings.origins)
        self.knows_room = knows_room
        self._signer = None if settings.secret is None else tickets
        self._is_closed = is_public and self._signer is None and not settings.open
        #: Proxies that the log has named.
        self._proxies_told: LRUCache[str, bool] = LRUCache(100)
        self.limiter = ConnectionLimiter(
            most=settings.most_viewers, most_per_room=settings.most_per_room, most_per_ip=settings.most_per_ip
        )

    @property
    def is_closed(self) -> bool:
        """True where nobody can be let in: other machines reach the hub, and neither a secret nor `open` is set."""
        return self._is_closed

    def allows_origin(self, visit: ViewerRequest) -> bool:
        """Programs name no origin: they are let in as far as their ticket does it."""
        if visit.origin is None or visit.is_same_host or "*" in self._origins:
            return True
        return visit.origin.lower() in self._origins

    async def admitted(self, request: Request, room: str) -> ViewerRequest | Response:
        """The visit of a request that may see the room, or the answer that refuses it."""
        try:
            visit = read_viewer_request(request, room)
        except BadAfter as bad:
            return error(400, "bad_request", str(bad))
        why = await self.check(visit)
        return visit if why is None else error(why.http_status, why.reason, why.message)

    async def check(self, visit: ViewerRequest) -> Refusal | None:
        """The refusal of this viewer; None: it may watch and report. Strangers do not learn which rooms there are."""
        if not self.allows_origin(visit):
            return refusal("origin")
        if self._is_closed or (self._signer is not None and not self._signer.admits(visit.room, visit.ticket)):
            return refusal("ticket")
        if not await self.knows_room(visit.room):
            return refusal("room")
        return None

    def take_connection(self, visit: ViewerRequest) -> Refusal | None:
        """Count the viewer in, or say which limit is reached. Who was counted in gives it back."""
        full = self.limiter.take(visit.room, visit.ip)
        if full == "ip_full" and visit.is_behind_unknown_proxy and visit.ip not in self._proxies_told:
            self._proxies_told[visit.ip] = True
            _log.warning(
                "viewers are turned away: %s hands on those of other addresses; put it into http.trusted_proxies",
                visit.ip,
            )
        return None if full is None else refusal(full)
