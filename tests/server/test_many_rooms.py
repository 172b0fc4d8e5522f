"""Many rooms in one process: what fails in one stays there, and what goes leaves nothing behind."""

import asyncio
import threading
from dataclasses import replace

import psutil

from livecart.live.recognise.settings import RecognizerSettings
from livecart.server.app import open_engine
from tests.live.video.streams import ByteServer
from tests.server.conftest import plan, told
from tests.server.stand_in import ColourArchive
from tests.server.test_room_runner import ALL_SHOWN
from tests.waiting import until


async def test_a_room_with_a_wrong_url_among_good_ones(engine, events, clip):
    path, _ = clip
    await engine.rooms.put(plan("wrong", "rtmp://127.0.0.1:9/nowhere"))
    good = [await engine.rooms.put(plan(f"room-{number}", path)) for number in range(4)]
    await asyncio.wait_for(asyncio.gather(*(runner.finished.wait() for runner in good)), 60)
    await engine.outbox.flush(1)
    for number in range(4):
        assert told(events, f"room-{number}") == ALL_SHOWN
    wrong = next(view for view in engine.rooms.views() if view.id == "wrong")
    assert wrong.failures >= 1
    assert wrong.state in {"reconnecting", "connecting"}
    assert told(events, "wrong") == []


async def test_a_rooms_own_fault_is_counted_and_touches_no_other(engine, events, clip, monkeypatch):
    path, _ = clip
    bad = await engine.rooms.put(plan("bad", path))

    def broken(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(bad.decision, "on_result", broken)
    good = await engine.rooms.put(plan("good", path))
    await asyncio.wait_for(asyncio.gather(bad.finished.wait(), good.finished.wait()), 30)
    await engine.outbox.flush(1)
    assert told(events, "good") == ALL_SHOWN
    assert told(events, "bad") == []
    sample = {"room": "bad", "incident": "callback_failed"}
    assert engine.metrics.registry.get_sample_value("livecart_live_incidents_total", sample) > 0


async def test_a_hundred_rooms_come_and_go(clip, nothing_left):
    path, _ = clip
    process = psutil.Process()
    async with (
        ColourArchive() as archive,
        open_engine(RecognizerSettings(base_url=archive.url)) as engine,
        asyncio.timeout(60),
    ):
        threads, descriptors = threading.active_count(), process.num_fds()
        # Files played in real time keep their readers busy; every tenth room waits for a server that is not there.
        plans = [
            plan(f"room-{number}", "rtmp://127.0.0.1:9/x" if number % 10 == 0 else path, **extra)
            for number in range(100)
            for extra in [{} if number % 10 == 0 else {"realtime": True, "rate_hz": 0.2}]
        ]
        await asyncio.gather(*(engine.rooms.put(each) for each in plans))
        await until(lambda: sum(view.state == "live" for view in engine.rooms.views()) == 90, 40)
        assert all(await asyncio.gather(*(engine.rooms.remove(each.room) for each in plans)))
        assert engine.rooms.views() == []
        # Two threads that make JPEGs are kept, and so are connections to the recogniser.
        await until(lambda: not [t for t in threading.enumerate() if t.name.startswith("ingest-")])
        assert threading.active_count() <= threads + 2
        assert process.num_fds() <= descriptors + 40
        text = [sample.labels.get("room") for metric in engine.metrics.registry.collect() for sample in metric.samples]
        assert not [room for room in text if room and room.startswith("room-")]


async def test_changing_a_room_keeps_its_card_and_changing_its_source_does_not(engine, events, flv):
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as server:
        first = plan("room-1", server.url, rate_hz=2)
        runner = await engine.rooms.put(first)
        await until(lambda: told(events) == [("card", "red")])
        assert await engine.rooms.put(first) is runner
        faster = plan("room-1", server.url, rate_hz=4)
        second = await engine.rooms.put(faster)
        assert second is not runner
        await until(lambda: second.view().frames_sampled >= 8)
        assert told(events) == [("card", "red")]
        listed = replace(faster, products=frozenset({"green"}))
        assert await engine.rooms.put(listed) is second
        await until(lambda: told(events) == [("card", "red"), ("withdraw", "red")])
        assert events[-1].reason == "host"
        await engine.rooms.put(faster)
        runner = await engine.rooms.put(plan("room-1", server.url + "?other", rate_hz=2))
        assert runner.view().cards == []
        await engine.outbox.flush(1)
    ids = [event.event_id for event in events]
    assert ids == list(range(1, len(ids) + 1))
