"""The host's wishes: pinned, muted and listed products."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from livecart.core.errors import SettingsError

#: Of a room at once: each view of it lists them.
_MOST_MUTED = 1000


@dataclass(slots=True)
class HostControl:
    """Keeps the wishes; what follows from them is the room's business. Times are wall clock."""

    pinned: str | None = None
    #: sku to when it ends; infinite: until unmuted.
    muted_until_s: dict[str, float] = field(default_factory=dict)
    #: The room's own products; None: every product of the catalog.
    listed: frozenset[str] | None = None

    def copy(self) -> HostControl:
        return replace(self, muted_until_s=dict(self.muted_until_s))

    def allows(self, sku: str, now_s: float) -> bool:
        """On the list, and not muted."""
        return (self.listed is None or sku in self.listed) and not self.muted(sku, now_s)

    def muted(self, sku: str, now_s: float) -> bool:
        """True while it is muted; a mute that has ended is forgotten."""
        until_s = self.muted_until_s.get(sku)
        if until_s is None:
            return False
        if now_s < until_s:
            return True
        del self.muted_until_s[sku]
        return False

    def pin(self, room: str, sku: str) -> None:
        """Pin the product, in place of another; unmutes it.

        Raises:
            SettingsError: it is not on the room's own list.
        """
        if self.listed is not None and sku not in self.listed:
            raise SettingsError(f"room {room}: {sku} is not on the room's own list; put it there before pinning it")
        self.muted_until_s.pop(sku, None)
        self.pinned = sku

    def mute(self, room: str, sku: str, now_s: float, for_s: float | None) -> None:
        """Mute for so many seconds, None until unmuted; unpins it.

        Raises:
            SettingsError: `for_s` is not more than 0, or too many products are muted.
        """
        if for_s is not None and not for_s > 0:
            raise SettingsError(f"room {room}: {sku} cannot be muted for {for_s!r} s; give more than 0, or no time")
        if sku not in self.muted_until_s and len(self.muted_until_s) >= _MOST_MUTED:
            self.muted_until_s = {other: end_s for other, end_s in self.muted_until_s.items() if now_s < end_s}
            if len(self.muted_until_s) >= _MOST_MUTED:
                raise SettingsError(f"room {room}: {_MOST_MUTED} products are muted; unmute one before {sku}")
        self.muted_until_s[sku] = math.inf if for_s is None else now_s + for_s
        self.unpin(sku)

    def unpin(self, sku: str | None = None) -> None:
        """Unpin that product, or whichever is pinned."""
        if sku is None or sku == self.pinned:
            self.pinned = None

    def restrict(self, skus: Iterable[str] | None) -> None:
        """The room's own list; unpins what is not on it."""
        self.listed = None if skus is None else frozenset(skus)
        if self.pinned is not None and self.listed is not None and self.pinned not in self.listed:
            self.pinned = None
