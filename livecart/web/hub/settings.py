"""The section [viewers] of rooms.toml. docs/live.md describes each key."""

import math
import re
from typing import ClassVar

import msgspec

from livecart.core.errors import SettingsError
from livecart.core.settings import Bounds, check_bounds

_PUBLIC_URL = re.compile(r"https://[^/\s?#@]+(/[^\s?#]*)?")
_ORIGIN = re.compile(r"https?://[^/\s?#@]+")
#: As long as the MAC's own strength asks for when the secret is random text: 16 characters of base64 are 96 bits.
_SHORTEST_SECRET = 16
LONGEST_TICKET_S = 7 * 86_400.0


class ViewersSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Access to rooms, and limits of viewers in this process."""

    BOUNDS: ClassVar[Bounds] = {
        "most_viewers": (1, 1_000_000),
        "most_per_room": (1, 1_000_000),
        "most_per_ip": (1, 1_000_000),
        "queue_messages": (8, 4096),
        "replay_events": (1, 1000),
    }

    #: Signs room tickets, 16 or more characters; with one, every viewer needs a ticket. LIVECART_TICKET_SECRET stands
    #: in.
    secret: str | None = None
    #: Whether viewers of other machines come in without tickets; this machine's always do.
    open: bool = False
    #: How long a ticket is good where nobody says otherwise, 60 s to 7 days.
    ticket_for_s: float = 6 * 3600.0
    #: Pages that may watch, such as "https://shop.example.com", beside those of the same host; "*": all.
    origins: tuple[str, ...] = ()
    #: Where viewers reach this server, such as "https://live.example.com". With it and a catalog, links and QR codes
    #: lead through `/go`, which counts them (docs/attribution.md).
    public_url: str | None = None
    #: Connections in this process.
    most_viewers: int = 20_000
    #: Connections in one room.
    most_per_room: int = 20_000
    #: Connections from one address (of IPv6: one /64).
    most_per_ip: int = 200
    #: Messages that wait for one viewer before its oldest are dropped.
    queue_messages: int = 64
    #: Events of each watched room that are kept for viewers that come back.
    replay_events: int = 256
    #: Whether rooms that only other processes publish on the bus can be watched here.
    other_processes: bool = False
    #: Folder of the built element, served at /viewer; None: the checkout's viewer/dist, where this is one.
    viewer_dist: str | None = None

    def __post_init__(self) -> None:
        if self.secret is not None and len(self.secret) < _SHORTEST_SECRET:
            raise SettingsError(f"viewers.secret must be {_SHORTEST_SECRET} or more characters, random ones")
        if not (math.isfinite(self.ticket_for_s) and 60 <= self.ticket_for_s <= LONGEST_TICKET_S):
            raise SettingsError(f"viewers.ticket_for_s is {self.ticket_for_s}; it must be 60 to {LONGEST_TICKET_S:g}")
        if self.public_url is not None and not _PUBLIC_URL.fullmatch(self.public_url):
            raise SettingsError(
                f"viewers.public_url: {self.public_url!r} is no https address such as https://live.example.com"
            )
        for origin in self.origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise SettingsError(f"viewers.origins: {origin!r} is no origin; write https://shop.example.com, or '*'")
        check_bounds(self, "viewers.{name} is {value}; it must be {lowest} to {highest}")
