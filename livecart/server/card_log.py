"""Cards that went out are kept in the catalog and put into the outbox of webhooks: one transaction, in batches."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice

from sqlalchemy.orm import Session

from contract.card import CardEvent
from livecart.core.background import Backoff
from livecart.shop.database.store import Store
from livecart.shop.errors import InvalidValue, StoreUnavailable
from livecart.shop.repositories import cards, webhooks

_log = logging.getLogger(__name__)

_WHO = "livecart"
_MOST_WAITING = 10_000
_BATCH = 200
#: Cards come one by one; so long they are collected for one transaction.
_COLLECT_S = 0.05
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 10.0


@dataclass
class CardLogStats:
    kept: int = 0
    #: Pushed out because the database was away for long.
    dropped: int = 0
    #: Events that the catalog does not take; the log says why.
    refused: int = 0
    failures: int = 0


class CardLog:
    """Listens to the outbox, and writes. At most 10,000 events wait; beyond that the oldest is dropped and counted.

    Args:
        store: of the catalog.
        takes_updates: whether an `update` is worth a transaction: only webhooks tell of it.
        on_written: called when events were written.
    """

    def __init__(
        self,
        store: Store,
        *,
        takes_updates: Callable[[], bool] = lambda: False,
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        self.stats = CardLogStats()
        self._store = store
        self._takes_updates = takes_updates
        self._on_written = on_written
        self._waiting: deque[CardEvent] = deque()
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def put(self, event: CardEvent) -> None:
        """Take an event. Never waits."""
        if event.event == "update" and not self._takes_updates():
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft()
            self.stats.dropped += 1
        self._waiting.append(event)
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(_COLLECT_S)
            self._wake.clear()
            await self._write_all()

    async def close(self, timeout_s: float = 3.0) -> None:
        """Write what is left, after `run` has ended; what the database does not take in time is lost, and logged."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._write_all()
        except TimeoutError:
            _log.error("%d card events were not kept: the catalog's database is away", len(self._waiting))

    async def _write_all(self) -> None:
        backoff, size = Backoff(_FIRST_RETRY_S, _LAST_RETRY_S), _BATCH
        while self._waiting:
            batch = list(islice(self._waiting, size))
            try:
                refused = await asyncio.to_thread(self._store.edit, _WHO, partial(_record, batch))
            except StoreUnavailable as error:
                self.stats.failures += 1
                _log.warning("cards are kept later, %d wait: %s", len(self._waiting), error)
                await backoff.wait()
                continue
            except Exception:  # noqa: BLE001  whatever it was, it must not be met again for ever
                self.stats.failures += 1
                if len(batch) > 1:
                    # One of them: those after it must not wait for it for ever.
                    size = 1
                    continue
                _log.exception("card %s of room %s is not kept", batch[0].card_id, batch[0].room)
                refused = 1
            backoff.reset()
            self._done(batch, refused)
            self._on_written()

    def _done(self, batch: list[CardEvent], refused: int) -> None:
        written = set(map(id, batch))
        # Meanwhile the oldest may have been pushed out.
        while self._waiting and id(self._waiting[0]) in written:
            self._waiting.popleft()
        self.stats.kept += len(batch) - refused
        self.stats.refused += refused


def _record(batch: list[CardEvent], session: Session) -> int:
    """Record the batch; number of refused events."""
    refused = 0
    for event in batch:
        try:
            cards.record(session, event)
            webhooks.enqueue(session, event)
        except InvalidValue as error:
            refused += 1
            _log.error("card %s of room %s is not kept: %s", event.card_id, event.room, error)
    return refused
