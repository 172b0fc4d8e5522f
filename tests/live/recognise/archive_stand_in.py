"""An HTTP server in the archive's place, with its faults: it answers as docs/http.md says, or as a test tells it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import av
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

BUSY_BODY = {"code": 503, "type": "ServiceUnavailableException", "message": "Model has no worker to serve requests."}
DIED_BODY = {"code": 500, "type": "InternalServerException", "message": "Worker died."}


def product(sku: str = "1001", **changes: Any) -> dict[str, Any]:
    return {
        "sku": sku,
        "name": "好欢螺螺蛳粉",
        "url": f"https://shop.example.com/item/{sku}",
        "confidence": 0.93,
        "box": [10.0, 20.0, 110.0, 220.0],
        "evidence": {"photo": 0.8, "text": None, "label": None},
        "price": "12.90",
        "currency": "CNY",
    } | changes


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Width and height of a JPEG, by decoding it."""
    decoder = av.CodecContext.create("mjpeg", "r")
    (picture,) = decoder.decode(av.Packet(jpeg))
    return picture.width, picture.height


@dataclass
class Archive:
    """Runs on a free port of this machine, or on the one it had before."""

    products: list[dict[str, Any]] = field(default_factory=lambda: [product()])
    texts: list[dict[str, Any]] = field(default_factory=list)
    mirrored: bool | None = None
    #: Answers the coming requests instead, one each.
    faults: list[Answer] = field(default_factory=list)
    #: Answers every request instead.
    always: Answer | None = None
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    workers: list[str] = field(default_factory=lambda: ["READY"])
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Archive:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/predictions/{model}", self._predict)
        app.router.add_get("/models/{model}", self._describe)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _predict(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((dict(request.headers), body))
        if self.faults:
            return await self.faults.pop(0)(request)
        if self.always is not None:
            return await self.always(request)
        if request.content_type != "image/jpeg":
            return web.json_response(self.reply(64, 64))
        return web.json_response(self.reply(*size_of(body)))

    async def _describe(self, request: web.Request) -> web.StreamResponse:
        return web.json_response([{"modelName": "m", "workers": [{"id": "9000", "status": s} for s in self.workers]}])

    def reply(self, width: int, height: int) -> dict[str, Any]:
        return {
            "schema": 1,
            "model": {"name": "product_recognizer", "version": "1.0", "backbone": "b", "catalog": None},
            "image": {"width": width, "height": height},
            "labels": [],
            "products": self.products,
            "texts": self.texts,
            "mirrored": self.mirrored,
            "timing_ms": {"decode": 4.0, "network": 31.0, "keypoints": 9.5, "text": 0.0, "match": 0.4},
        }


def answering(status: int, body: Any, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(status=status, body=raw, headers=headers, content_type="application/json")

    return answer


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def cut_at_once(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_midway(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b'{"schema": 1,')
    assert request.transport is not None
    request.transport.abort()
    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" " * 65536)


busy = answering(503, BUSY_BODY)
