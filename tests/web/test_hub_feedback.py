"""What viewers did: counted once, however often and by whatever way it is sent."""

import asyncio
import time

import httpx
import pytest

from livecart.web.hub import RecentFeedback
from tests.waiting import until
from tests.web.hub_clients import Viewer, feedback_batch, feedback_event, running_hub, sample


def client_of(api):
    return httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://127.0.0.1")


async def acked(viewer, batch, times=1):
    await until(lambda: [m["batch_id"] for m in viewer.of_type("ack")].count(batch["batch_id"]) == times)


async def test_a_batch_is_kept_counted_and_acknowledged():
    async with running_hub() as hub, Viewer(hub.api) as viewer:
        now_s = time.time()
        kinds = ["impression", "click", "close", "wrong", "dwell"]
        batch = viewer.feedback(
            *(feedback_event(kind, at_s=now_s, **({"dwell_s": 4.5} if kind == "dwell" else {})) for kind in kinds)
        )
        await acked(viewer, batch)
        kept = hub.sink.events
        assert [event.kind for event in kept] == kinds
        assert {(event.room, event.card_id, event.sku, event.at_s) for event in kept} == {
            ("room-1", "c1", "1001", now_s)
        }
        assert kept[-1].dwell_s == 4.5
        assert all(abs(event.received_at_s - now_s) < 60 for event in kept)
        assert len({event.viewer for event in kept}) == 1
        assert [sample(hub, "feedback_total", kind=kind) for kind in kinds] == [1, 1, 1, 1, 1]


async def test_a_batch_that_is_sent_again_counts_once_also_over_a_new_connection():
    async with running_hub() as hub:
        events = [feedback_event(at_s=time.time()), feedback_event("wrong", at_s=time.time())]
        async with Viewer(hub.api) as viewer:
            batch = viewer.feedback(*events)
            await acked(viewer, batch)
            viewer.feedback(*events, batch_id=batch["batch_id"])
            await acked(viewer, batch, times=2)
        async with Viewer(hub.api) as viewer:
            # Another batch, with one event that is known.
            other = viewer.feedback(events[0], feedback_event(at_s=time.time()))
            await acked(viewer, other)
        assert len(hub.sink.events) == 3
        assert sample(hub, "feedback_duplicates_total") == 3
        async with Viewer(hub.api, "room-2") as viewer:
            elsewhere = viewer.feedback(*events)
            await acked(viewer, elsewhere)
        assert len(hub.sink.events) == 5


async def test_what_the_sink_does_not_take_is_not_acknowledged_and_counts_when_it_comes_again():
    class Sink(RecentFeedback):
        broken = True

        async def keep(self, events):
            if self.broken:
                raise ValueError("no room left")
            await super().keep(events)

    sink = Sink()
    async with running_hub(sink=sink) as hub, Viewer(hub.api) as viewer:
        batch = viewer.feedback(feedback_event(at_s=time.time()))
        await until(lambda: hub.failures == ["feedback_sink"])
        assert viewer.close_code is None
        sink.broken = False
        viewer.say(**batch)
        await acked(viewer, batch)
        assert len(sink.events) == 1
        assert sample(hub, "feedback_total", kind="click") == 1


async def test_the_same_batch_over_two_connections_while_the_sink_works():
    class Sink(RecentFeedback):
        def __init__(self):
            super().__init__()
            self.calls, self.go_on = 0, asyncio.Event()

        async def keep(self, events):
            self.calls += 1
            await self.go_on.wait()
            await super().keep(events)

    sink = Sink()
    async with running_hub(sink=sink) as hub, Viewer(hub.api) as first, Viewer(hub.api) as second:
        batch = first.feedback(feedback_event(at_s=time.time()))
        await until(lambda: sink.calls == 1)
        second.say(**batch)
        second.say(type="current")
        await until(lambda: len(second.of_type("hello")) == 2)
        assert not second.of_type("ack")
        sink.go_on.set()
        await acked(first, batch)
        second.say(**batch)
        await acked(second, batch)
        assert len(sink.events) == 1


@pytest.mark.parametrize("off_s", [-2 * 86_400, 3600, 1e300])
async def test_times_that_cannot_be_are_left_out_without_a_retry(off_s):
    async with running_hub() as hub, Viewer(hub.api) as viewer:
        batch = viewer.feedback(feedback_event(at_s=time.time() + off_s), feedback_event(at_s=time.time()))
        await acked(viewer, batch)
        assert len(hub.sink.events) == 1
        assert sample(hub, "feedback_refused_total", reason="time") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "buy"},
        {"id": "short"},
        {"id": "x" * 65},
        {"id": "with space in it"},
        {"id": "line-end-8\n"},
        {"card_id": ""},
        {"card_id": "c" * 65},
        {"sku": "s" * 201},
        {"dwell_s": -1},
        {"dwell_s": 1e9},
        {"at_s": "now"},
    ],
)
async def test_events_that_are_none_end_the_connection(wrong):
    async with running_hub() as hub, Viewer(hub.api) as viewer:
        viewer.feedback(feedback_event(at_s=time.time()) | wrong)
        assert await viewer.ended() == 1008
        assert hub.sink.events == []


