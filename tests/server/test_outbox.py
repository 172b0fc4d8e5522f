"""The way of events to the bus, and what runs in the background, when something fails."""

import asyncio
import logging

import pytest

from livecart.core.background import end_task, keep_running
from livecart.core.errors import BusError
from livecart.events import open_bus
from livecart.live.metrics import LiveMetrics
from livecart.live.outbox import EventOutbox
from livecart.live.recognise.settings import RecognizerSettings
from livecart.server.app import open_engine
from tests.card_events import card_event
from tests.server.conftest import plan, told
from tests.server.test_room_runner import ALL_SHOWN


def event(number, kind="card", **changes):
    values = {"card_id": f"{number:032x}", "room": "r", "at_s": 11.0, "captured_at_s": 10.0}
    return card_event(event=kind, event_id=number, **values | changes)


def count(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"livecart_live_{name}", labels)


@pytest.fixture
async def outbox():
    bus = open_bus("memory://")
    made = EventOutbox(bus, LiveMetrics(), clock=lambda: 12.5)
    made.bus, made.metrics = bus, made._metrics
    made.start()
    yield made
    await made.close()
    await bus.close()


async def test_events_are_handed_over_in_order_with_their_time(outbox):
    seen = []
    outbox.listen(seen.append)
    async with outbox.bus.subscribe("r") as items:
        for number in range(1, 101):
            outbox.put(event(number))
        assert await outbox.flush(2)
        on_bus = [await anext(items) for _ in range(100)]
    assert [each.event_id for each in on_bus] == list(range(1, 101))
    assert {each.emitted_at_s for each in on_bus} == {12.5}
    assert seen == on_bus
    assert count(outbox.metrics, "captured_to_card_seconds_sum") == pytest.approx(250)


async def test_a_listener_that_fails_harms_nobody(outbox):
    seen = []

    def broken(_):
        raise ZeroDivisionError("a bug")

    outbox.listen(broken)
    outbox.listen(seen.append)
    outbox.put(event(1))
    outbox.put(event(2))
    assert await outbox.flush(2)
    assert [each.event_id for each in seen] == [1, 2]
    assert count(outbox.metrics, "background_failures_total", where="listener") == 2


async def test_what_the_bus_refuses_is_counted_and_logged(outbox, caplog):
    await outbox.bus.close()
    outbox.put(event(1))
    with caplog.at_level(logging.ERROR):
        assert await outbox.flush(2)
    assert count(outbox.metrics, "card_events_lost_total") == 1
    assert "event 1 is lost: the bus is closed" in caplog.text


async def test_more_than_it_holds_drops_the_oldest(outbox, monkeypatch):
    monkeypatch.setattr("livecart.live.outbox._MOST_WAITING", 3)
    seen = []
    outbox.listen(seen.append)
    for number in range(1, 6):
        outbox.put(event(number))
    await outbox.flush(2)
    assert [each.event_id for each in seen] == [3, 4, 5]
    assert count(outbox.metrics, "card_events_lost_total") == 2


async def test_a_room_starts_anew_where_the_bus_is_away(outbox, monkeypatch):
    async def away(_):
        raise BusError("away")

    monkeypatch.setattr(outbox.bus, "last_event_id", away)
    assert await outbox.resume("r") == 0
    assert count(outbox.metrics, "background_failures_total", where="bus") == 1


async def test_rooms_run_on_while_redis_is_away(clip, archive):
    pytest.importorskip("redis")
    seen = []
    # Port 9 (discard) answers nobody here.
    async with open_engine(RecognizerSettings(base_url=archive.url), bus_url="redis://127.0.0.1:9/0") as engine:
        engine.outbox.listen(seen.append)
        runner = await engine.rooms.put(plan("r", clip[0]))
        await asyncio.wait_for(runner.finished.wait(), 30)
        await engine.outbox.flush(1)
        assert told(seen) == ALL_SHOWN
        assert engine.bus.stats.queued == len(seen)


async def test_background_work_that_fails_begins_again_and_is_counted(caplog):
    metrics = LiveMetrics()
    times = []

    async def work():
        times.append(1)
        if len(times) < 3:
            raise ZeroDivisionError("a bug")

    with caplog.at_level(logging.ERROR):
        await keep_running("work", work, metrics, pause_s=0.01)
    assert len(times) == 3
    assert count(metrics, "background_failures_total", where="work") == 2
    assert "ZeroDivisionError: a bug" in caplog.text


async def test_background_work_is_ended():
    task = asyncio.create_task(keep_running("work", asyncio.Event().wait, LiveMetrics()))
    await asyncio.sleep(0)
    await end_task(task)
    assert task.cancelled()
    await end_task(None)
