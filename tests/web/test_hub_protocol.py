"""What docs/viewer.md promises of the hub, message by message."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from livecart.core.errors import BusError
from livecart.events import Gap, open_bus
from tests.waiting import until
from tests.web.hub_clients import Viewer, event, running_hub, sample


async def test_a_late_joiner_gets_what_is_shown_now():
    async with running_hub() as hub:
        await hub.bus.publish(event("card", 1))
        await hub.bus.publish(event("card", 2, card_id="c2"))
        await hub.bus.publish(event("withdraw", 3, card_id="c2"))
        await hub.bus.publish(event("update", 4, box=(1.0, 2.0, 3.0, 4.0)))
        async with Viewer(hub.api) as viewer:
            (hello,) = viewer.messages
            assert (hello["type"], hello["room"], hello["last_event_id"]) == ("hello", "room-1", 4)
            (shown,) = hello["current"]
            assert (shown["event"], shown["event_id"], shown["box"]) == ("card", 4, [1.0, 2.0, 3.0, 4.0])
            assert shown["name"] == "好欢螺螺蛳粉 300g"


async def test_events_come_in_order_whole_and_only_of_the_room():
    async with running_hub() as hub, Viewer(hub.api) as viewer, Viewer(hub.api, "room-2") as other:
        for number in range(1, 6):
            await hub.bus.publish(event("update" if number > 1 else "card", number))
        await hub.bus.publish(event("card", 1, room="room-2"))
        await until(lambda: len(viewer.events) == 5 and other.events == [1])
        assert viewer.events == [1, 2, 3, 4, 5]
        as_sent = msgspec.json.decode(msgspec.json.encode(event("card", 1)))
        assert viewer.of_type("event")[0]["event"] == as_sent
        assert sample(hub, "viewers", room="room-1") == 1
    assert hub.failures == []


async def test_the_state_is_kept_up_to_date_for_who_joins_beside_others():
    async with running_hub() as hub, Viewer(hub.api) as first:
        await hub.bus.publish(event("card", 1))
        await hub.bus.publish(event("update", 2, box=(9.0, 9.0, 20.0, 20.0)))
        await until(lambda: first.events == [1, 2])
        async with Viewer(hub.api) as second:
            assert second.messages[0]["last_event_id"] == 2
            assert second.messages[0]["current"][0]["box"] == [9.0, 9.0, 20.0, 20.0]
        await hub.bus.publish(event("withdraw", 3))
        await until(lambda: first.events == [1, 2, 3])
        async with Viewer(hub.api) as third:
            assert third.messages[0]["current"] == []


@pytest.mark.parametrize("somebody_watches", [True, False])
async def test_a_viewer_that_comes_back_gets_what_it_missed(somebody_watches):
    async with running_hub() as hub:
        before = Viewer(hub.api)
        if somebody_watches:
            await before.__aenter__()
        for number in range(1, 8):
            await hub.bus.publish(event("card" if number == 1 else "update", number))
        async with Viewer(hub.api, query="after=4") as viewer:
            await until(lambda: len(viewer.messages) == 4)
            assert [m["type"] for m in viewer.messages] == ["hello", "event", "event", "event"]
            assert viewer.events == [5, 6, 7]
            await hub.bus.publish(event("withdraw", 8))
            await until(lambda: viewer.events == [5, 6, 7, 8])
        if somebody_watches:
            await before.__aexit__()


async def test_a_gap_where_not_all_that_was_missed_is_kept():
    async with running_hub(replay_events=3) as hub:
        for number in range(1, 10):
            await hub.bus.publish(event("card" if number == 1 else "update", number))
        async with Viewer(hub.api, query="after=2") as viewer:
            await until(lambda: len(viewer.messages) == 2)
            assert [m["type"] for m in viewer.messages] == ["hello", "gap"]
            viewer.say(type="current")
            await until(lambda: len(viewer.of_type("hello")) == 2)
            assert viewer.of_type("hello")[1]["current"][0]["event_id"] == 9
        async with Viewer(hub.api, query="after=6") as viewer:
            await until(lambda: viewer.events == [7, 8, 9])
            assert not viewer.of_type("gap")


async def test_a_viewer_that_has_everything_or_more_gets_only_the_hello():
    async with running_hub() as hub:
        await hub.bus.publish(event("card", 1))
        async with Viewer(hub.api, query="after=1") as same, Viewer(hub.api, query="after=90") as ahead:
            await asyncio.sleep(0.02)
            for viewer in (same, ahead):
                assert [m["type"] for m in viewer.messages] == ["hello"]
                assert viewer.messages[0]["last_event_id"] == 1


async def test_a_room_that_begins_anew_is_a_gap_and_a_smaller_number():
    async with running_hub() as hub, Viewer(hub.api) as viewer:
        for number in range(1, 4):
            await hub.bus.publish(event("card" if number == 1 else "update", number))
        await until(lambda: viewer.events == [1, 2, 3])
        await hub.bus.publish(event("card", 1, card_id="new"))
        await until(lambda: viewer.of_type("gap"))
        viewer.say(type="current")
        await until(lambda: len(viewer.of_type("hello")) == 2)
        hello = viewer.of_type("hello")[1]
        assert hello["last_event_id"] == 1
        assert "new" in [card["card_id"] for card in hello["current"]]
        await hub.bus.publish(event("update", 2, card_id="new"))
        await until(lambda: viewer.events[-1] == 2)


async def test_events_that_the_bus_lost_are_a_gap_for_the_room_and_nobody_else():
    async with running_hub() as hub, Viewer(hub.api) as viewer, Viewer(hub.api, "room-2") as other:
        await hub.bus.publish(event("card", 1))
        await hub.bus.publish(event("update", 5))
        await until(lambda: viewer.of_type("gap"))
        viewer.say(type="current")
        await until(lambda: len(viewer.of_type("hello")) == 2)
        assert viewer.of_type("hello")[1]["last_event_id"] == 5
        assert not other.of_type("gap")
        async with Viewer(hub.api, query="after=1") as back:
            await until(lambda: len(back.messages) == 2)
            assert back.messages[1] == {"type": "gap"}
        assert sample(hub, "bus_gaps_total") == 1


async def test_a_gap_of_unknown_rooms_is_told_to_all():
    class LossyBus:
        def __init__(self):
            self._bus = open_bus("memory://")
            self.stats, self.latest, self.last_event_id = self._bus.stats, self._bus.latest, self._bus.last_event_id
            self.close, self.gap = self._bus.close, asyncio.Event()

        def subscribe(self, room=None, after_event_id=None):
            return self._bus.subscribe(room, after_event_id) if room else self._lossy()

        @asynccontextmanager
        async def _lossy(self):
            async def items():
                await self.gap.wait()
                yield Gap(None, 0)
                await asyncio.sleep(60)

            self.stats.subscribers += 1
            yield items()

    bus = LossyBus()
    async with running_hub(bus=bus) as hub, Viewer(hub.api) as one, Viewer(hub.api, "room-2") as other:
        bus.gap.set()
        await until(lambda: one.of_type("gap") and other.of_type("gap"))


async def test_while_the_bus_is_away_viewers_are_sent_off_and_those_here_wait(monkeypatch):
    monkeypatch.setattr("livecart.web.hub.hub._STATE_WITHIN_S", 0.1)
    async with running_hub() as hub, Viewer(hub.api) as viewer:
        working = hub.bus.latest

        async def away(room):
            raise BusError("away")

        hub.bus.latest = away
        await hub.bus.publish(event("card", 1))
        await hub.bus.publish(event("update", 9))
        async with Viewer(hub.api, "room-2") as refused:
            assert await refused.ended() == 1013
        assert sample(hub, "refused_total", reason="bus") == 1
        hub.bus.latest = working
        await until(lambda: viewer.of_type("gap"))
        await hub.bus.publish(event("update", 10))
        await until(lambda: viewer.events[-1] == 10)
        assert viewer.close_code is None


async def test_pings_come_and_who_does_not_answer_is_let_go():
    async with running_hub(beat=(0.05, 0.2)) as hub, Viewer(hub.api) as silent, Viewer(hub.api) as lively:
        for _ in range(12):
            pings = len(lively.of_type("ping"))
            await until(lambda pings=pings: len(lively.of_type("ping")) > pings)
            lively.say(type="pong")
        assert await silent.ended() == 1013
        assert lively.close_code is None
        assert lively.of_type("ping")[0]["server_time_s"] > 1e9
        assert sample(hub, "ended_total", reason="silent") == 1


async def test_viewers_of_a_room_that_is_removed_are_told():
    async with running_hub(beat=(0.02, 10)) as hub, Viewer(hub.api) as viewer, Viewer(hub.api, "room-2") as other:
        hub.rooms.discard("room-1")
        assert await viewer.ended() == 4404
        assert other.close_code is None


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"type": "dance"}', '{"type": "feedback"}', "x" * 40_000, '{"type": "feedback", "batch_id": 1}',
        pytest.param('{"type": "pong", "x": ' + "[" * 15_000 + "]" * 15_000 + "}", id="nested"),
    ],
)  # fmt: skip
async def test_what_is_no_message_ends_the_connection(text):
    async with running_hub() as hub, Viewer(hub.api) as viewer:
        viewer.say_text(text)
        assert await viewer.ended() == 1008
        assert sample(hub, "ended_total", reason="protocol") == 1
        # An alarm is for faults of livecart, not for what strangers send.
        assert hub.failures == []


async def test_a_flood_of_messages_ends_the_connection():
    async with running_hub() as hub, Viewer(hub.api) as viewer:
        for _ in range(200):
            viewer.say(type="pong")
        assert await viewer.ended() == 1008
        assert sample(hub, "ended_total", reason="rate") == 1


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "9" * 40])
async def test_after_must_be_an_events_id(after):
    async with running_hub() as hub, Viewer(hub.api, query=f"after={after}") as viewer:
        assert await viewer.ended() == 1008