@pytest.mark.parametrize("count", [0, 21])
async def test_a_batch_has_1_to_20_events(count):
    async with running_hub() as hub, Viewer(hub.api) as viewer:
        viewer.feedback(*(feedback_event(at_s=time.time()) for _ in range(count)))
        assert await viewer.ended() == 1008


async def test_what_is_remembered_of_feedback_is_bounded():
    from prometheus_client import CollectorRegistry

    from livecart.web.hub.feedback import FeedbackIntake
    from livecart.web.hub.messages import FeedbackBatch, FeedbackEvent
    from livecart.web.hub.metrics import HubMetrics

    sink = RecentFeedback(most=50)
    intake = FeedbackIntake(sink, HubMetrics(CollectorRegistry(), lambda where: None), most_keys=100)
    for number in range(500):
        event = FeedbackEvent(f"event-{number:08}", "click", "c1", "1001", time.time())
        assert await intake.take("room-1", FeedbackBatch(f"batch-{number:08}", [event]), network=f"10.0.0.{number}")
    assert len(sink.events) == 50
    assert len(intake._batches) == len(intake._events) == 100
    assert not intake._in_progress


async def test_by_post_beside_an_event_stream():
    async with running_hub() as hub, client_of(hub.api) as client:
        batch = feedback_batch(feedback_event(at_s=time.time()))
        for _ in range(2):
            answer = await client.post("/rooms/room-1/feedback", json=batch)
            assert (answer.status_code, answer.json()) == (200, {"type": "ack", "batch_id": batch["batch_id"]})
        assert len(hub.sink.events) == 1
        assert (await client.post("/rooms/none/feedback", json=batch)).status_code == 404
        assert (await client.post("/rooms/room-1/feedback", json={"type": "pong"})).status_code == 422
        assert (await client.post("/rooms/room-1/feedback", content=b"x" * 100_000)).status_code == 422
        page = {"Origin": "https://evil.example"}
        answer = await client.post("/rooms/room-1/feedback", json=batch, headers=page)
        assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (403, False)
        for _ in range(400):
            if (await client.post("/rooms/room-1/feedback", json={"type": "pong"})).status_code == 429:
                break
        else:
            pytest.fail("no limit was reached")


async def test_a_viewer_has_one_name_for_a_card_also_by_post_and_after_a_reconnect():
    async with running_hub() as hub, client_of(hub.api) as client:

        def names(count=1):
            return {event.viewer for event in hub.sink.events[-count:]}

        for _ in range(3):
            async with Viewer(hub.api) as viewer:
                await acked(viewer, viewer.feedback(feedback_event(at_s=time.time())))
        assert len(names(3)) == 1
        async with Viewer(hub.api) as first, Viewer(hub.api) as second, Viewer(hub.api, ip="10.0.0.9") as third:
            for viewer in (first, second, third):
                await acked(viewer, viewer.feedback(feedback_event(at_s=time.time())))
            assert len(names(3)) == 3
            await acked(first, first.feedback(feedback_event(at_s=time.time()) | {"card_id": "c2"}))
            assert hub.sink.events[-1].viewer not in {event.viewer for event in hub.sink.events[:-1]}
        for _ in range(3):
            await client.post("/rooms/room-1/feedback", json=feedback_batch(feedback_event(at_s=time.time())))
        assert len(hub.sink.events) == 10
        assert len(names(3)) == 1


async def test_pages_of_allowed_origins_may_post():
    async with running_hub(origins=("https://shop.example.com",)) as hub, client_of(hub.api) as client:
        page = {"Origin": "https://shop.example.com"}
        asked = await client.options("/rooms/room-1/feedback", headers=page)
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-origin"] == "https://shop.example.com"
        assert asked.headers["access-control-allow-headers"] == "Content-Type"
        batch = feedback_batch(feedback_event(at_s=time.time()))
        answer = await client.post("/rooms/room-1/feedback", json=batch, headers=page)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"
        refused = await client.options("/rooms/room-1/feedback", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in refused.headers
        assert (await client.options("/rooms/room-1/feedback?after=x", headers=page)).status_code == 400
