"""One viewer's trouble is its own: slow ones, gone ones, and thousands of them."""

import asyncio
import json
import tracemalloc

from livecart.web.hub.messages import event_message
from livecart.web.hub.viewer_connection import ViewerQueue
from tests.waiting import until
from tests.web.hub_clients import Viewer, event, running_hub, sample


async def publish(hub, first, last):
    for number in range(first, last + 1):
        await hub.bus.publish(event("card" if number == 1 else "update", number))
        # Whoever reads gets its turn, as between events of a stream.
        await asyncio.sleep(0)


async def test_a_viewer_that_stops_reading_delays_nobody_is_told_of_the_gap_and_goes_on():
    async with running_hub(queue_messages=8) as hub, Viewer(hub.api) as slow, Viewer(hub.api) as quick:
        slow.reads.clear()
        await publish(hub, 1, 12)
        await until(lambda: quick.events == list(range(1, 13)))
        assert slow.events == []
        slow.reads.set()
        await until(lambda: slow.events and slow.events[-1] == 12)
        # One event was on its way when it stopped; then the gap, then the newest half.
        kinds = [m["type"] for m in slow.messages]
        assert kinds[:3] == ["hello", "event", "gap"]
        assert slow.events[1:] == list(range(slow.events[1], 13))
        slow.say(type="current")
        await until(lambda: len(slow.of_type("hello")) == 2)
        await publish(hub, 13, 13)
        await until(lambda: slow.events[-1] == quick.events[-1] == 13)
        assert slow.close_code is None
        assert sample(hub, "messages_dropped_total") == 4
        assert sample(hub, "queue_high_water") == 8


async def test_a_viewer_that_never_reads_is_ended_though_its_connection_hangs():
    async with running_hub(queue_messages=8) as hub, Viewer(hub.api) as quick:
        stuck = Viewer(hub.api)
        await stuck.__aenter__()
        stuck.reads.clear()
        await publish(hub, 1, 60)
        await until(lambda: quick.events == list(range(1, 61)))
        # Its last word cannot be said either; the hub does not wait for it longer than a moment.
        await asyncio.wait_for(stuck.task, 5)
        assert hub.hub.viewers_by_room() == {"room-1": 1}
        assert sample(hub, "ended_total", reason="slow") == 1
        assert hub.hub.admission.limiter.taken == 1


async def test_a_viewer_that_is_slow_again_and_again_is_ended_with_a_code():
    async with running_hub(queue_messages=8) as hub, Viewer(hub.api) as viewer:
        # The loop is not given to the viewer between: its queue fills up in one go.
        for number in range(1, 60):
            await hub.bus.publish(event("card" if number == 1 else "update", number))
        assert await viewer.ended() == 1013


def test_overflows_far_apart_are_forgiven(monkeypatch):
    now_s = 0.0
    monkeypatch.setattr("livecart.web.hub.viewer_connection.time.monotonic", lambda: now_s)
    queue = ViewerQueue(4)
    message = event_message(event("card", 1))
    for _ in range(10):
        now_s += 61.0
        while not queue.push(message):
            pass
    assert queue.closing is None
    for _ in range(3):
        now_s += 1.0
        while not queue.push(message):
            pass
    assert queue.closing.reason == "slow"


async def test_hundreds_of_viewers_get_every_event_and_cost_little_memory(monkeypatch):
    encoded = []
    real = event_message
    monkeypatch.setattr("livecart.web.hub.room_feed.event_message", lambda e: encoded.append(e.event_id) or real(e))
    count, events = 400, 10
    async with running_hub(most_per_ip=count) as hub:
        got = [0] * count
        joined = [False] * count
        ends = asyncio.Event()

        async def viewer(number):
            connect = [{"type": "websocket.connect"}]

            async def receive():
                if connect:
                    return connect.pop()
                await ends.wait()
                return {"type": "websocket.disconnect", "code": 1001}

            async def send(message):
                if message["type"] == "websocket.send":
                    joined[number] = True
                    got[number] += '"type":"event"' in message["text"]

            await hub.api(Viewer(hub.api)._scope, receive, send)

        tracemalloc.start()
        try:
            tasks = [asyncio.create_task(viewer(number)) for number in range(count)]
            await until(lambda: all(joined))
            before, _ = tracemalloc.get_traced_memory()
            await publish(hub, 1, events)
            await until(lambda: got == [events] * count)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # Once for all: what a viewer keeps of an event is a reference.
        assert encoded == list(range(1, events + 1))
        assert before / count < 60_000
        assert (after - before) / count < 1_000
        assert sample(hub, "viewers", room="room-1") == count
        ends.set()
        await asyncio.gather(*tasks)
        assert hub.hub.viewers_by_room() == {}


async def test_shutdown_tells_everybody_to_come_back_and_leaves_nothing():
    async with running_hub() as hub, Viewer(hub.api) as viewer, Viewer(hub.api, "room-2") as other:
        stuck = Viewer(hub.api)
        await stuck.__aenter__()
        stuck.reads.clear()
        await hub.bus.publish(event("card", 1))
        await hub.hub.close()
        assert await viewer.ended() == 1001
        assert await other.ended() == 1001
        await asyncio.wait_for(stuck.task, 5)
        assert hub.hub.viewers_by_room() == {}
        async with Viewer(hub.api) as late:
            assert await late.ended() == 1013
        left = [task.get_name() for task in asyncio.all_tasks() if "livecart hub" in task.get_name()]
        assert left == []
    assert hub.failures == []


async def test_a_fault_of_the_loop_is_made_good_when_it_begins_again():
    async with running_hub() as hub, Viewer(hub.api) as viewer:
        # As keep_running would, after the first one failed.
        again = asyncio.create_task(hub.hub.run())
        await until(lambda: viewer.of_type("gap"))
        assert json.dumps(viewer.messages[0])
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)
