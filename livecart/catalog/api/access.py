"""Who asks: tokens, believed for a moment; and how often they may."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from livecart.catalog.database.session import Change
from livecart.catalog.database.store import Store
from livecart.catalog.records import tokens
from livecart.catalog.records.tokens import TokenInfo

_MOST_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for what.

    Attributes:
        token: of the request.
        idempotency_key: of the request, where it has one.
        request: whatever makes it another request: method, path, query, version and body.
    """

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
        self._age_s = age_s
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, TokenInfo | None]] = OrderedDict()
        self._revocations = 0
        store.on_change(self._heard)

    def known(self, token: str) -> tuple[bool, TokenInfo | None]:
        """Whether it was looked up a moment ago, and whose it is. Asks nobody."""
        with self._lock:
            found = self._known.get(token)
        if found is None or time.monotonic() - found[0] > self._age_s:
            return False, None
        info = found[1]
        if info is not None and info.expires_at_s is not None and info.expires_at_s <= self._store.now_s():
            return True, None
        return True, info

    def look_up(self, token: str) -> TokenInfo | None:
        """Whose it is; None where it is unknown, expired or revoked. Blocks.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        at_s, revocations = time.monotonic(), self._revocations
        with self._store.read() as session:
            info = tokens.check(session, token)
        with self._lock:
            if self._revocations != revocations:
                # It may be the one that was revoked while it was read.
                return info
            self._known[token] = (at_s, info)
            self._known.move_to_end(token)
            if len(self._known) > _MOST_TOKENS:
                self._known.popitem(last=False)
        return info

    def _heard(self, change: Change) -> None:
        """A token was revoked in this process: all are looked up anew."""
        if change.tokens_revoked:
            with self._lock:
                self._revocations += 1
                self._known.clear()


def address_key(host: str) -> str:
    """What addresses are counted by: of IPv6 the /64, which is one customer's."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


def bearer(authorization: str) -> str | None:
    """The token of a header, if it is a Bearer's."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.casefold() == "bearer" and token and len(token) <= 256 else None
