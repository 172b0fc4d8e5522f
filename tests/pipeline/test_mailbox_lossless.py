"""A file read without loss: its reader waits, nothing is replaced or too old, and what it has out is bounded."""

from __future__ import annotations

import asyncio

import pytest
from mailboxes import frame, in_thread, joined, mailbox, take

from livecart.pipeline.mailbox import Mailbox


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
