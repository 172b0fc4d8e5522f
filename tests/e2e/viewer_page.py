"""A page with the viewer's element over a video, under a strict content security policy, and a hub for tests.

The hub keeps to the protocol of docs/viewer.md: WebSocket and server-sent events at /rooms/{room}/events.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from html import escape
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiohttp import WSCloseCode, web

FRAME_WIDTH = 720
FRAME_HEIGHT = 1280
VIDEO_SECONDS = 12
_FPS = 25
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'"
)
_PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>直播间</title><link rel="icon" href="/icon.svg">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/page.css"><script src="/live-cart.js"></script></head>
<body><main><h1>直播间</h1><div class="frame"><video id="stream" class="{fit}" src="/stream.webm" muted playsinline
preload="auto" aria-label="直播"></video>{element}<p class="caption">字幕 caption</p></div>
<button id="fullscreen" type="button">全屏</button></main></body></html>"""
#: Of the element, where a test does not say otherwise.
_ATTRIBUTES = {"for": "stream", "src": "/", "room": "room-1", "dismiss-after": "60", "reserved": ".caption"}
_STYLE = """
body { margin: 0; background: #101216; color: #fff; } h1 { margin: 0; font-size: 16px; }
.frame { position: relative; height: 85vh; } .frame:fullscreen { height: 100vh; }
video { display: block; width: 100%; height: 100%; background: #000; }
.contain { object-fit: contain; } .cover { object-fit: cover; } #fullscreen { min-height: 44px; }
.caption { position: absolute; left: 10%; right: 10%; bottom: 4%; margin: 0; height: 48px; background: #000; }
"""


class FakeHub:
    """Rooms with one list of events each; remembers what viewers sent."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.current: dict[str, dict[str, Any]] = {}
        self.queries: list[dict[str, str]] = []
        self.batches: list[dict[str, Any]] = []
        self.acknowledges = True
        self._sockets: set[web.WebSocketResponse] = set()
        self._streams: set[asyncio.Queue[dict[str, Any]]] = set()

    def event(self, kind: str, card_id: str, **fields: Any) -> dict[str, Any]:
        """Makes the next event of the room: as contract.card.CardEvent is in JSON."""
        return {
            "schema": 1, "event": kind, "event_id": len(self.events) + 1, "card_id": card_id, "room": "room-1",
            "sku": f"sku-{card_id}", "name": "好欢螺螺蛳粉 300g", "url": "https://shop.example.com/item/1001",
            "price": "12.90", "currency": "CNY", "confidence": 0.93, "box": [260.0, 560.0, 460.0, 900.0],
            "frame_width": FRAME_WIDTH, "frame_height": FRAME_HEIGHT, "pts_s": 0.0, "captured_at_s": time.time(),
            "decided_at_s": time.time(), "emitted_at_s": time.time(), "reason": None, **fields,
        }  # fmt: skip

    async def publish(self, kind: str, card_id: str, **fields: Any) -> dict[str, Any]:
        """Sends it to whoever is connected, and to those who resume."""
        event = self.event(kind, card_id, **fields)
        self.events.append(event)
        if kind == "withdraw":
            self.current.pop(card_id, None)
        else:
            self.current[card_id] = {**event, "event": "card"}
        await self.say({"type": "event", "event": event})
        return event

    async def say(self, message: dict[str, Any]) -> None:
        for socket in self._sockets:
            await socket.send_json(message)
        for stream in self._streams:
            stream.put_nowait(message)

    async def drop(self, code: int = WSCloseCode.GOING_AWAY) -> None:
        """Ends every connection."""
        for socket in list(self._sockets):
            await socket.close(code=code)

    @property
    def connected(self) -> int:
        return len(self._sockets) + len(self._streams)

    @property
    def feedback(self) -> list[tuple[str, str]]:
        """Kind and card of everything that viewers sent, each once, in order."""
        known = {event["id"]: (event["kind"], event["card_id"]) for batch in self.batches for event in batch["events"]}
        return list(known.values())

    def greeting(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """What a connection begins with."""
        self.queries.append(query)
        hello = {
            "type": "hello", "room": "room-1", "server_time_s": time.time(), "last_event_id": len(self.events),
            "current": list(self.current.values()),
        }  # fmt: skip
        missed = self.events[int(query["after"]) :] if "after" in query else []
        return [hello, *({"type": "event", "event": event} for event in missed)]

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await self._stream(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for message in self.greeting(dict(request.query)):
            await socket.send_json(message)
        self._sockets.add(socket)
        try:
            async for received in socket:
                await self._receive(socket, json.loads(received.data))
        finally:
            self._sockets.discard(socket)
        return socket

    async def feedback_post(self, request: web.Request) -> web.Response:
        batch = await request.json()
        self.batches.append(batch)
        return web.json_response({"type": "ack", "batch_id": batch["batch_id"]})

    async def _receive(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        if message["type"] == "feedback":
            self.batches.append(message)
            if self.acknowledges:
                await socket.send_json({"type": "ack", "batch_id": message["batch_id"]})
        elif message["type"] == "current":
            await socket.send_json(self.greeting({})[0])

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for message in self.greeting(dict(request.query)):
            queue.put_nowait(message)
        self._streams.add(queue)
        try:
            while True:
                await response.write(f"data: {json.dumps(await queue.get())}\n\n".encode())
        finally:
            self._streams.discard(queue)


@asynccontextmanager
async def served(hub: FakeHub, script: Path, stream: Path) -> AsyncIterator[str]:
    """Serves page and hub on a free port; yields the address."""
    app = web.Application()
    app.router.add_get("/", _page)
    app.router.add_get("/page.css", _answer(lambda: web.Response(text=_STYLE, content_type="text/css")))
    app.router.add_get("/icon.svg", _answer(lambda: web.Response(text="<svg/>", content_type="image/svg+xml")))
    app.router.add_get("/live-cart.js", _answer(lambda: web.FileResponse(script)))
    app.router.add_get("/stream.webm", _answer(lambda: web.FileResponse(stream)))
    app.router.add_get("/rooms/{room}/events", hub.websocket)
    app.router.add_post("/rooms/{room}/feedback", hub.feedback_post)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def _answer(make: Callable[[], web.StreamResponse]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return make()

    return answer


async def _page(request: web.Request) -> web.Response:
    attributes = {**_ATTRIBUTES, **request.query}
    fit = attributes.pop("fit", "contain")
    written = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    text = _PAGE.format(fit=fit, element=f"<live-cart {written}></live-cart>")
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return web.Response(text=text, content_type="text/html", headers=headers)


def write_stream(path: Path) -> None:
    """A plain video in the shape of a phone, as every browser plays it."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libvpx", rate=_FPS, options={"cpu-used": "8", "deadline": "realtime"})
        video.width, video.height, video.pix_fmt, video.bit_rate = 180, 320, "yuv420p", 200_000
        video.time_base = Fraction(1, _FPS)
        # More of them spin in waiting for one another: 20 s of CPU instead of 0.3.
        video.codec_context.thread_count = 1
        for number in range(VIDEO_SECONDS * _FPS):
            shade = np.full((320, 180, 3), 60 + number % 120, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode())
