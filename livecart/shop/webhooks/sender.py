"""Sends what is in the outbox: bounded, each endpoint at its own pace, and by one process at a time."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from livecart.core.background import Backoff
from livecart.shop.database.store import Store
from livecart.shop.errors import StoreUnavailable
from livecart.shop.webhooks.outbox import (
    LIVE_TIMEOUT_S,
    RECORD_TIMEOUT_S,
    Answer,
    Delivery,
    figures,
    next_round,
)

_log = logging.getLogger(__name__)

_WHO = "webhooks"
#: Deliveries under way.
_MOST_IN_FLIGHT = 256
#: Retries come due, and other processes write: the outbox is looked at so often.
_POLL_S = 0.5
_FIGURES_EVERY_S = 5.0
_DATABASE_FIRST_RETRY_S, _DATABASE_LAST_RETRY_S = 0.5, 10.0


class Post(Protocol):
    """`Poster.post`."""

    def __call__(
        self, url: str, *, message_id: str, body: str, secrets: tuple[str, ...], timeout_s: float
    ) -> Awaitable[Answer]:
        """Send one message."""


@dataclass
class SenderStats:
    """Tries and what became of deliveries, since the start; and gauges of the outbox, some seconds old."""

    delivered: int = 0
    #: Tries without success.
    failed: int = 0
    #: Of the live class: withdrawn, too old, or tried often enough.
    given_up: int = 0
    #: Updates of which a newer one was there.
    collapsed: int = 0
    #: Of the record class: now dead letters.
    dead: int = 0
    #: Endpoints that are sent to no more.
    disabled: int = 0
    database_failures: int = 0


class WebhookSender:
    """`run` is to be kept running; `wake` says that there is something new. For one event loop."""

    def __init__(self, store: Store, post: Post) -> None:
        self.stats = SenderStats()
        self.gauges = dict.fromkeys(("live", "record", "dead", "disabled"), 0)
        #: There are endpoints: card updates are worth writing.
        self.has_endpoints = True
        self._store = store
        self._post = post
        self._in_flight: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._results: list[tuple[Delivery, Answer]] = []
        self._wake = asyncio.Event()
        self._loop_time = asyncio.get_running_loop().time
        self._figures_at_s = 0.0

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    async def run(self) -> None:
        backoff = Backoff(_DATABASE_FIRST_RETRY_S, _DATABASE_LAST_RETRY_S)
        while True:
            try:
                await self.round()
                await self._count()
            except StoreUnavailable as error:
                self.stats.database_failures += 1
                _log.warning("webhooks are sent later: %s", error)
                await backoff.wait()
                continue
            backoff.reset()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _POLL_S)

    async def round(self) -> int:
        """Write what came of deliveries, and begin the next ones; how many.

        Raises:
            StoreUnavailable: the database is away; results are kept for the next round.
        """
        self._wake.clear()
        results, self._results = self._results, []
        work = partial(
            next_round, results=results, room=_MOST_IN_FLIGHT - self._in_flight.total(), in_flight=dict(self._in_flight)
        )
        try:
            done = await asyncio.to_thread(self._store.edit, _WHO, work)
        except BaseException:
            self._results = results + self._results
            raise
        for name, count in done.counts.items():
            setattr(self.stats, name, getattr(self.stats, name) + count)
        for delivery in done.deliveries:
            self._in_flight[delivery.endpoint_id] += 1
            task = asyncio.create_task(self._send(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(done.deliveries)

    async def settled(self) -> None:
        """Wait for the deliveries under way, and begin no others."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self, timeout_s: float = 3.0) -> None:
        """Send what is due, after `run` has ended; what is left is sent after the next start."""
        try:
            async with asyncio.timeout(timeout_s):
                while await self.round() or self._tasks or self._results:
                    if self._tasks:
                        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        except (TimeoutError, StoreUnavailable):
            _log.warning("webhooks that were not sent wait for the next start")
        for task in self._tasks:
            task.cancel()

    async def _send(self, delivery: Delivery) -> None:
        timeout_s = LIVE_TIMEOUT_S if delivery.live else RECORD_TIMEOUT_S
        try:
            answer = await self._post(
                delivery.url,
                message_id=delivery.message_id,
                body=delivery.body,
                secrets=delivery.secrets,
                timeout_s=timeout_s,
            )
        except Exception as error:  # noqa: BLE001  a fault of ours is no reason to forget the message
            _log.exception("webhook %s to %s failed", delivery.message_id, delivery.endpoint_id)
            answer = Answer(0, f"internal error: {type(error).__name__}")
        finally:
            self._in_flight[delivery.endpoint_id] -= 1
            if not self._in_flight[delivery.endpoint_id]:
                del self._in_flight[delivery.endpoint_id]
        self._results.append((delivery, answer))
        self._wake.set()

    async def _count(self) -> None:
        if self._loop_time() < self._figures_at_s:
            return
        self._figures_at_s = self._loop_time() + _FIGURES_EVERY_S

        def read() -> tuple[dict[str, int], bool]:
            with self._store.read() as session:
                return figures(session)

        self.gauges, self.has_endpoints = await asyncio.to_thread(read)
