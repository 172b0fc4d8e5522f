"""Clocks that pause, jump, wrap and repeat: no card comes twice or late. Ingest, queue and decision together."""

from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livecart.core.types import Frame
from livecart.live.decide import RoomDecision
from livecart.live.recognise.latest_frames import Job, LatestFrames
from livecart.live.video import IngestSettings
from livecart.live.video.read_guard import ReadGuard
from livecart.live.video.sampling import SampleGrid
from livecart.live.video.stats import ReaderStats
from livecart.live.video.timeline import LiveTimeline, StreamStalled
from tests.live.recognise.queues import PICTURE
from tests.live.recognise.tally import Tally
from tests.live.room_driver import ROOM, looked, product

FPS = 10
#: MPEG-TS counts 33 bits of 90 kHz; the stream begins shortly before they are full.
WRAP_S = 2**33 / 90_000
DURATION_S, SECOND_PRODUCT_S = 70.0, 35.0
ANSWER_S = 0.4
#: After a disturbance frames are fresh again within so long, and a product is announced within so long of fresh frames.
FRESH_WITHIN_S, ANNOUNCED_WITHIN_S = 4.0, 4.0

DISTURBANCES = st.one_of(
    st.tuples(st.just("pause"), st.floats(0.1, 12)),
    st.tuples(st.just("wall"), st.floats(-100_000, 100_000)),
    st.tuples(st.just("wrap"), st.just(0.0)),
    st.tuples(st.just("back"), st.floats(0.1, 30)),
    st.tuples(st.just("repeat"), st.floats(0.1, 3)),
)


class World:
    """A live stream of an encoder that is disturbed, read, and answered after `ANSWER_S`. Times are monotonic."""

    def __init__(self) -> None:
        self.now_s, self.wall_ahead_s, self.pts_ahead_s = 50.0, 1_700_000_000.0, WRAP_S - 20
        self.disturbed_until_s = [0.0]
        self.cards: list[tuple[str, str, float]] = []
        self.tally = Tally()
        self.queue = LatestFrames(2.0, metrics=self.tally, clock=self.wall_s)
        self.queue.open(ROOM)
        self.decision = RoomDecision(ROOM, clock=self.wall_s, monotonic=lambda: self.now_s)
        self._connect()
        self._asked: tuple[Job, str, float] | None = None
        self._stale = 0

    def wall_s(self) -> float:
        return self.now_s + self.wall_ahead_s

    def _connect(self) -> None:
        self._timeline = LiveTimeline(IngestSettings(), ReadGuard(), ReaderStats())
        self._grid = SampleGrid(1.0)

    def disturb(self, kind: str, size_s: float) -> float:
        """Seconds for which the timestamps stand still."""
        if kind == "pause":
            self.now_s += size_s
        elif kind == "wall":
            self.wall_ahead_s += size_s
        elif kind == "wrap":
            self.pts_ahead_s -= WRAP_S
        elif kind == "back":
            self.pts_ahead_s -= size_s
        still_s = size_s if kind == "repeat" else 0.0
        self.disturbed_until_s.append(self.now_s + still_s)
        return still_s

    def packet(self, pts_s: float, sku: str) -> None:
        """A packet arrives now, `sku` is in its picture."""
        try:
            self._timeline.packet_came(pts_s)
        except StreamStalled:
            self._connect()
            self._timeline.packet_came(pts_s)
        self._grid.follow_jump(pts_s)
        if self._grid.take(pts_s):
            self.queue.offer(Frame(ROOM, PICTURE, pts_s, self._timeline.captured_at_s(pts_s)))
            self._timeline.handed_on()
            if self._asked is None and (job := self.queue.poll()) is not None:
                self._asked = job, sku, self.now_s + ANSWER_S
        stale = self.tally.outcomes["stale"]
        assert stale == self._stale or self.now_s <= max(self.disturbed_until_s) + FRESH_WITHIN_S
        self._stale = stale

    def answer(self) -> None:
        """What was asked is answered once its time has come."""
        if self._asked is not None and self.now_s >= self._asked[2]:
            (job, sku, _), self._asked = self._asked, None
            assert self.queue.accept(job) == "answered"
            pts_s, captured_at_s = job.frame.key
            self._note(self.decision.on_result(looked(pts_s, product(sku), captured_at_s=captured_at_s)))
            self.queue.done(job)

    def tick(self) -> None:
        self._note(self.decision.tick(self.now_s))

    def _note(self, events) -> None:
        self.cards += [(each.event, each.sku, self.now_s) for each in events if each.event != "update"]


@given(disturbances=st.lists(st.tuples(st.integers(20, int(DURATION_S * FPS) - 60), DISTURBANCES), max_size=5))
@settings(max_examples=60, deadline=None)
@example(disturbances=[(200, ("wall", 3600.0))])
@example(disturbances=[(200, ("pause", 5.0)), (210, ("wall", -5.0)), (340, ("wrap", 0.0))])
def test_no_card_comes_twice_or_late_by_a_clock(disturbances):
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        clock = SimpleNamespace(monotonic=lambda: world.now_s, time=world.wall_s)
        patch.setattr("livecart.live.video.timeline.time", clock)
        still_until = 0
        appeared_s = {"a": world.now_s}
        for index in range(int(DURATION_S * FPS)):
            for at, (kind, size_s) in disturbances:
                if at == index:
                    still_until = max(still_until, index + round(world.disturb(kind, size_s) * FPS))
            sku = "a" if index < SECOND_PRODUCT_S * FPS else "b"
            appeared_s.setdefault(sku, world.now_s)
            if index < still_until:
                world.pts_ahead_s -= 1 / FPS
            world.answer()
            world.packet(world.pts_ahead_s + index / FPS, sku)
            if index % FPS == 0:
                world.tick()
            world.now_s += 1 / FPS
    assert [each[:2] for each in world.cards] == [("card", "a"), ("withdraw", "a"), ("card", "b")]
    for event, sku, at_s in world.cards:
        if event == "card":
            fresh_s = [until_s + FRESH_WITHIN_S for until_s in world.disturbed_until_s if until_s <= at_s]
            assert at_s <= max(appeared_s[sku], *fresh_s) + ANNOUNCED_WITHIN_S
