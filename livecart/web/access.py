"""Access by token; without one, for programs of this machine, but for no page in its browser."""

import hmac
import logging
from collections.abc import Callable

from fastapi import Request

from livecart.core.rate_limits import TokenBuckets, network_of
from livecart.core.settings import LOOPBACK_HOSTS

_log = logging.getLogger(__name__)

#: Wrong tokens of one network that are looked at.
_WRONG_BURST, _WRONG_PER_S = 20.0, 1.0


class AccessDenied(Exception):
    """The token is missing or wrong."""


class DeniedTooOften(AccessDenied):
    """So many of this network's were wrong that none is looked at now."""


class TokenCheck:
    """A FastAPI dependency: refuses requests without the token, if there is one.

    Of one network 20 wrong ones are looked at, then one a second.
    """

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._wrong = TokenBuckets(_WRONG_BURST, _WRONG_PER_S)

    async def __call__(self, request: Request) -> None:
        if self._expected is None:
            return
        network = network_of(request.client.host if request.client else "unknown")
        if self._wrong.is_empty(network):
            raise DeniedTooOften
        shown = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(shown, self._expected):
            if shown:  # who shows none does not guess
                self._wrong.take(network)
                _log.warning("http: %s showed no valid token", network)
            raise AccessDenied


class TicketCheck:
    """A FastAPI dependency of routes below `/rooms/{room}`: lets in who has the token, or a ticket of the room.

    Args:
        token: the API's; None: everybody is let in, as to the rest of it.
        admits: whether a text is a ticket for these routes of a room: `admits(room, text)`.
    """

    def __init__(self, token: str | None, admits: Callable[[str, str], bool]) -> None:
        self._token = TokenCheck(token)
        self._admits = admits

    async def __call__(self, request: Request) -> None:
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        request.state.by_ticket = scheme == "Bearer" and self._admits(request.path_params["room"], shown)
        if not request.state.by_ticket:
            await self._token(request)


def is_by_ticket(request: Request) -> bool:
    """True where `TicketCheck` let it in by a ticket."""
    return getattr(request.state, "by_ticket", False)


def trusted_hosts(token: str | None) -> list[str]:
    """Values of the header Host that are answered.

    Without a token a page in a browser of this machine could reach the API under a name of its own that resolves to
    127.0.0.1 (DNS rebinding); such a request names that host.
    """
    return ["*"] if token is not None else list(LOOPBACK_HOSTS)
