"""How many requests are sent at once follows from a made-up server's times."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from livecart.pipeline.places import Places


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def settle(workers: int, *, first: int = 4, most: int = 64, rounds: int = 400, seconds: float = 0.2) -> Places:
    """Keep a server of so many workers under as many requests of so many seconds as there are places."""
    clock = Clock()
    places = Places(first, most, clock=clock)
    for _ in range(rounds):
        sent = places.limit
        for _ in range(sent):
            await places.acquire()
        for number in range(sent):
            places.answered(seconds * (number // workers), number + 1)
            places.release()
        clock.now_s += seconds * -(-sent // workers)
    return places


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
async def test_places_settle_where_all_workers_work_and_few_requests_wait(workers):
    places = await settle(workers)
    assert workers <= places.limit <= 2 * workers + 1


@pytest.mark.parametrize("seconds", [0.2, 0.4, 0.8])
async def test_no_worker_is_left_idle_on_the_way(seconds):
    limits = [(await settle(2, rounds=rounds, seconds=seconds)).limit for rounds in range(20, 60)]
    assert min(limits) >= 2


async def test_too_many_at_first_become_fewer():
    assert (await settle(2, first=40)).limit <= 5


async def test_the_last_place_is_not_given_up():
    places = Places(2, 8)
    places.answered(0.0, 1)
    for _ in range(20):
        places.answered(9.0, 2)
    assert places.limit == 1


@pytest.mark.parametrize("lone_s", [0.06, 0.2])
async def test_a_long_way_to_the_server_is_no_queue(lone_s):
    """Every answer comes late, however few there are at once: all workers get work all the same, after a jam too."""
    places = Places(4, 32)
    for _ in range(100):
        places.answered(0.01, 1)
    for _ in range(40):
        places.answered(0.9, places.limit)
    for _ in range(200):
        places.answered(lone_s, 1)
        places.answered(lone_s, min(places.limit, 16))
    assert places.limit >= 16


async def test_waits_of_long_ago_are_forgotten():
    clock = Clock()
    places = Places(4, 32, clock=clock)
    for _ in range(20):
        places.answered(0.9, 3)
        places.answered(0.0, 1)
        clock.now_s += 3600
    assert places.limit == 4


async def test_a_fast_recogniser_has_always_something_to_do():
    assert (await settle(1, seconds=0.01)).limit >= 5


async def test_bursts_between_which_nothing_waits_tell_as_much():
    """Two workers, and three requests at once now and then: the third waits here, or there with the fourth."""
    places = Places(4, 32)
    for _ in range(12):
        for _ in range(20):
            places.answered(0.01, 1)
        for taken, wait_s in ((1, 0.01), (2, 0.02), (3, 0.3), (4, 0.8)):
            if taken <= places.limit:
                places.answered(wait_s, taken)
    assert places.limit in (2, 3)


async def test_single_answers_that_come_late_take_no_place():
    places = Places(4, 32)
    for _ in range(20):
        for taken, wait_s in ((1, 0.0), (2, 0.5), (3, 0.4), (4, 0.1), (3, 0.1)):
            places.answered(wait_s, taken)
    assert places.limit == 4


async def test_a_fixed_number_stays():
    assert (await settle(16, first=4, most=4)).limit == 4


def test_refusals_take_a_third_once_a_second_and_leave_one():
    clock = Clock()
    places = Places(12, 32, clock=clock)
    places.refused()
    places.refused()
    assert places.limit == 8
    for _ in range(20):
        clock.now_s += 2.0
        places.refused()
    assert places.limit == 1


async def test_places_are_given_in_order_and_a_cancelled_wait_takes_none():
    places = Places(1, 1)
    await places.acquire()
    order: list[str] = []

    async def wait(name: str) -> None:
        await places.acquire()
        order.append(name)

    tasks = [asyncio.create_task(wait(name)) for name in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    places.release()
    await asyncio.sleep(0.01)
    assert order == ["a"]
    assert places.locked()
    places.release()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    assert order == ["a", "c"]
    places.release()
    assert not places.locked()


@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_a_wait_cancelled_in_the_moment_of_its_turn_gives_the_place_back(cancelled_first):
    places = Places(1, 1)
    await places.acquire()
    task = asyncio.create_task(places.acquire())
    await asyncio.sleep(0)
    for step in (task.cancel, places.release) if cancelled_first else (places.release, task.cancel):
        step()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not places.locked()
    await asyncio.wait_for(places.acquire(), 1)
