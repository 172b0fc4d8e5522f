"""Limits of the catalog's API, and what it counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from livecart.errors import SettingsError


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Limits of one process.

    Raises:
        SettingsError: one is not more than 0, or a token would be believed for longer than 5 s after it was revoked.
    """

    #: Requests of one address (of IPv6: one /64) at once, then a second; counted before the token is looked at.
    address_burst: float = 400.0
    address_per_s: float = 100.0
    #: Requests with one token at once, then a second.
    token_burst: float = 200.0
    token_per_s: float = 50.0
    #: Seconds for which a token that was looked up is believed.
    token_age_s: float = 2.0
    #: Requests that are worked at, at once, each in a thread; fewer than the database has connections.
    at_once: int = 12
    #: Requests that wait for that; further ones are answered 503.
    waiting: int = 64
    #: Large bodies (photos, tables, bulk) in memory at once, and how many more may wait.
    large_at_once: int = 4
    large_waiting: int = 16
    #: Seconds in which a body must have arrived.
    body_s: float = 60.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise SettingsError(f"catalog API: {name} must be more than 0")
        if self.token_age_s > 5:
            raise SettingsError("catalog API: token_age_s must be at most 5, so that a revoked token is void soon")


@dataclass
class ApiStats:
    """Counted since the start. `refused` by code: denied, forbidden, rate_limited, too_large, busy, ..."""

    answered: int = 0
    replayed: int = 0
    failures: int = 0
    refused: Counter[str] = field(default_factory=Counter)
