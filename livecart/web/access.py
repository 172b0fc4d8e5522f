"""Who may ask: whoever shows the token; without one, programs of this machine, but no page in its browser."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from fastapi import Request

from livecart.settings import LOOPBACK_HOSTS


class AccessDenied(Exception):
    """The token is missing or wrong."""


class TokenCheck:
    """A FastAPI dependency: refuses requests without the token, if there is one."""

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()

    def __call__(self, request: Request) -> None:
        """Check one request.

        Raises:
            AccessDenied: it does not show the token.
        """
        if self._expected is None:
            return
        shown = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(shown, self._expected):
            raise AccessDenied


class HostCheck:
    """A FastAPI dependency of routes below `/rooms/{room}`: lets in who has the token, or a host's ticket of the room.

    Args:
        token: the API's; None: everybody is let in, as to the rest of it.
        admits: whether a text is a host's ticket of a room: `admits(room, text)`.
    """

    def __init__(self, token: str | None, admits: Callable[[str, str], bool]) -> None:
        self._token = TokenCheck(token)
        self._admits = admits

    def __call__(self, request: Request) -> None:
        """Check one request.

        Raises:
            AccessDenied: it shows neither.
        """
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self._admits(request.path_params["room"], shown):
            self._token(request)


def trusted_hosts(token: str | None) -> list[str]:
    """Values of the header Host that are answered.

    Without a token a page in a browser of this machine could reach the API under a name of its own that resolves to
    127.0.0.1 (DNS rebinding); such a request names that host.
    """
    return ["*"] if token is not None else list(LOOPBACK_HOSTS)
