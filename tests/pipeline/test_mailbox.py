"""One slot a room, the newest frame wins, who was served goes last, nothing old is handed out."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from mailboxes import PATIENCE_S, ROOMS, frame, in_thread, joined, mailbox, take

from livecart.errors import SettingsError
from livecart.pipeline.mailbox import Mailbox


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
