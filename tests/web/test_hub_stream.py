"""Viewers by server-sent events."""

import asyncio
import json

from tests.waiting import until
from tests.web.hub_clients import event, running_hub, sample


class StreamViewer:
    """One EventSource, straight at the application."""

    def __init__(self, api, room="room-1", *, query="", origin=None):
        headers = [(b"host", b"127.0.0.1:8090")] + ([(b"origin", origin.encode())] if origin else [])
        self._scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": f"/rooms/{room}/events", "raw_path": b"", "query_string": query.encode(), "headers": headers,
            "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8090), "root_path": "",
        }  # fmt: skip
        self._api, self._gone, self._asked = api, asyncio.Event(), False
        self.status, self.headers, self.body, self.ended = None, {}, b"", False

    async def __aenter__(self):
        self.task = asyncio.create_task(self._api(self._scope, self._receive, self._send))
        await until(lambda: self.body or self.task.done())
        return self

    async def __aexit__(self, *_):
        self._gone.set()
        await asyncio.wait_for(self.task, 5)

    async def _receive(self):
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.ended = not message.get("more_body", False)

    @property
    def messages(self) -> list[dict]:
        parts = self.body.decode().split("\n\n")
        assert parts[-1] == ""
        assert all(part.startswith("data: ") and "\n" not in part for part in parts[:-1])
        return [json.loads(part.removeprefix("data: ")) for part in parts[:-1]]


async def test_the_same_messages_as_by_websocket():
    async with running_hub(beat=(0.05, 10)) as hub:
        await hub.bus.publish(event("card", 1))
        async with StreamViewer(hub.api) as viewer:
            assert viewer.status == 200
            assert viewer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert viewer.headers["cache-control"] == "no-store"
            assert "content-length" not in viewer.headers
            assert viewer.messages[0]["current"][0]["name"] == "好欢螺螺蛳粉 300g"
            await hub.bus.publish(event("update", 2))
            await until(lambda: {"event", "ping"} <= {m["type"] for m in viewer.messages})
            assert sample(hub, "viewers", room="room-1") == 1
        async with StreamViewer(hub.api, query="after=1") as viewer:
            await until(lambda: len(viewer.messages) >= 2)
            assert viewer.messages[1]["event"]["event_id"] == 2
        assert hub.hub.viewers_by_room() == {}
    assert hub.failures == []


class EndlessAsker(StreamViewer):
    """Asks with a body that never ends."""

    async def _receive(self):
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x" * 65536, "more_body": True}


async def test_who_sends_a_body_without_end_is_let_go_and_no_alarm_goes_off():
    async with running_hub() as hub:
        async with EndlessAsker(hub.api) as viewer:
            await asyncio.wait_for(viewer.task, 5)
        assert hub.failures == []
        assert sample(hub, "ended_total", reason="left") == 1


async def test_a_stream_that_takes_its_pings_is_alive():
    async with running_hub(beat=(0.02, 0.1)) as hub, StreamViewer(hub.api) as viewer:
        await until(lambda: len(viewer.messages) > 10)
        assert not viewer.ended


async def test_refusals_are_statuses_that_allowed_pages_can_read():
    page = "https://shop.example.com"
    async with running_hub(origins=(page,), secret="a-secret-of-enough-characters") as hub:
        async with StreamViewer(hub.api, origin=page) as viewer:
            assert (viewer.status, json.loads(viewer.body)["error"]["code"]) == (401, "ticket")
            assert viewer.headers["access-control-allow-origin"] == page
        async with StreamViewer(hub.api, origin="https://evil.example") as viewer:
            assert (viewer.status, json.loads(viewer.body)["error"]["code"]) == (403, "origin")
            assert "access-control-allow-origin" not in viewer.headers
    async with running_hub() as hub:
        async with StreamViewer(hub.api, "none") as viewer:
            assert viewer.status == 404
        async with StreamViewer(hub.api, query="after=x") as viewer:
            assert viewer.status == 400
