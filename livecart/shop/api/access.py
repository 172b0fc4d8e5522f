"""Tokens of requests, believed for a moment."""

import threading
import time
from dataclasses import dataclass

from cachetools import TLRUCache

from livecart.shop.database.session import Change
from livecart.shop.database.store import Store
from livecart.shop.repositories import tokens
from livecart.shop.repositories.tokens import TokenInfo

_MOST_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """The token of a request, and the request."""

    token: TokenInfo
    idempotency_key: str | None
    request: bytes

    @property
    def who(self) -> str:
        """For the audit log."""
        return self.token.who


class TokenChecks:
    """Looks tokens up, and believes what it found for `age_s` seconds; unknown ones too. Any number of threads."""

    def __init__(self, store: Store, age_s: float) -> None:
        self._store = store
        self._lock = threading.Lock()
        #: By token: since when it is known (the age counts from before the database was asked), and whose it is.
        self._known: TLRUCache[str, tuple[float, TokenInfo | None]] = TLRUCache(
            _MOST_TOKENS, ttu=lambda _token, found, _now_s: found[0] + age_s, timer=time.monotonic
        )
        self._revocations = 0
        store.on_change(self._on_change)

    def known(self, token: str) -> tuple[bool, TokenInfo | None]:
        """Tell whether it was looked up a moment ago, and whose it is. Asks nobody."""
        with self._lock:
            found = self._known.get(token)
        if found is None:
            return False, None
        info = found[1]
        if info is not None and info.expires_at_s is not None and info.expires_at_s <= self._store.now_s():
            return True, None
        return True, info

    def look_up(self, token: str) -> TokenInfo | None:
        """Ask the database whose it is; None where it is unknown, expired or revoked. Blocks."""
        at_s, revocations = time.monotonic(), self._revocations
        with self._store.read() as session:
            info = tokens.check(session, token)
        with self._lock:
            # Else it may be the one that was revoked while it was read.
            if self._revocations == revocations:
                self._known[token] = (at_s, info)
        return info

    def _on_change(self, change: Change) -> None:
        if change.tokens_revoked:
            with self._lock:
                self._revocations += 1
                self._known.clear()


def bearer(authorization: str) -> str | None:
    """The token of a header, if it is a Bearer's."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.casefold() == "bearer" and token and len(token) <= 256 else None
