"""Whatever comes in whatever order: nobody starves, no frame goes unaccounted for, each room gets its share."""

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from livecart.core.types import Frame
from tests.live.recognise.queues import ROOMS, frame, queue_of, take


class QueueRules(RuleBasedStateMachine):
    """Whatever is offered, polled, closed and opened in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.queue, self.tally, self.clock = queue_of(*ROOMS)
        self.open = set(ROOMS)
        self.newest: dict[str, Frame] = {}
        #: For each waiting room how often others were served since it began to wait.
        self.passed_over: dict[str, int] = {}
        self.offered_count = self.polled_count = 0

    @rule(room=st.sampled_from(ROOMS), age_s=st.floats(0, 3))
    def offer(self, room: str, age_s: float) -> None:
        each = frame(room, self.clock.now_s - age_s)
        self.offered_count += 1
        assert self.queue.offer(each) == (room in self.open)
        if room in self.open:
            self.newest[room] = each
            self.passed_over.setdefault(room, 0)

    @precondition(lambda self: self.newest)
    @rule()
    def poll(self) -> None:
        waiting = dict(self.newest)
        job = self.queue.poll()
        for room, old in waiting.items():
            # What was passed over on the way to the job was too old.
            if self.queue._rooms[room].slot is None and (job is None or job.frame is not old):
                assert self.clock.now_s - old.captured_at_s > self.queue.max_age_s
                del self.newest[room], self.passed_over[room]
        if job is None:
            assert not self.newest
            return
        room = job.frame.room
        assert job.frame is waiting[room]
        assert self.clock.now_s - job.frame.captured_at_s <= self.queue.max_age_s
        self.polled_count += 1
        del self.newest[room], self.passed_over[room]
        for other in self.passed_over:
            self.passed_over[other] += 1

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @rule(room=st.sampled_from(ROOMS))
    def close(self, room: str) -> None:
        self.queue.close(room)
        self.open.discard(room)
        self.newest.pop(room, None)
        self.passed_over.pop(room, None)

    @rule(room=st.sampled_from(ROOMS))
    def reopen(self, room: str) -> None:
        self.queue.open(room)
        self.open.add(room)

    @invariant()
    def nobody_starves(self) -> None:
        assert all(turns < len(ROOMS) for turns in self.passed_over.values())

    @invariant()
    def every_frame_is_accounted_for(self) -> None:
        assert len(self.queue) == len(self.newest)
        assert self.offered_count == self.polled_count + self.tally.outcomes.total() + len(self.newest)


TestQueueRules = QueueRules.TestCase
TestQueueRules.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(rates=st.lists(st.integers(1, 9), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_under_load_each_room_gets_its_share_whatever_its_rate(rates):
    """Between two turns each room puts as many frames as its rate says; all are served equally often."""
    rooms = [f"room {number}" for number in range(len(rates))]
    queue, _, _ = queue_of(*rooms)
    served: Counter = Counter()

    async def serve() -> None:
        for _ in range(12 * len(rooms)):
            for room, rate in zip(rooms, rates, strict=True):
                for _ in range(rate):
                    queue.offer(frame(room))
            served[(await take(queue)).frame.room] += 1

    asyncio.run(serve())
    assert set(served.values()) == {12}
