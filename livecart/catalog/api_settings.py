"""The section [catalog.api] of rooms.toml: limits of the catalog's API. docs/api.md."""

from __future__ import annotations

import math

import msgspec

from livecart.errors import SettingsError

#: Of the 20 connections of `database/engine.py`: pages, cards and jobs need some too.
_MOST_AT_ONCE = 16


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one process.

    Raises:
        SettingsError: one is out of bounds; names it.
    """

    #: Requests of one address (of IPv6: one /64) at once, then a second; counted before the token is looked at.
    address_burst: float = 400.0
    address_per_s: float = 100.0
    #: Requests with one token at once, then a second.
    token_burst: float = 200.0
    token_per_s: float = 50.0
    #: Seconds for which a token that was looked up is believed, at most 5.
    token_age_s: float = 2.0
    #: Requests that are worked at, at once, each in a thread with a connection to the database, at most 16.
    at_once: int = 12
    #: Requests that wait for that; further ones are answered 503.
    waiting: int = 64
    #: Large bodies (photos, tables, bulk) in memory at once, and how many more may wait.
    large_at_once: int = 4
    large_waiting: int = 16
    #: Seconds in which a body must have arrived.
    body_s: float = 60.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise SettingsError(f"api: {name} is {value}; it must be more than 0")
        if self.token_age_s > 5:
            raise SettingsError("api: token_age_s must be at most 5, so that a revoked token is void soon")
        if self.at_once > _MOST_AT_ONCE:
            raise SettingsError(f"api: at_once is {self.at_once}; it must be at most {_MOST_AT_ONCE}")
