"""One slot a room, the newest frame wins, who was served goes last, nothing old is handed out."""

import asyncio
from collections import Counter

import pytest

from tests.live.recognise.queues import ROOMS, frame, in_thread, joined, queue_of, take
from tests.waiting import PATIENCE_S


async def test_the_newest_frame_wins_and_the_other_is_counted():
    queue, tally, _ = queue_of("a")
    old, new = frame("a"), frame("a", 1000.5)
    assert queue.offer(old)
    assert queue.offer(new)
    assert (await take(queue)).frame is new
    assert tally.outcomes == {"replaced": 1}
    assert tally.stage_seconds["queue"][0] == 1


async def test_a_frame_waits_until_it_is_polled():
    queue, _, _ = queue_of("a", "b")
    assert not queue.has_waiting("a")
    queue.offer(frame("a"))
    assert queue.has_waiting("a")
    assert not any(queue.has_waiting(room) for room in ("b", "none"))
    taken = await take(queue)
    assert not queue.has_waiting("a")
    queue.done(taken)


async def test_polling_waits_for_a_frame_from_another_thread():
    queue, _, _ = queue_of("a")
    taking = asyncio.create_task(take(queue))
    await asyncio.sleep(0)
    thread, results = in_thread(queue.offer, frame("a"))
    job = await asyncio.wait_for(taking, PATIENCE_S)
    await asyncio.to_thread(joined, thread)
    assert results == [True]
    assert job is not None


async def test_a_cancelled_poller_loses_nothing():
    queue, _, _ = queue_of("a")
    taking = asyncio.create_task(take(queue))
    await asyncio.sleep(0)
    queue.offer(frame("a"))
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert (await take(queue)).frame.room == "a"


async def test_a_closed_room_takes_no_frames_and_its_waiting_one_is_dropped():
    queue, tally, _ = queue_of("a", "b")
    queue.offer(frame("a"))
    queue.offer(frame("b"))
    queue.close("a")
    assert not queue.offer(frame("a"))
    assert (await take(queue)).frame.room == "b"
    assert tally.outcomes == {"closed": 2}
    assert len(queue) == 0


async def test_a_job_of_an_earlier_opening_is_not_wanted():
    queue, _, _ = queue_of("a")
    queue.offer(frame("a"))
    job = await take(queue)
    assert queue.obstacle(job) is None
    queue.close("a")
    assert queue.obstacle(job) == "closed"
    queue.open("a")
    assert queue.obstacle(job) == "closed"
    queue.offer(frame("a"))
    assert queue.obstacle(await take(queue)) is None


async def test_closing_everything_ends_the_poller():
    queue, tally, _ = queue_of("a")
    taking = asyncio.create_task(take(queue))
    await asyncio.sleep(0)
    queue.close_all()
    assert await asyncio.wait_for(taking, PATIENCE_S) is None
    queue.open("a")
    assert not queue.offer(frame("a"))
    assert tally.outcomes == {"closed": 1}


async def test_many_threads_lose_no_frame_uncounted():
    queue, tally, _ = queue_of(*ROOMS, max_age_s=1e9)
    each = 300

    def put_all(room: str) -> None:
        for _ in range(each):
            queue.offer(frame(room))

    threads = [in_thread(put_all, room)[0] for room in ROOMS]

    async def poll_all() -> Counter:
        taken: Counter = Counter()
        while (job := await take(queue)) is not None:
            taken[job.frame.room] += 1
            queue.done(job)
        return taken

    taking = asyncio.create_task(poll_all())
    for thread in threads:
        await asyncio.to_thread(joined, thread)
    queue.close_all()
    taken = await asyncio.wait_for(taking, PATIENCE_S)
    assert set(taken) <= set(ROOMS)
    assert taken.total() + tally.outcomes.total() == each * len(ROOMS)


def test_a_queue_outlives_its_loop():
    queue, _, _ = queue_of("a")

    async def wait_once() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(take(queue), 0.01)

    asyncio.run(wait_once())
    assert queue.offer(frame("a"))
    assert asyncio.run(take(queue)).frame.room == "a"
