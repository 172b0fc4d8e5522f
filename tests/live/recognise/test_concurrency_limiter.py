"""Requests at once follow from the workers that the recogniser says are ready."""

import asyncio
import contextlib

import pytest

from livecart.live.recognise import concurrency
from livecart.live.recognise.concurrency import UNKNOWN, ConcurrencyLimiter
from livecart.live.recognise.reply import count_ready_workers


async def taken(limiter: ConcurrencyLimiter) -> int:
    """Take as many turns as there are."""
    count = 0
    with contextlib.suppress(TimeoutError):
        while True:
            await asyncio.wait_for(limiter.acquire(), 0.01)
            count += 1
    return count


@contextlib.asynccontextmanager
async def following(limiter: ConcurrencyLimiter, answers: list[int | None]):
    """The limiter, once it has followed all these answers; the last one is repeated."""

    async def ready_workers() -> int | None:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    task = asyncio.create_task(limiter.follow(ready_workers))
    while len(answers) > 1:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.005)
    yield
    assert not task.done()
    task.cancel()


@pytest.fixture(autouse=True)
def _asked_often(monkeypatch):
    monkeypatch.setattr(concurrency, "_ASK_EVERY_S", 0.001)


@pytest.mark.parametrize("workers", [1, 2, 16])
async def test_as_many_requests_as_workers_and_one_more(workers):
    limiter = ConcurrencyLimiter()
    async with following(limiter, [workers]):
        assert limiter.limit == workers + 1
        assert await taken(limiter) == workers + 1


@pytest.mark.parametrize("answers", [[None], [0], [3, None], [3, 0]])
async def test_while_no_worker_can_be_counted_the_limit_stays(answers):
    limiter = ConcurrencyLimiter()
    first = answers[0]
    async with following(limiter, answers):
        assert limiter.limit == (first + 1 if first else UNKNOWN)


async def test_workers_that_come_and_go_are_followed():
    limiter = ConcurrencyLimiter()
    async with following(limiter, [1, 8, 2]):
        assert limiter.limit == 3


async def test_a_fixed_limit_stays():
    limiter = ConcurrencyLimiter(2)
    async with following(limiter, [16]):
        assert await taken(limiter) == 2


async def test_requests_above_a_limit_that_fell_end_first():
    limiter = ConcurrencyLimiter(4)
    for _ in range(3):
        await limiter.acquire()
    await limiter._resize(2)
    assert await taken(limiter) == 0
    limiter.release()
    assert await taken(limiter) == 0
    limiter.release()
    assert await taken(limiter) == 1
    await limiter._resize(3)
    assert await taken(limiter) == 1


async def test_refusals_take_a_third_once_a_second_and_leave_one_and_answers_bring_them_back():
    now_s = [0.0]
    limiter = ConcurrencyLimiter(clock=lambda: now_s[0])
    async with following(limiter, [11]):
        await limiter.refused()
        await limiter.refused()
        assert limiter.limit == 8
        for _ in range(20):
            now_s[0] += 2.0
            await limiter.refused()
        assert limiter.limit == 1
        assert await taken(limiter) == 1
        for _ in range(4):
            assert limiter.limit == 1
            await limiter.answered()
        assert limiter.limit == 2
        for _ in range(100):
            await limiter.answered()
        assert limiter.limit == 12


async def test_a_fixed_limit_is_kept_whatever_happens():
    limiter = ConcurrencyLimiter(4)
    await limiter.refused()
    await limiter.answered()
    assert await taken(limiter) == 4


async def test_turns_are_given_in_order_and_a_cancelled_wait_takes_none():
    limiter = ConcurrencyLimiter(1)
    await limiter.acquire()
    order: list[str] = []

    async def wait(name: str) -> None:
        await limiter.acquire()
        order.append(name)

    tasks = [asyncio.create_task(wait(name)) for name in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    limiter.release()
    await asyncio.sleep(0.01)
    assert order == ["a"]
    limiter.release()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == ["a", "c"]


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'[{"workers": [{"status": "READY"}, {"status": "UNLOADING"}, {"status": "READY"}]}]', 2),
        (b'[{"workers": []}]', 0),
        (b'{"code": 404}', None),
        (b"<html>", None),
        (b"\xff", None),
    ],
)
def test_ready_workers_are_counted_in_torchserves_words(body, count):
    assert count_ready_workers(body) == count
