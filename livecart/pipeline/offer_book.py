"""What the shop says of the products that rooms have in sight: asked ahead of cards, and again while cards stand.

    look ─▶ want(skus) ─▶ ask, bounded ─▶ answers ─▶ on_change(skus) ─▶ rooms settle: a card, or none

An answer is good for `max_age_s` from the moment for which the shop confirmed it; a card stands no longer than that
without another one. Everything but `ask` belongs to one event loop and never waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from prometheus_client import Counter, Gauge, Histogram

from livecart.pipeline.decision.offers import WAITING, Offer
from livecart.pipeline.metrics import LiveMetrics
from livecart.pipeline.supervise import end_task, keep_running

_log = logging.getLogger(__name__)

#: Products remembered, and products that wait to be asked about; the oldest goes first.
_MOST_KNOWN = 20_000
_MOST_WAITING = 5_000
#: A refusal is asked about again after so long while the product is in sight: another process may have sold it in.
_REFUSAL_S = 1.0
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

#: Asks the shop about one product; in one word why it may not be shown.
Ask = Callable[[str], Awaitable[Offer | str]]


@dataclass(frozen=True, slots=True)
class _Known:
    answer: Offer | str
    #: When it was asked, UNIX time.
    asked_at_s: float
    asked_monotonic_s: float
    #: The last one that could be shown.
    last: Offer | None
    #: To be asked again although it is young.
    is_old: bool = False


class OfferBook:
    """Implements `decision.offers.Offers` for all rooms of a process.

    Args:
        ask: about one product; what it raises is counted, and is no answer.
        metrics: told of answers, refusals and the time that they take.
        max_age_s: how long a confirmation is good.
        at_once: questions that are under way together.
        clock: UNIX time.
        monotonic_s: a clock that never jumps.
    """

    def __init__(
        self,
        ask: Ask,
        metrics: LiveMetrics,
        *,
        max_age_s: float,
        at_once: int = 8,
        clock: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._metrics = metrics
        self._max_age_s = max_age_s
        self._at_once = at_once
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._asking: set[str] = set()
        #: Asked about again as soon as they are answered: they changed meanwhile.
        self._outdated: set[str] = set()
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._on_change: Callable[[frozenset[str]], None] = lambda _: None
        self._count = _Counts(metrics, lambda: len(self._waiting) + len(self._asking))

    def start(
        self,
        on_change: Callable[[frozenset[str]], None],
        awaited: Callable[[], Iterable[str]],
        recheck: Callable[[], None],
    ) -> None:
        """Begin to ask.

        Args:
            on_change: told of products whose answer is another now, or has come at last.
            awaited: the products whose cards stand now, or would if they might.
            recheck: has every room withdraw cards whose products were not confirmed in time.
        """
        self._on_change = on_change

        async def watch() -> None:
            while True:
                # Twice within the half of its age, so that one slow answer takes no card away.
                await asyncio.sleep(min(self._max_age_s / 8, 0.5))
                self.want(awaited())
                recheck()

        works: list[tuple[str, Callable[[], Awaitable[None]]]] = [("offers_watch", watch)]
        works += [("offers", self._answer_all)] * self._at_once
        for name, work in works:
            self._tasks.append(asyncio.create_task(keep_running(name, work, self._metrics), name=f"livecart {name}"))

    async def close(self) -> None:
        """End; whatever was asked last is not waited for."""
        for task in self._tasks:
            await end_task(task)

    # For decisions

    def offer(self, sku: str) -> Offer | str:
        """See `Offers`."""
        known = self._known.get(sku)
        if known is None or self._is_due(known):
            self._queue(sku)
        if known is None or self._is_too_old(known):
            return WAITING
        return known.answer

    def last(self, sku: str) -> Offer | None:
        """See `Offers`."""
        known = self._known.get(sku)
        return None if known is None else known.last

    def refused(self, reason: str) -> None:
        """See `Offers`."""
        self._count.refusals.labels(reason).inc()

    # What is asked about

    def want(self, skus: Iterable[str]) -> None:
        """They may be shown soon, or are shown: ask about those of which nothing young is known."""
        for sku in skus:
            known = self._known.get(sku)
            if known is None or self._is_due(known):
                self._queue(sku)

    def changed(self, skus: Iterable[str]) -> None:
        """Somebody edited these products: whatever is known of them is asked again now."""
        for sku in skus:
            if sku in self._asking:
                self._outdated.add(sku)
            elif sku in self._known:
                self._queue(sku)

    def all_changed(self) -> None:
        """Something changed that every answer depends on, such as the hosts that links may lead to."""
        # What is known no longer counts as young; it is asked again where it matters.
        self._known = OrderedDict((sku, replace(known, is_old=True)) for sku, known in self._known.items())

    def _queue(self, sku: str) -> None:
        if sku in self._waiting or sku in self._asking:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popitem(last=False)
            self._count.dropped.inc()
        self._waiting[sku] = None
        self._work.set()

    def _is_due(self, known: _Known) -> bool:
        """Whether to ask again: at half its age, so that there is always an answer."""
        if known.is_old:
            return True
        if isinstance(known.answer, str):
            return self._age_s(known) >= _REFUSAL_S
        return self._age_s(known) >= self._max_age_s / 2

    def _is_too_old(self, known: _Known) -> bool:
        return self._age_s(known) > self._max_age_s

    def _age_s(self, known: _Known) -> float:
        confirmed_at_s = known.asked_at_s if isinstance(known.answer, str) else known.answer.confirmed_at_s
        # The clock may have been set back meanwhile: it is at least as old as the time since it was asked for.
        return max(self._clock() - confirmed_at_s, self._monotonic_s() - known.asked_monotonic_s)

    # The shop

    async def _answer_all(self) -> None:
        while True:
            while self._waiting:
                sku, _ = self._waiting.popitem(last=False)
                self._asking.add(sku)
                try:
                    await self._answer(sku)
                finally:
                    self._asking.discard(sku)
                    if sku in self._outdated:
                        self._outdated.discard(sku)
                        self._queue(sku)
            self._work.clear()
            await self._work.wait()

    async def _answer(self, sku: str) -> None:
        asked_at_s, began_s = self._clock(), self._monotonic_s()
        try:
            answer = await self._ask(sku)
        except Exception:  # noqa: BLE001  one question's fault; the others are asked, and there is no card
            self._metrics.background_failure("offers")
            _log.exception("product %s: the catalog cannot be asked", sku)
            answer = "failed"
        self._count.seconds.observe(self._monotonic_s() - began_s)
        self._count.answers.labels(answer if isinstance(answer, str) else "offered").inc()
        before = self._known.get(sku)
        last = (before.last if before else None) if isinstance(answer, str) else answer
        self._known[sku] = _Known(answer, asked_at_s, began_s, last)
        self._known.move_to_end(sku)
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        if before is None or self._is_too_old(before) or _differ(before.answer, answer):
            self._on_change(frozenset((sku,)))


def _differ(before: Offer | str, now: Offer | str) -> bool:
    if isinstance(before, str) or isinstance(now, str):
        return before != now
    return replace(before, confirmed_at_s=now.confirmed_at_s) != now


class _Counts:
    def __init__(self, metrics: LiveMetrics, under_way: Callable[[], int]) -> None:
        registry, prefix = metrics.registry, "livecart_live_offer"
        self.answers = Counter(f"{prefix}_answers", "What the catalog said of products", ("answer",), registry=registry)
        self.refusals = Counter(
            f"{prefix}_refusals", "Cards due or shown that may not be", ("reason",), registry=registry
        )
        self.dropped = Counter(
            f"{prefix}_questions_dropped", "Questions that too many others pushed out", registry=registry
        )
        self.seconds = Histogram(f"{prefix}_seconds", "Time of one answer", buckets=_BUCKETS_S, registry=registry)
        waiting = Gauge(f"{prefix}_questions_waiting", "Questions not answered yet", registry=registry)
        waiting.set_function(under_way)
