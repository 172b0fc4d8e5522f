"""One room, from its stream to its card events.

    reader's thread:  frame ─▶ gate ─▶ mailbox       "unchanged", "followed" ─┐
    event loop:       dispatcher ─▶ recogniser ─▶ look ─▶ decision ◀──────────┘ ─▶ outbox
                                           gate, pace ◀─ what was seen ─┘

The decision is touched in the event loop only. A live room's frames never wait: the newest wins. A file's frames go
one after the other (`lossless`): the next one is judged when the decision knows the one before, so that a file gives
the same cards however fast the recogniser is, and a frame's time to its card holds no waiting behind other frames.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from livecart.pipeline.awaited_look import AwaitedLook
from livecart.pipeline.decision import RoomDecision, RoomState
from livecart.pipeline.decision.offers import Offers
from livecart.pipeline.familiar import FrameKey, Seen
from livecart.pipeline.feed import Feed, WhipFeed, open_feed
from livecart.pipeline.gate import Gate, Verdict
from livecart.pipeline.loop_calls import LoopCalls
from livecart.pipeline.mailbox import Mailbox
from livecart.pipeline.meter import Outcome
from livecart.pipeline.metrics import LiveMetrics
from livecart.pipeline.plan import RoomPlan
from livecart.pipeline.room_pace import RoomPace
from livecart.pipeline.scenery import ShareBox
from livecart.pipeline.sinks import RoomSink
from livecart.types import CardEvent, Frame, Look, RoomView, StreamState

_log = logging.getLogger(__name__)

#: At the end of a file that plays in real time: how long its last frames may still be at the recogniser.
_LAST_LOOKS_S = 5.0
#: For so long an answer is waited for before the recogniser is asked about a further frame of the room.
_ANSWER_S = 1.5


@dataclass(frozen=True, slots=True)
class Shared:
    """What all rooms of a process use together."""

    loop: asyncio.AbstractEventLoop
    mailbox: Mailbox
    sink: RoomSink
    metrics: LiveMetrics
    #: What may be shown; None: whatever the recogniser names.
    offers: Offers | None = None


class RoomRunner:
    """Runs one room from `start` to `stop`. All methods belong to the event loop.

    Args:
        plan: how.
        shared: what all rooms use.
        last_event_id: id of the room's newest event; its events go on after it.
        state: where an earlier runner of the room stopped; its cards go on.

    Raises:
        SettingsError: the source cannot be used.
    """

    def __init__(
        self, plan: RoomPlan, shared: Shared, *, last_event_id: int = 0, state: RoomState | None = None
    ) -> None:
        self.plan = plan
        #: Set when a file was read to its end and its last look is decided.
        self.finished = asyncio.Event()
        self._shared = shared
        self._gate = None if plan.gate is None else Gate(plan.gate)
        self._decision = RoomDecision(
            plan.room, plan.decision, last_event_id=last_event_id, state=state, offers=shared.offers
        )
        self._state: StreamState = "connecting"
        self._detail = "starting"
        self._since_s = time.time()
        self._stopping = False
        self._awaited = AwaitedLook()
        self._in_loop = LoopCalls(shared.loop, shared.metrics, plan.room)
        self._pace = RoomPace(plan.ingest, lossless=plan.lossless)
        self._newest_pts_s: float | None = None
        #: Since the last answer a frame was passed over that was worth a look.
        self._passed_over = False
        self._feed: Feed = open_feed(plan, self._deliver, self._on_state, self._pace.pace)

    @property
    def decision(self) -> RoomDecision:
        """For the host's wishes, through `apply`, which emits what follows from them."""
        return self._decision

    @property
    def failure(self) -> Exception | None:
        """What went wrong with the stream last; of a file, why it was not read to its end."""
        return self._feed.failure

    @property
    def whip(self) -> WhipFeed | None:
        """The feed, if it is one that a sender connects to."""
        return self._feed if isinstance(self._feed, WhipFeed) else None

    def start(self) -> None:
        """Begin to read."""
        self._shared.mailbox.open(self.plan.room)
        if self.plan.products is not None:
            self._emit(self._decision.set_products(self.plan.products))
        self._feed.start()

    def signal(self) -> None:
        """Begin to stop, without waiting: for many rooms that are to end together."""
        self._stopping = True
        self._shared.mailbox.close(self.plan.room)
        self._feed.signal()

    async def stop(self, *, keep_cards: bool = False, timeout_s: float = 1.5) -> RoomState:
        """End the room; its cards are withdrawn unless another runner is to go on with the state.

        A reader that has not ended in time (it hangs in a name look-up) is counted and logged; it delivers
        nothing more.
        """
        self.signal()
        if not await self._feed.stop(timeout_s):
            self._shared.metrics.background_failure("reader_left")
            _log.warning("room %s: its reader has not ended within %g s", self.plan.room, timeout_s)
        if not keep_cards:
            self._emit(self._decision.close("room_closed"))
        self.finished.set()
        return self._decision.state()

    def set_products(self, plan: RoomPlan) -> None:
        """Take over a plan that differs in nothing but the products."""
        self.plan = plan
        self._emit(self._decision.set_products(plan.products))

    def apply(self, wish: Callable[[RoomDecision], list[CardEvent]]) -> None:
        """Do what the host asks of the decision, and emit what follows from it.

        Raises:
            SettingsError: the decision refuses it.
        """
        self._emit(wish(self._decision))

    def on_look(self, look: Look) -> None:
        """The recogniser answered."""
        began_s = time.perf_counter()
        events = self._decision.on_look(look)
        self._shared.metrics.decision(time.perf_counter() - began_s)
        self._shared.metrics.look(time.time() - look.captured_at_s, look.stage_seconds)
        key = (look.pts_s, look.captured_at_s)
        like = self._awaited.answered(key)
        if like is not None:
            events += self._decision.on_unchanged(*like)
        self._emit(events)
        if self._gate is not None:
            decision = self._decision
            shown, unsure = decision.shown_in_sight, decision.unsure_in_sight
            state = {"undecided": decision.deciding, "missing": decision.missing}
            self._gate.told(key, Seen(decision.in_sight, shown, unsure, **state))
        self._pace.decided(look, deciding=self._decision.deciding)
        self._catch_up()

    def on_lost(self, frame: Frame, _outcome: Outcome) -> None:
        """A frame was not answered: what looks like it is unknown as well, so the next one is to be looked at."""
        key = (frame.pts_s, frame.captured_at_s)
        self._awaited.lost(key)
        if self._gate is not None:
            self._gate.lost(key)
        self._want_look()
        self._catch_up()

    def on_stale(self) -> None:
        """A frame grew too old in the mailbox."""
        self._awaited.forget()
        if self._gate is not None:
            self._gate.lost(None)
        self._want_look()

    def on_offers(self, skus: frozenset[str]) -> None:
        """The shop's answer about these products changed."""
        known = [sku for sku in skus if self._decision.knows(sku)]
        if known and not self._stopping and not self.finished.is_set():
            self._emit(self._decision.on_offers(known))
            # A still picture says nothing new by itself, and what it said before may be forgotten.
            self._want_look()

    def recheck_offers(self) -> None:
        """Withdraw cards whose products were not confirmed in time."""
        self._emit(self._decision.recheck_offers())

    def tick(self, now_s: float, *, short: bool = False) -> None:
        """Wall clock passes; `short`: the machine cannot follow all rooms.

        A file's time is its own, so that nothing follows from it there.
        """
        self._pace.set_short(short=short)
        if not self.plan.lossless and not self.finished.is_set():
            self._emit(self._decision.tick(now_s))

    def view(self) -> RoomView:
        """The room as it is now."""
        counts = self._feed.stats.snapshot()
        state = self._decision.state()
        return RoomView(
            id=self.plan.room,
            source=self.plan.shown,
            state=self._state,
            detail=self._detail,
            since_s=self._since_s,
            rate_hz=self.plan.ingest.rate_hz,
            products=None if self.plan.products is None else sorted(self.plan.products),
            pinned=state.pinned,
            muted=sorted(state.muted_until_s),
            cards=[product.candidate.sku for product in state.products if product.card is not None],
            decode_mode=counts.decode_mode,
            frames_sampled=counts.frames_sampled,
            frames_decoded=counts.frames_decoded,
            gate={} if self._gate is None else {str(reason): count for reason, count in self._gate.counts.items()},
            connections=counts.connections,
            failures=counts.failures,
            stalls=counts.stalls,
            last_event_id=state.last_event_id,
        )

    # In the reader's thread

    def _deliver(self, frame: Frame) -> None:
        if self._stopping:
            return
        key = (frame.pts_s, frame.captured_at_s)
        self._newest_pts_s = frame.pts_s
        verdict = self._judge(frame)
        if verdict is not None and verdict.arrival:
            self._pace.arrived(frame)
        if verdict is not None and verdict.reason == "awaited":
            self._passed_over = True
        if verdict is None or verdict.look:
            if verdict is not None and verdict.focus is not None:
                frame = verdict.focused(frame)
                self._shared.metrics.confined(self.plan.room)
            # Told before it is put: the event loop hears of it before it can hear of its look.
            self._in_loop.call(self._awaited.sent, key)
            if self.plan.lossless:
                self._shared.mailbox.put_blocking(frame)
                self._shared.mailbox.wait_idle(self.plan.room)
            else:
                self._shared.mailbox.put(frame)
        elif verdict.reason in ("unchanged", "familiar", "followed"):
            if verdict.reason != "unchanged":
                self._in_loop.call(self._shared.sink.saw_frame, frame)
            told = self._in_loop.call(self._on_unchanged, key, verdict.boxes)
            if self.plan.lossless and told is not None:
                told.result()

    def _judge(self, frame: Frame) -> Verdict | None:
        """The gate's verdict; None without a gate."""
        if self._gate is None:
            return None
        began_s = time.perf_counter()
        awaited = not self.plan.lossless and self._shared.mailbox.awaits(self.plan.room, _ANSWER_S)
        verdict = self._gate.judge(frame, awaited=awaited)
        self._shared.metrics.gate(time.perf_counter() - began_s)
        return verdict

    def _on_state(self, state: StreamState, detail: str) -> None:
        if state == "ended":
            self._shared.mailbox.wait_idle(self.plan.room, _LAST_LOOKS_S)
        self._in_loop.call(self._enter, state, detail)

    # In the event loop

    def _on_unchanged(self, key: FrameKey, followed: Mapping[str, ShareBox]) -> None:
        if self._stopping:
            return
        if followed:
            # Followed from a look that was answered, whether or not a newer one is awaited.
            self._emit(self._decision.on_unchanged(*key, followed))
        elif not self._awaited.hold(key):
            self._emit(self._decision.on_unchanged(*key))

    def _enter(self, state: StreamState, detail: str) -> None:
        if (state, detail) != (self._state, self._detail):
            _log.info("room %s: %s: %s", self.plan.room, state, detail)
        if state != self._state:
            self._since_s = time.time()
        self._state, self._detail = state, detail
        if state == "ended" and not self._stopping:
            self._emit(self._decision.close("room_closed"))
            self.finished.set()

    def _emit(self, events: list[CardEvent]) -> None:
        for event in events:
            self._shared.sink.put(event)
        if self._decision.undecided:
            self._want_look()

    def look_again(self) -> None:
        """Take the next good frame, soon, for a new one: the recogniser knows other products now."""
        self._want_look()
        if self._newest_pts_s is not None:
            self._pace.wanted(self._newest_pts_s)

    def _catch_up(self) -> None:
        """A frame was passed over while this answer was awaited: the next one soon."""
        passed_over, self._passed_over = self._passed_over, False
        if passed_over and self._newest_pts_s is not None:
            self._pace.passed_over(self._newest_pts_s)

    def _want_look(self) -> None:
        if self._gate is not None:
            self._gate.want_look()
