"""One room, from its stream to its card events.

    reader's thread:  frame ─▶ gate ─▶ in flight, queue     "unchanged", "tracked" ─┐
    event loop:       dispatcher ─▶ recogniser ─▶ detections ─▶ decision ◀──────────┘ ─▶ enrich ─▶ outbox
                                          gate, sampling ◀─ what is in sight ─┘

The decision is touched in the event loop only, the gate's model in the reader's thread only. A live room's frames never
wait: the newest wins. A file's frames go one after the other (`lossless`): the gate sees the next one when the decision
knows the one before, so that a file gives the same cards however fast the recogniser is, and a frame's time to its card
holds no waiting behind other frames.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from contract.card import CardEvent
from livecart.core.background import LoopCalls
from livecart.core.overlay_position import share_box
from livecart.core.settings import WHIP_SOURCE
from livecart.core.types import Detections, Frame, RoomView, StreamState
from livecart.live.decide import RoomDecision, RoomState
from livecart.live.decide.availability import Availability
from livecart.live.enrich.enricher import Enricher
from livecart.live.gate.gate import FrameGate, GateDecision, Result
from livecart.live.in_flight import InFlight
from livecart.live.metrics import LiveMetrics
from livecart.live.mirroring import Mirroring
from livecart.live.plan import RoomPlan
from livecart.live.recognise.latest_frames import LatestFrames
from livecart.live.sampling_controller import SamplingController
from livecart.live.video import StreamReader
from livecart.live.video.picture import MaskedPicture
from livecart.live.video.whip import WhipEndpoint

_log = logging.getLogger(__name__)

#: At the end of a file that plays in real time: how long its last frames may still be at the recogniser.
_LAST_RESULTS_S = 5.0


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts that all rooms of a process share."""

    loop: asyncio.AbstractEventLoop
    queue: LatestFrames
    enricher: Enricher
    metrics: LiveMetrics
    #: What may be shown; None: whatever the recogniser names.
    availability: Availability | None = None


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
        #: Set when a file was read to its end and its last result is decided.
        self.finished = asyncio.Event()
        self._shared = shared
        self._gate = None if plan.gate is None else FrameGate(plan.gate)
        self._decision = RoomDecision(
            plan.room, plan.decision, last_event_id=last_event_id, state=state, availability=shared.availability
        )
        self._state: StreamState = "connecting"
        self._detail = "starting"
        self._since_s = time.time()
        self._stopping = False
        self._in_flight = InFlight()
        self._mirroring = Mirroring(plan.mirror)
        self._in_loop = LoopCalls(shared.loop, shared.metrics, f"room {plan.room}")
        self._sampling = SamplingController(plan.ingest, lossless=plan.lossless)
        self._newest_pts_s: float | None = None
        callbacks = (self._on_frame, self._on_state)
        self._feed: StreamReader | WhipEndpoint
        if plan.source == WHIP_SOURCE:
            self._feed = WhipEndpoint(plan.room, plan.ingest, *callbacks, rate=self._sampling.rate)
        else:
            self._feed = StreamReader(plan.source, plan.room, plan.ingest, *callbacks, rate=self._sampling.rate)

    @property
    def decision(self) -> RoomDecision:
        """For the host's wishes, through `apply`, which emits what follows from them."""
        return self._decision

    @property
    def failure(self) -> Exception | None:
        """The stream's last failure; of a file, why it was not read to its end."""
        return self._feed.failure

    @property
    def whip(self) -> WhipEndpoint | None:
        """The feed, if it is one that a sender connects to."""
        return self._feed if isinstance(self._feed, WhipEndpoint) else None

    def start(self) -> None:
        self._shared.queue.open(self.plan.room)
        if self.plan.products is not None:
            self._emit(self._decision.set_products(self.plan.products))
        self._feed.start()

    def signal(self) -> None:
        """Begin to stop, without waiting: for many rooms that are to end together."""
        self._stopping = True
        self._shared.queue.close(self.plan.room)
        self._feed.signal()

    async def stop(self, *, keep_cards: bool = False, timeout_s: float = 1.5) -> RoomState:
        """End the room; its cards are withdrawn unless another runner is to go on with the state.

        A reader that has not ended in time (it waits for a name, or for RTMP or RTSP; `StreamReader.stop`) is counted
        and logged; it delivers nothing more.
        """
        self.signal()
        if not await self._feed.close(timeout_s):
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

    # A frame's way: in the reader's thread

    def _on_frame(self, frame: Frame) -> None:
        if self._stopping:
            return
        self._newest_pts_s = frame.pts_s
        if self.plan.ignore_regions:
            frame = self._masked(frame)
        decision = self._gate_decision(frame)
        if decision is None:
            self._submit(frame)
            return
        if decision.arrival:
            self._sampling.arrived(frame)
        if decision.needs_look:
            if decision.roi is not None:
                self._shared.metrics.roi_frame(self.plan.room)
            self._submit(decision.with_roi(frame), decision)
        elif decision.says_nothing_new:
            self._skip(frame, decision)
        elif decision.reason == "pending":
            self._in_flight.pass_over()

    def _masked(self, frame: Frame) -> Frame:
        """Without what is to be ignored: neither gate nor recogniser, nor whoever cuts products out, sees it."""
        size = frame.picture.width_px, frame.picture.height_px
        hidden = [share_box(region, *size) for region in self.plan.ignore_regions]
        return replace(frame, picture=MaskedPicture(frame.picture, hidden))

    def _gate_decision(self, frame: Frame) -> GateDecision | None:
        """The gate's; None without a gate."""
        if self._gate is None:
            return None
        began_s = time.perf_counter()
        # A frame that still waits here is replaced by this one.
        in_flight = self._in_flight.is_pending() and not self._shared.queue.has_waiting(self.plan.room)
        decision = self._gate.decide(frame, in_flight=in_flight and not self.plan.lossless)
        self._shared.metrics.stage("gate", time.perf_counter() - began_s)
        return decision

    def _submit(self, frame: Frame, decision: GateDecision | None = None) -> None:
        frame = replace(frame, mirror=self._mirroring.option())
        # Recorded first: its result may come at once.
        self._in_flight.submit(frame.key, None if decision is None else decision.submitted)
        if self.plan.lossless:
            self._shared.queue.offer_and_wait(frame)
        else:
            self._shared.queue.offer(frame)

    def _skip(self, frame: Frame, decision: GateDecision) -> None:
        """Tell the decision of a frame in which nothing is new."""
        if decision.reason != "unchanged":
            self._in_loop.call(self._shared.enricher.saw_frame, frame)
        # What is tracked follows from a result that is known, whether or not a newer frame is in flight.
        if decision.boxes or not self._in_flight.hold(frame.key):
            done = self._in_loop.call(self._on_skipped, frame, decision)
            if self.plan.lossless and done is not None:
                done.result()

    # A frame's way: in the event loop

    def _on_skipped(self, frame: Frame, decision: GateDecision) -> None:
        if not self._stopping:
            self._emit(self._decision.on_unchanged(*frame.key, decision.boxes))

    def on_result(self, detections: Detections) -> None:
        self._mirroring.on_result(detections)
        began_s = time.perf_counter()
        events = self._decision.on_result(detections)
        self._shared.metrics.stage("decide", time.perf_counter() - began_s)
        self._shared.metrics.result(time.time() - detections.captured_at_s, detections.stage_seconds)
        ended = self._in_flight.end(detections.key)
        if ended.duplicate is not None:
            events += self._decision.on_unchanged(*ended.duplicate)
        self._emit(events)
        in_sight = self._decision.in_sight
        if self._gate is not None:
            self._gate.on_result(Result(ended.submitted, in_sight))
        self._sampling.on_result(detections, pending=in_sight.pending)
        if ended.passed_over:
            self._catch_up()

    def on_lost(self, frame: Frame) -> None:
        """A frame has no result: what looks like it is unknown as well, so that the next one needs a look."""
        ended = self._in_flight.end(frame.key, is_lost=True)
        self._on_lost()
        if ended.passed_over:
            self._catch_up()

    def on_stale(self) -> None:
        """A frame grew too old in the queue."""
        self._in_flight.clear()
        self._on_lost()

    def _on_lost(self) -> None:
        if self._gate is not None:
            self._gate.on_lost()
            self._gate.want_look()

    def _catch_up(self) -> None:
        """Sample the next frame soon: one was passed over while this result was pending."""
        if self._newest_pts_s is not None:
            self._sampling.passed_over(self._newest_pts_s)

    def on_snapshot_change(self) -> None:
        """Take the next good frame, soon, for a new one: the recogniser knows other products now."""
        self._want_look()
        if self._newest_pts_s is not None:
            self._sampling.wanted(self._newest_pts_s)

    def _emit(self, events: list[CardEvent]) -> None:
        for event in events:
            self._shared.enricher.put(event)
        if self._decision.needs_look:
            self._want_look()

    def _want_look(self) -> None:
        if self._gate is not None:
            self._gate.want_look()

    # The stream

    def _on_state(self, state: StreamState, detail: str) -> None:
        """In the reader's thread."""
        if state == "ended":
            self._shared.queue.wait_idle(self.plan.room, _LAST_RESULTS_S)
        self._in_loop.call(self._enter, state, detail)

    def _enter(self, state: StreamState, detail: str) -> None:
        if (state, detail) != (self._state, self._detail):
            _log.info("room %s: %s: %s", self.plan.room, state, detail)
        if state != self._state:
            self._since_s = time.time()
        self._state, self._detail = state, detail
        if state == "ended" and not self._stopping:
            self._emit(self._decision.close("room_closed"))
            self.finished.set()

    # What else happens to a room

    def on_availability(self, skus: frozenset[str]) -> None:
        known = [sku for sku in skus if self._decision.knows(sku)]
        if known and not self._stopping and not self.finished.is_set():
            self._emit(self._decision.on_availability(known))
            # A still picture says nothing new by itself, and what it said before may be forgotten.
            self._want_look()

    def recheck_availability(self) -> None:
        """Withdraw cards whose products were not confirmed in time."""
        self._emit(self._decision.recheck_availability())

    def tick(self, now_s: float, *, short: bool = False) -> None:
        """Time passes, of `time.monotonic`; `short`: the machine cannot follow all rooms.

        A file's time is its own, so that nothing follows from it there.
        """
        self._sampling.set_short(short=short)
        if not self.plan.lossless and not self.finished.is_set():
            self._emit(self._decision.tick(now_s))

    def view(self) -> RoomView:
        counts = self._feed.stats.snapshot()
        state = self._decision.state()
        return RoomView(
            id=self.plan.room,
            source=self.plan.shown,
            state=self._state,
            detail=self._detail,
            since_s=self._since_s,
            rate_hz=self.plan.ingest.rate_hz,
            mirrored=self._mirroring.mirrored,
            products=None if self.plan.products is None else sorted(self.plan.products),
            pinned=state.host.pinned,
            muted=sorted(state.host.muted_until_s),
            cards=[detection.sku for detection in self._decision.shown],
            decode_mode=counts.decode_mode,
            frames_sampled=counts.frames_sampled,
            frames_decoded=counts.frames_decoded,
            gate={} if self._gate is None else {str(reason): count for reason, count in self._gate.counts.items()},
            connections=counts.connections,
            failures=counts.failures,
            stalls=counts.stalls,
            last_event_id=state.last_event_id,
        )
