"""Who asks, and for what: read from a connection's headers and query."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection


@dataclass(frozen=True, slots=True)
class Asking:
    """One viewer's request. `origin` is None where no page asks; `after` where it has no event yet."""

    room: str
    ip: str
    host: str
    origin: str | None
    ticket: str
    after: int | None

    @property
    def is_same_host(self) -> bool:
        """Whether the page that asks came from where it asks."""
        host = self.host.lower()
        return self.origin is not None and self.origin.lower() in (f"http://{host}", f"https://{host}")


class BadAfter(ValueError):
    """`after` is no event's id."""


def read_asking(connection: HTTPConnection, room: str) -> Asking:
    """The request of a viewer of `room`.

    Raises:
        BadAfter: its `after` is no event's id.
    """
    after = connection.query_params.get("after")
    # Ids stay below 2**53, as JavaScript counts.
    if after is not None and not (after.isascii() and after.isdigit() and len(after) <= 16):
        raise BadAfter(f"after is {after[:40]!r}; it must be an event_id")
    return Asking(
        room=room,
        ip=connection.client.host if connection.client else "unknown",
        host=connection.headers.get("host", ""),
        origin=connection.headers.get("origin"),
        ticket=connection.query_params.get("ticket", ""),
        after=None if after is None else int(after),
    )
