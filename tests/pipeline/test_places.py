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
            places.answered(seconds * (number // workers))
            places.release()
        clock.now_s += seconds * -(-sent // workers)
    return places


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
async def test_places_settle_where_all_workers_work_and_few_requests_wait(workers):
    places = await settle(workers)
    assert workers <= places.limit <= 2 * workers + 1


async def test_too_many_at_first_become_fewer():
    assert (await settle(2, first=40)).limit <= 5


async def test_one_worker_is_not_given_up():
    places = Places(2, 8)
    for _ in range(20):
        places.answered(9.0)
    assert places.limit == 1


async def test_a_fast_recogniser_gets_whole_batches():
    assert (await settle(1, seconds=0.01)).limit >= 8


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


async def test_a_wait_cancelled_in_the_moment_of_its_turn_gives_the_place_back():
    places = Places(1, 1)
    await places.acquire()
    task = asyncio.create_task(places.acquire())
    await asyncio.sleep(0)
    places.release()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not places.locked()
