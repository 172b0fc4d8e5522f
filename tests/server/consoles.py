"""Consoles of one room and their hosts, straight at the application."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx

from livecart.events import open_bus
from livecart.server.console import make_host_console
from livecart.server.health import HealthMonitor
from livecart.server.room_registry import RoomRegistry
from livecart.server.rooms_file import read_rooms_file
from livecart.server.viewers import make_tickets, make_viewer_hub
from livecart.web import create_api
from livecart.web.access import TicketCheck, TokenCheck
from livecart.web.hub import hub_router
from tests.waiting import until

TOKEN = "let-me-in-please"
SECRET = "a-secret-of-enough-characters"
ROOM = '[[rooms]]\nid = "r"\nsource = "{}"\nrate_hz = 4.0\nplayback_url = "/live.m3u8"\n'


@asynccontextmanager
async def console(engine, tmp_path, source, text="", *, token=None):
    """The API with a console, over a room `r` that reads `source`."""
    path = tmp_path / "rooms.toml"
    http = f'[http]\ntoken = "{token}"\n' if token else ""
    path.write_text(http + text + ROOM.format(source), encoding="utf-8")
    file = read_rooms_file(path, {})
    book = RoomRegistry(engine.rooms, file)
    tickets = make_tickets(file, book)
    hub = make_viewer_hub(engine.rooms, open_bus("memory://"), engine.metrics, file, tickets=tickets)
    made = make_host_console(engine.rooms, engine.outbox, book, hub, file, tickets=tickets)
    viewers = [hub_router(hub, file.viewers, TokenCheck(token), tickets), made.router]
    health = HealthMonitor(engine.client.ready, engine.bus.last_event_id, lambda: True)
    senders = TicketCheck(token, lambda room, ticket: tickets.admits(room, ticket, "publisher"))
    api = create_api(
        book, health, engine.metrics.registry, token, hosts=made.guard, publishers=senders, viewers=viewers
    )
    await book.apply_file(file)
    try:
        yield SimpleNamespace(api=api, made=made, book=book)
    finally:
        await made.feed.close()


def client_of(running, credential=None):
    headers = {"Authorization": f"Bearer {credential}"} if credential else {}
    transport = httpx.ASGITransport(running.api)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


class Host:
    """One host's stream, straight at the application. While `reads` is not set, it takes nothing."""

    def __init__(self, api, room="r", credential=None):
        headers = [(b"host", b"127.0.0.1")]
        if credential:
            headers.append((b"authorization", f"Bearer {credential}".encode()))
        path = f"/rooms/{room}/detections"
        self._scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
            "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8090),
        }  # fmt: skip
        self._api = api
        self._left = asyncio.Event()
        self._began = False
        self.status = 0
        self.messages: list[dict] = []
        self.at_s: list[float] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def __aenter__(self):
        self.task = asyncio.create_task(self._api(self._scope, self._receive, self._send))
        await until(lambda: self.status)
        return self

    async def __aexit__(self, *_):
        self._left.set()
        self.reads.set()
        await asyncio.wait_for(self.task, 5)

    async def _receive(self):
        if not self._began:
            self._began = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["body"].startswith(b"data: "):
            await self.reads.wait()
            self.messages.append(json.loads(message["body"].removeprefix(b"data: ")))
            self.at_s.append(time.monotonic())

    @property
    def looks(self) -> list[dict]:
        return [message["detections"] for message in self.messages if message["detections"]]

    @property
    def events(self) -> list[dict]:
        return [event for message in self.messages for event in message["events"]]
