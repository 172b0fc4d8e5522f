"""The crowd that bench_end_to_end watches with: everybody connects, and every event is timed for each."""

import asyncio
import time

from benchmarks.viewer_crowd import crowd
from livecart.web import HttpServer
from tests.web.hub_clients import event, running_hub

VIEWERS = 20


async def test_each_viewer_s_time_is_taken() -> None:
    async with running_hub(most_per_ip=VIEWERS) as hub:
        server = HttpServer(hub.api, "127.0.0.1", 0)
        serving = asyncio.create_task(server.run())
        there = crowd(f"{server.url}/rooms/room-1/events", VIEWERS)
        people = await asyncio.to_thread(there.__enter__)
        try:
            # Who has just connected is told what is shown in its greeting, not as an event.
            async with asyncio.timeout(20):
                while hub.hub.viewers_by_room() != {"room-1": VIEWERS}:
                    await asyncio.sleep(0.01)
            for number in (1, 2):
                await hub.bus.publish(event("card", number, card_id=f"c{number}", emitted_at_s=time.time()))
            seconds: list[float] = []
            async with asyncio.timeout(20):
                while len(seconds) < 2 * VIEWERS:
                    seconds += await asyncio.to_thread(people.take)
            assert len(seconds) == 2 * VIEWERS
            assert all(0 <= second < 10 for second in seconds)
            assert await asyncio.to_thread(people.take) == []
        finally:
            await asyncio.to_thread(there.__exit__, None, None, None)
        await server.stop(serving)
        await asyncio.gather(serving, return_exceptions=True)
