"""Whatever comes in whatever order: nobody starves, no frame goes unaccounted for, each room gets its share."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from mailboxes import ROOMS, frame, mailbox, take

from livecart.types import Frame


class MailboxRules(RuleBasedStateMachine):
    """Whatever is put, taken, closed and opened in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.box, self.tally, self.clock = mailbox(*ROOMS)
        self.open = set(ROOMS)
        self.newest: dict[str, Frame] = {}
        #: For each waiting room how often others were served since it began to wait.
        self.passed_over: dict[str, int] = {}
        self.put_count = self.taken_count = 0

    @rule(room=st.sampled_from(ROOMS), age_s=st.floats(0, 3))
    def put(self, room: str, age_s: float) -> None:
        each = frame(room, self.clock.now_s - age_s)
        self.put_count += 1
        assert self.box.put(each) == (room in self.open)
        if room in self.open:
            self.newest[room] = each
            self.passed_over.setdefault(room, 0)

    @precondition(lambda self: self.newest)
    @rule()
    def take(self) -> None:
        waiting = dict(self.newest)
        letter, stale = self.box._next()
        for old in stale:
            assert self.clock.now_s - old.frame.captured_at_s > self.box.max_age_s
            assert self.newest.pop(old.frame.room) is old.frame
            del self.passed_over[old.frame.room]
            self.tally.frame(old.frame.room, "stale")
        if letter is None:
            assert not self.newest
            return
        room = letter.frame.room
        assert letter.frame is waiting[room]
        assert self.clock.now_s - letter.frame.captured_at_s <= self.box.max_age_s
        self.taken_count += 1
        del self.newest[room], self.passed_over[room]
        for other in self.passed_over:
            self.passed_over[other] += 1

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @rule(room=st.sampled_from(ROOMS))
    def close(self, room: str) -> None:
        self.box.close(room)
        self.open.discard(room)
        self.newest.pop(room, None)
        self.passed_over.pop(room, None)

    @rule(room=st.sampled_from(ROOMS))
    def reopen(self, room: str) -> None:
        self.box.open(room)
        self.open.add(room)

    @invariant()
    def nobody_starves(self) -> None:
        assert all(turns < len(ROOMS) for turns in self.passed_over.values())

    @invariant()
    def every_frame_is_accounted_for(self) -> None:
        assert len(self.box) == len(self.newest)
        assert self.put_count == self.taken_count + self.tally.outcomes.total() + len(self.newest)


TestMailboxRules = MailboxRules.TestCase
TestMailboxRules.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(rates=st.lists(st.integers(1, 9), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_under_load_each_room_gets_its_share_whatever_its_rate(rates):
    """Between two turns each room puts as many frames as its rate says; all are served equally often."""
    rooms = [f"room {number}" for number in range(len(rates))]
    box, _, _ = mailbox(*rooms)
    served: Counter = Counter()

    async def serve() -> None:
        for _ in range(12 * len(rooms)):
            for room, rate in zip(rooms, rates, strict=True):
                for _ in range(rate):
                    box.put(frame(room))
            served[(await take(box)).frame.room] += 1

    asyncio.run(serve())
    assert set(served.values()) == {12}
