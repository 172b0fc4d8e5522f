"""Viewers for tests of the hub, straight at the application: no socket, so that thousands fit into one test."""

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

from prometheus_client import CollectorRegistry

from contract.card import CardEvent
from livecart.events import open_bus
from livecart.web import HttpServer, create_api
from livecart.web.access import TokenCheck
from livecart.web.hub import HubMetrics, RecentFeedback, TicketSigner, ViewerHub, ViewersSettings, hub_router
from livecart.web.hub.admission import Admission
from livecart.web.hub.feedback import FeedbackIntake
from tests.card_events import card_event
from tests.waiting import until

TOKEN = "let-me-in-please"
_ids = itertools.count(1)


def event(kind: str, event_id: int, *, card_id="c1", **more) -> CardEvent:
    fields = {"sku": f"sku-{card_id}", "box": (260.0, 560.0, 460.0, 900.0), "captured_at_s": 2.0, "decided_at_s": 3.0}
    return card_event(event=kind, event_id=event_id, card_id=card_id, **fields | {"emitted_at_s": 4.0} | more)


@asynccontextmanager
async def running_hub(
    *, bus=None, public_url=None, sink=None, rooms=("room-1", "room-2"), is_public=False, beat=None, token=None, **set_
):
    """A hub that follows a bus, as an application."""
    bus = bus or open_bus("memory://")
    registry, failures, settings = CollectorRegistry(), [], ViewersSettings(**set_)
    metrics, sink, known = HubMetrics(registry, failures.append), sink or RecentFeedback(), set(rooms)

    tickets = TicketSigner(settings.secret or "of this process alone")

    async def knows_room(room: str) -> bool:
        return room in known

    hub = ViewerHub(
        bus,
        Admission(settings, knows_room, tickets, is_public=is_public),
        FeedbackIntake(sink, metrics),
        metrics,
        queue_messages=settings.queue_messages,
        replay_events=settings.replay_events,
        public_url=public_url,
    )
    viewers = [hub_router(hub, settings, TokenCheck(token), tickets)]
    api = create_api(SimpleNamespace(views=list), None, registry, token, viewers=viewers)
    tasks = [asyncio.create_task(hub.run())]
    if beat is not None:
        tasks.append(asyncio.create_task(hub.beat(*beat)))
    await until(lambda: bus.stats.subscribers == 1)
    yield SimpleNamespace(
        hub=hub, bus=bus, api=api, metrics=metrics, registry=registry, sink=sink, rooms=known, failures=failures
    )
    await hub.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await bus.close()


@asynccontextmanager
async def serving(api, *trusted_proxies):
    """The application behind a socket; its address."""
    server = HttpServer(api, "127.0.0.1", 0, trusted_proxies)
    task = asyncio.create_task(server.run())
    try:
        yield server.url
    finally:
        await server.stop(task)
        await asyncio.gather(task, return_exceptions=True)


class Viewer:
    """One WebSocket. `reads` is set while the viewer takes what is sent."""

    def __init__(self, api, room="room-1", *, query="", origin=None, ip="127.0.0.1", host="127.0.0.1:8090"):
        headers = [(b"host", host.encode())] + ([(b"origin", origin.encode())] if origin else [])
        self._scope = {
            "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "root_path": "",
            "path": f"/rooms/{room}/events", "raw_path": f"/rooms/{room}/events".encode(), "headers": headers,
            "query_string": query.encode(), "client": (ip, 50000), "server": ("127.0.0.1", 8090), "subprotocols": [],
        }  # fmt: skip
        self._api = api
        self._to_app: asyncio.Queue = asyncio.Queue()
        self.messages: list[dict] = []
        self.close_code: int | None = None
        self.reads = asyncio.Event()
        self.reads.set()
        self.task: asyncio.Task | None = None

    async def __aenter__(self):
        self._to_app.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(self._api(self._scope, self._to_app.get, self._send))
        await until(lambda: self.messages or self.close_code is not None or self.task.done())
        return self

    async def __aexit__(self, *_):
        self.reads.set()
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await asyncio.wait_for(self.task, 5)

    async def _send(self, message):
        await self.reads.wait()
        if message["type"] == "websocket.send":
            self.messages.append(json.loads(message["text"]))
        elif message["type"] == "websocket.close":
            self.close_code = message["code"]

    def say(self, **message):
        self.say_text(json.dumps(message))

    def say_text(self, text):
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    def feedback(self, *events, batch_id=None):
        batch = feedback_batch(*events, batch_id=batch_id)
        self.say(**batch)
        return batch

    @property
    def events(self) -> list[int]:
        return [m["event"]["event_id"] for m in self.messages if m["type"] == "event"]

    def of_type(self, kind) -> list[dict]:
        return [m for m in self.messages if m["type"] == kind]

    async def ended(self) -> int | None:
        await asyncio.wait_for(self.task, 5)
        return self.close_code


def feedback_batch(*events, batch_id=None) -> dict:
    return {"type": "feedback", "batch_id": batch_id or f"batch-{next(_ids):08}", "events": list(events)}


def feedback_event(kind="click", *, at_s, **more) -> dict:
    return {"id": f"event-{next(_ids):08}", "kind": kind, "card_id": "c1", "sku": "1001", "at_s": at_s} | more


def sample(running, name, **labels) -> float | None:
    return running.registry.get_sample_value(f"livecart_hub_{name}", labels)
