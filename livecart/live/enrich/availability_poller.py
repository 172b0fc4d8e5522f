"""Availability of the products that rooms have in sight: asked ahead of cards, and again while cards stand.

    result ─▶ want(skus) ─▶ one question for all rooms ─▶ answers ─▶ on_change(skus) ─▶ rooms settle: a card, or none

What is in sight is asked about every `every_s`, what is new or was edited at once; one question is under way at a
time. An answer is good for `max_age_s` from the moment for which the shop confirmed it; a card stands no longer than
that without another one. Everything but `ask` belongs to one event loop and never waits.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cachetools import LRUCache
from prometheus_client import Counter, Gauge, Histogram

from livecart.core.background import end_task, keep_running
from livecart.live.decide.availability import WAITING, Offer
from livecart.live.metrics import LiveMetrics

_log = logging.getLogger(__name__)

#: Products remembered, and products that wait to be asked about; the oldest goes first.
_MOST_KNOWN = 20_000
_MOST_WAITING = 5_000
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

#: Asks the shop about products; for each in one word why it may not be shown.
Ask = Callable[[Sequence[str]], Awaitable[Mapping[str, Offer | str]]]


def every_s(max_age_s: float) -> float:
    """Time between two questions: several within the age, so that one slow answer takes no card away."""
    return min(max_age_s / 4, 0.5)


@dataclass(frozen=True, slots=True)
class _Known:
    answer: Offer | str
    #: When it was asked, UNIX time.
    asked_at_s: float
    asked_monotonic_s: float
    #: The last one that could be shown.
    last: Offer | None


class AvailabilityPoller:
    """Implements `decide.availability.Availability` for all rooms of a process.

    Args:
        ask: about many products at once; what it raises is counted, and is no answer.
        metrics: count answers, refusals and the time that they take.
        max_age_s: how long a confirmation is good.
        clock: UNIX time.
        monotonic_s: a clock that never jumps.
    """

    def __init__(
        self,
        ask: Ask,
        metrics: LiveMetrics,
        *,
        max_age_s: float,
        clock: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._metrics = metrics
        self._max_age_s = max_age_s
        self._every_s = every_s(max_age_s)
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._known: LRUCache[str, _Known] = LRUCache(_MOST_KNOWN)
        #: Products of the next question, the oldest first.
        self._waiting: dict[str, None] = {}
        #: Products of the question that is under way.
        self._asked: frozenset[str] = frozenset()
        self._ask_now = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._on_change: Callable[[frozenset[str]], None] = lambda _: None
        self._count = _Counts(metrics, lambda: len(self._waiting))

    def start(
        self,
        on_change: Callable[[frozenset[str]], None],
        in_sight: Callable[[], Iterable[str]],
        recheck: Callable[[], None],
    ) -> None:
        """Begin to ask.

        Args:
            on_change: called with products whose answer is another now, or has come at last.
            in_sight: the products whose cards stand now, or would if they might.
            recheck: has every room withdraw cards whose products were not confirmed in time.
        """
        self._on_change = on_change

        async def watch() -> None:
            while True:
                await asyncio.sleep(self._every_s)
                self.want(in_sight())
                self._ask_now.set()
                recheck()

        for name, work in (("availability_watch", watch), ("availability", self._ask_all)):
            self._tasks.append(asyncio.create_task(keep_running(name, work, self._metrics), name=f"livecart {name}"))

    async def close(self) -> None:
        """End; whatever was asked last is not waited for."""
        for task in self._tasks:
            await end_task(task)

    # For decisions

    def offer(self, sku: str) -> Offer | str:
        known = self._known.get(sku)
        if known is None or self._age_s(known) > self._max_age_s:
            self.want((sku,))
            return WAITING
        return known.answer

    def last(self, sku: str) -> Offer | None:
        known = self._known.get(sku)
        return None if known is None else known.last

    def refused(self, reason: str) -> None:
        self._count.refusals.labels(reason).inc()

    # Questions

    def want(self, skus: Iterable[str]) -> None:
        """They may be shown soon, or are shown: ask with the next question, at once where nothing is known."""
        for sku in skus:
            if sku in self._asked:
                continue
            known = self._known.get(sku)
            age_s = math.inf if known is None else self._age_s(known)
            if age_s >= self._every_s / 2:
                self._add(sku)
            if age_s > self._max_age_s:
                self._ask_now.set()

    def changed(self, skus: Iterable[str]) -> None:
        """Somebody edited these products: whatever is known of them is asked again now."""
        for sku in skus:
            # What is asked about at this moment may be answered from before the edit.
            if sku in self._known or sku in self._asked:
                self._add(sku)
                self._ask_now.set()

    def all_changed(self) -> None:
        """Something changed that every answer depends on, such as the hosts that links may lead to."""
        fresh = [sku for sku, known in self._known.items() if self._age_s(known) <= self._max_age_s]
        self.changed({*fresh, *self._asked})

    def _add(self, sku: str) -> None:
        if sku not in self._waiting and len(self._waiting) >= _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self._count.dropped.inc()
        self._waiting[sku] = None

    def _age_s(self, known: _Known) -> float:
        confirmed_at_s = known.asked_at_s if isinstance(known.answer, str) else known.answer.confirmed_at_s
        # The clock may have been set back meanwhile: it is at least as old as the time since it was asked for.
        return max(self._clock() - confirmed_at_s, self._monotonic_s() - known.asked_monotonic_s)

    # Answers

    async def _ask_all(self) -> None:
        while True:
            await self._ask_now.wait()
            self._ask_now.clear()
            if self._waiting:
                skus = tuple(self._waiting)
                self._asked = frozenset(skus)
                self._waiting.clear()
                try:
                    asked_at_s, began_s = self._clock(), self._monotonic_s()
                    answers = await self._answers(skus)
                    self._count.seconds.observe(self._monotonic_s() - began_s)
                    self._take(answers, asked_at_s, began_s)
                finally:
                    self._asked = frozenset()

    async def _answers(self, skus: Sequence[str]) -> Mapping[str, Offer | str]:
        """One question; where it fails, halves of it, so that a product at which it fails costs the others nothing."""
        try:
            return await self._ask(skus)
        except Exception:  # noqa: BLE001  there is no card for what cannot be asked about
            if len(skus) > 1:
                middle = len(skus) // 2
                return {**await self._answers(skus[:middle]), **await self._answers(skus[middle:])}
            self._metrics.background_failure("availability")
            _log.exception("product %s: the catalog cannot be asked", skus[0])
            return {skus[0]: "failed"}

    def _take(self, answers: Mapping[str, Offer | str], asked_at_s: float, asked_monotonic_s: float) -> None:
        changed = set()
        for sku, answer in answers.items():
            self._count.answers.labels(answer if isinstance(answer, str) else "offered").inc()
            before = self._known.get(sku)
            last = (before.last if before else None) if isinstance(answer, str) else answer
            if before is None or self._age_s(before) > self._max_age_s or _differ(before.answer, answer):
                changed.add(sku)
            self._known[sku] = _Known(answer, asked_at_s, asked_monotonic_s, last)
        if changed:
            self._on_change(frozenset(changed))


def _differ(before: Offer | str, now: Offer | str) -> bool:
    if isinstance(before, str) or isinstance(now, str):
        return before != now
    return replace(before, confirmed_at_s=now.confirmed_at_s) != now


class _Counts:
    def __init__(self, metrics: LiveMetrics, waiting: Callable[[], int]) -> None:
        registry, prefix = metrics.registry, "livecart_live_availability"
        self.answers = Counter(
            f"{prefix}_answers",
            "Answers about products: `offered`, or why not: `unknown`, `off_sale`, `sold_out`, `link`, `not_known`"
            " (nothing young enough), `failed` (see the log)",
            ("answer",),
            registry=registry,
        )
        self.refusals = Counter(
            f"{prefix}_refusals", "Cards due or shown that may not be", ("reason",), registry=registry
        )
        self.dropped = Counter(
            f"{prefix}_dropped",
            "Products not asked about: of more than 5,000 that wait the oldest go",
            registry=registry,
        )
        self.seconds = Histogram(
            f"{prefix}_seconds", "One question, for all products in it", buckets=_BUCKETS_S, registry=registry
        )
        gauge = Gauge(f"{prefix}_waiting", "Products of the next question", registry=registry)
        gauge.set_function(waiting)
