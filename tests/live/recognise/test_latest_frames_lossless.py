"""A file read without loss: its reader waits, nothing is replaced or too old, and what it has out is bounded."""

import asyncio

import pytest

from livecart.live.recognise.latest_frames import LatestFrames
from tests.live.recognise.queues import frame, in_thread, joined, queue_of, take
from tests.waiting import PATIENCE_S


async def test_a_lossless_reader_waits_and_nothing_is_lost_or_stale():
    queue, tally, clock = queue_of("file")
    frames = [frame("file", 1000.0 + number) for number in range(50)]
    thread, results = in_thread(lambda: [queue.offer_and_wait(each) for each in frames])
    taken = []
    for _ in frames:
        clock.now_s += 100
        job = await take(queue)
        taken.append(job.frame)
        queue.done(job)
    await asyncio.to_thread(joined, thread)
    assert results == [[True] * 50]
    assert taken == frames
    assert tally.outcomes == {}


async def test_a_lossless_reader_goes_on_once_its_frame_came_to_its_end():
    queue, _, _ = queue_of("file")
    thread, results = in_thread(lambda: [queue.offer_and_wait(frame("file")) for _ in range(10)])
    job = await take(queue)
    await asyncio.sleep(0.05)
    assert queue.poll() is None
    queue.done(job)
    assert await take(queue) is not None
    queue.close("file")
    await asyncio.to_thread(joined, thread)
    assert results == [[True, True, *[False] * 8]]


@pytest.mark.parametrize("end", [lambda queue: queue.close("file"), LatestFrames.close_all])
async def test_closing_frees_a_blocked_reader(end):
    queue, tally, _ = queue_of("file")
    thread, results = in_thread(lambda: [queue.offer_and_wait(frame("file")) for _ in range(2)])
    await asyncio.sleep(0.02)
    end(queue)
    await asyncio.to_thread(joined, thread)
    assert results == [[True, False]]
    assert tally.outcomes == {"closed": 2}


async def test_a_reader_can_wait_until_all_is_answered():
    queue, _, _ = queue_of("file")
    queue.offer(frame("file"))
    assert not queue.wait_idle("file", 0)
    job = await take(queue)
    assert not queue.wait_idle("file", 0)
    thread, results = in_thread(queue.wait_idle, "file", PATIENCE_S)
    queue.done(job)
    await asyncio.to_thread(joined, thread)
    assert results == [True]
