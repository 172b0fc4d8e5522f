"""Whether a product's link is allowed, by a list of hosts that is never older than the stock it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from livecart.catalog.database.store import Store
from livecart.catalog.links import check_link
from livecart.catalog.records import hosts

_LINKS_REMEMBERED = 100_000


@dataclass
class Verdicts:
    """One reading of the list, and what it said of links so far."""

    hosts: tuple[str, ...]
    #: UNIX time just before the database was asked.
    read_at_s: float
    _known: dict[str, bool] = field(default_factory=dict)

    def allows(self, url: str) -> bool:
        """Whether the list lets the link through."""
        known = self._known.get(url)
        if known is None:
            if len(self._known) >= _LINKS_REMEMBERED:
                self._known.clear()
            known = self._known[url] = check_link(url, self.hosts) is None
        return known

    def again(self, found: tuple[str, ...], read_at_s: float) -> Verdicts:
        """After another reading: what was worked out stays where the list is the same."""
        return Verdicts(found, read_at_s, self._known if found == self.hosts else {})


class LinkVerdicts:
    """Reads the list when the one it has is too old. Swapped whole, so that threads never see half of two lists."""

    def __init__(self, store: Store, *, is_fresh: Callable[[float], bool], now_s: Callable[[], float]) -> None:
        self._store = store
        self._is_fresh = is_fresh
        self._now_s = now_s
        self._current = Verdicts((), float("-inf"))

    def fresh(self) -> Verdicts | None:
        """The list, if it is young enough."""
        current = self._current
        return current if self._is_fresh(current.read_at_s) else None

    def read(self) -> Verdicts:
        """The list as the database has it now.

        Raises:
            StoreUnavailable: it does not answer.
        """
        read_at_s = self._now_s()
        with self._store.read() as session:
            found = hosts.allowed(session)
        self._current = current = self._current.again(found, read_at_s)
        return current

    def forget(self) -> None:
        """The list was changed: the next look-up reads it."""
        self._current = Verdicts((), float("-inf"))
