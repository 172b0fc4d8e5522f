"""The hub of `livecart run`, over real connections."""

import asyncio
import importlib.util
import socket
import time

import aiohttp
import pytest

from livecart.server.app import run_rooms
from tests.live.video.streams import ByteServer
from tests.waiting import until
from tests.web.hub_clients import event, feedback_batch, feedback_event, running_hub, serving

needs_websockets = pytest.mark.skipif(
    importlib.util.find_spec("websockets") is None, reason="websockets is not installed: uvicorn takes no WebSocket"
)


@needs_websockets
async def test_a_browsers_way_through_a_socket(nothing_left):
    async with running_hub() as hub, serving(hub.api) as url, aiohttp.ClientSession() as session:
        await hub.bus.publish(event("card", 1))
        async with session.ws_connect(f"{url}/rooms/room-1/events") as viewer:
            assert (await viewer.receive_json(timeout=5))["current"][0]["event_id"] == 1
            await hub.bus.publish(event("withdraw", 2, reason="gone"))
            assert (await viewer.receive_json(timeout=5))["event"]["reason"] == "gone"
            batch = feedback_batch(feedback_event(at_s=time.time()))
            await viewer.send_json(batch)
            assert await viewer.receive_json(timeout=5) == {"type": "ack", "batch_id": batch["batch_id"]}
            assert hub.hub.viewers_by_room() == {"room-1": 1}
        await until(lambda: hub.hub.viewers_by_room() == {})
        async with session.ws_connect(f"{url}/rooms/none/events") as viewer:
            assert (await viewer.receive(timeout=5)).data == 4404
        async with session.ws_connect(f"{url}/rooms/room-1/events") as viewer:
            await viewer.receive_json(timeout=5)
            await hub.hub.close()
            assert (await viewer.receive(timeout=5)).data == 1001
    assert hub.failures == []


@needs_websockets
async def test_a_peer_that_stops_reading_its_socket_delays_nobody():
    text = "长" * 4000
    async with running_hub(queue_messages=8) as hub, serving(hub.api) as url, aiohttp.ClientSession() as session:
        host, port = url.removeprefix("http://").split(":")
        stuck = socket.create_connection((host, int(port)))
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(
            b"GET /rooms/room-1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        try:
            async with session.ws_connect(f"{url}/rooms/room-1/events") as viewer:
                await viewer.receive_json(timeout=5)
                await until(lambda: hub.hub.viewers_by_room() == {"room-1": 2})
                number = 0
                # As much as the kernel's buffers take, and the queue of the one that does not read.
                while hub.hub.viewers_by_room() == {"room-1": 2} and number < 3000:
                    number += 1
                    await hub.bus.publish(event("card", number, name=text))
                    assert (await viewer.receive_json(timeout=5))["event"]["event_id"] == number
                await until(lambda: hub.hub.viewers_by_room() == {"room-1": 1})
        finally:
            stuck.close()


async def test_a_card_of_a_running_room_reaches_a_viewer(tmp_path, archive, flv):
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as stream:
        config = tmp_path / "rooms.toml"
        config.write_text(
            f'[recognizer]\nbase_url = "{archive.url}"\n[decision]\nagreeing_results = 1\n[http]\nport = 0\n'
            f'[[rooms]]\nid = "room-1"\nsource = "{stream.url}"\nrate_hz = 2.0\n'
        )
        running = asyncio.create_task(run_rooms(config, stop, on_ready=ready.set_result))
        try:
            url = await asyncio.wait_for(ready, 10)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"{url}/rooms/room-1/events") as answer:
                    seen = b""
                    async with asyncio.timeout(15):
                        while b'"sku":"red"' not in seen:
                            seen += await answer.content.readline()
                    async with session.get(f"{url}/metrics") as metrics:
                        assert 'livecart_hub_viewers{room="room-1"} 1.0' in await metrics.text()
                    # The process ends while the viewer is connected: its stream ends, nothing waits for it.
                    stop.set()
                    async with asyncio.timeout(10):
                        while await answer.content.readline():
                            pass
                await asyncio.wait_for(running, 10)
        finally:
            stop.set()
            await asyncio.wait({running}, timeout=10)
