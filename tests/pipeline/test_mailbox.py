"""One slot a room, the newest frame wins, nobody starves, nothing old is handed out."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from livecart.errors import SettingsError
from livecart.pipeline.ingest.picture import ArrayPicture
from livecart.pipeline.mailbox import Letter, Mailbox
from livecart.pipeline.meter import Tally
from livecart.types import Frame

PICTURE = ArrayPicture(np.zeros((4, 4, 3), np.uint8))
ROOMS = ("a", "b", "c", "d")
PATIENCE_S = 60


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def frame(room: str, captured_at_s: float = 1000.0) -> Frame:
    return Frame(room, PICTURE, captured_at_s, captured_at_s)


def mailbox(*rooms: str, **options) -> tuple[Mailbox, Tally, Clock]:
    tally, clock = Tally(), Clock()
    box = Mailbox(options.pop("max_age_s", 2.0), meter=tally, clock=clock, **options)
    for room in rooms:
        box.open(room)
    return box, tally, clock


async def take(box: Mailbox) -> Letter:
    letter = await asyncio.wait_for(box.take(), PATIENCE_S)
    assert letter is not None
    return letter


def in_thread(call, *arguments) -> tuple[threading.Thread, list]:
    results: list = []
    thread = threading.Thread(target=lambda: results.append(call(*arguments)))
    thread.start()
    return thread, results


def joined(thread: threading.Thread) -> None:
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


async def test_the_newest_frame_wins_and_the_other_is_counted():
    box, tally, _ = mailbox("a")
    old, new = frame("a"), frame("a", 1000.5)
    assert box.put(old)
    assert box.put(new)
    assert (await take(box)).frame is new
    assert tally.outcomes == {"replaced": 1}
    assert tally.stage_seconds["queue"][0] == 1


async def test_an_answer_is_awaited_until_it_is_there_or_another_frame_waits():
    box, _, _ = mailbox("a", "b")
    assert not box.awaits("a", 60)
    box.put(frame("a"))
    assert not box.awaits("a", 60)
    taken = await take(box)
    assert box.awaits("a", 60)
    assert not any(box.awaits(room, within_s) for room, within_s in (("a", 0), ("b", 60), ("none", 60)))
    box.put(frame("a"))
    assert not box.awaits("a", 60)
    box.done(taken)
    box.done(await take(box))
    assert not box.awaits("a", 60)


async def test_an_old_frame_is_never_handed_out():
    box, tally, clock = mailbox("a", "b")
    box.put(frame("a"))
    clock.now_s += 2.001
    fresh = frame("b", clock.now_s)
    box.put(fresh)
    assert (await take(box)).frame is fresh
    assert tally.outcomes == {"stale": 1}


async def test_a_room_that_was_served_goes_last():
    box, _, _ = mailbox("busy", "quiet")
    box.put(frame("busy"))
    box.put(frame("quiet"))
    assert (await take(box)).frame.room == "busy"
    box.put(frame("busy"))
    box.put(frame("busy"))
    assert (await take(box)).frame.room == "quiet"


async def test_take_waits_for_a_frame_from_another_thread():
    box, _, _ = mailbox("a")
    taking = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    thread, results = in_thread(box.put, frame("a"))
    letter = await asyncio.wait_for(taking, PATIENCE_S)
    await asyncio.to_thread(joined, thread)
    assert results == [True]
    assert letter is not None


async def test_a_cancelled_taker_loses_nothing():
    box, _, _ = mailbox("a")
    taking = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    box.put(frame("a"))
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert (await take(box)).frame.room == "a"


async def test_two_takers_share_what_comes():
    box, _, _ = mailbox("a", "b")
    takers = [asyncio.create_task(box.take()) for _ in range(2)]
    await asyncio.sleep(0)
    for room in "ab":
        box.put(frame(room))
    letters = await asyncio.wait_for(asyncio.gather(*takers), PATIENCE_S)
    assert {letter.frame.room for letter in letters} == {"a", "b"}


async def test_a_closed_room_takes_no_frames_and_its_waiting_one_is_dropped():
    box, tally, _ = mailbox("a", "b")
    box.put(frame("a"))
    box.put(frame("b"))
    box.close("a")
    assert not box.put(frame("a"))
    assert (await take(box)).frame.room == "b"
    assert tally.outcomes == {"closed": 2}
    assert len(box) == 0


async def test_a_letter_of_an_earlier_opening_is_not_wanted():
    box, _, _ = mailbox("a")
    box.put(frame("a"))
    letter = await take(box)
    assert box.is_wanted(letter)
    box.close("a")
    assert not box.is_wanted(letter)
    box.open("a")
    assert not box.is_wanted(letter)
    box.put(frame("a"))
    assert box.is_wanted(await take(box))


async def test_closing_everything_ends_the_taker():
    box, tally, _ = mailbox("a")
    taking = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    box.close_all()
    assert await asyncio.wait_for(taking, PATIENCE_S) is None
    box.open("a")
    assert not box.put(frame("a"))
    assert tally.outcomes == {"closed": 1}


async def test_a_lossless_reader_waits_and_nothing_is_lost_or_stale():
    box, tally, clock = mailbox("file")
    frames = [frame("file", 1000.0 + number) for number in range(50)]
    thread, results = in_thread(lambda: [box.put_blocking(each) for each in frames])
    taken = []
    for _ in frames:
        clock.now_s += 100
        letter = await take(box)
        taken.append(letter.frame)
        box.done(letter)
    await asyncio.to_thread(joined, thread)
    assert results == [[True] * 50]
    assert taken == frames
    assert tally.outcomes == {}


async def test_a_lossless_room_has_a_bounded_number_out():
    box, _, _ = mailbox("file", lossless_ahead=3)
    thread, _ = in_thread(lambda: [box.put_blocking(frame("file")) for _ in range(10)])
    letters = [await take(box) for _ in range(3)]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(box.take(), 0.05)
    box.done(letters.pop())
    letters.append(await take(box))
    box.close("file")
    await asyncio.to_thread(joined, thread)


@pytest.mark.parametrize("end", [lambda box: box.close("file"), Mailbox.close_all])
async def test_closing_frees_a_blocked_reader(end):
    box, tally, _ = mailbox("file")
    box.put_blocking(frame("file"))
    thread, results = in_thread(box.put_blocking, frame("file"))
    await asyncio.sleep(0.02)
    end(box)
    await asyncio.to_thread(joined, thread)
    assert results == [False]
    assert tally.outcomes == {"closed": 2}


async def test_a_reader_can_wait_until_all_is_answered():
    box, _, _ = mailbox("file")
    box.put_blocking(frame("file"))
    assert not box.wait_idle("file", 0)
    letter = await take(box)
    assert not box.wait_idle("file", 0)
    thread, results = in_thread(box.wait_idle, "file")
    box.done(letter)
    await asyncio.to_thread(joined, thread)
    assert results == [True]


async def test_many_threads_lose_no_frame_uncounted():
    box, tally, _ = mailbox(*ROOMS, max_age_s=1e9)
    each = 300

    def put_all(room: str) -> None:
        for _ in range(each):
            box.put(frame(room))

    threads = [in_thread(put_all, room)[0] for room in ROOMS]

    async def take_all() -> Counter:
        taken: Counter = Counter()
        while (letter := await box.take()) is not None:
            taken[letter.frame.room] += 1
            box.done(letter)
        return taken

    taking = asyncio.create_task(take_all())
    for thread in threads:
        await asyncio.to_thread(joined, thread)
    box.close_all()
    taken = await asyncio.wait_for(taking, PATIENCE_S)
    assert set(taken) <= set(ROOMS)
    assert taken.total() + tally.outcomes.total() == each * len(ROOMS)


def test_a_mailbox_outlives_its_loop():
    box, _, _ = mailbox("a")

    async def wait_once() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(box.take(), 0.01)

    asyncio.run(wait_once())
    assert box.put(frame("a"))
    assert asyncio.run(take(box)).frame.room == "a"


def test_settings_out_of_bounds_are_named():
    with pytest.raises(SettingsError, match="max_age_s is 0"):
        Mailbox(0)
    with pytest.raises(SettingsError, match="lossless_ahead is 0"):
        Mailbox(1, lossless_ahead=0)


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
