"""The hub of a process that runs no rooms itself: events come over Redis, from before it began too."""

import fakeredis

from livecart.events.redis_bus import RedisBus
from tests.waiting import until
from tests.web.hub_clients import Viewer, event, running_hub


async def test_a_viewer_resumes_at_another_process():
    server = fakeredis.FakeServer()
    publisher = RedisBus(fakeredis.FakeAsyncRedis(server=server), timeout_s=1)
    try:
        for number in range(1, 6):
            await publisher.publish(event("card" if number == 1 else "update", number))
        await until(lambda: publisher.stats.published == 5)
        async with running_hub(bus=RedisBus(fakeredis.FakeAsyncRedis(server=server), timeout_s=1)) as hub:
            async with Viewer(hub.api, query="after=2") as back, Viewer(hub.api) as new:
                await until(lambda: back.events == [3, 4, 5])
                assert new.messages[0]["last_event_id"] == 5
                assert [card["event_id"] for card in new.messages[0]["current"]] == [5]
                await publisher.publish(event("withdraw", 6, reason="gone"))
                await until(lambda: back.events[-1] == 6 and new.events == [6])
            assert hub.failures == []
    finally:
        await publisher.close()
