"""Clients that ask for nothing, for half of something, or stop in the middle: none keeps a connection for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import asynccontextmanager

import pytest

from livecart.web import HttpServer, patience
from livecart.web.api import BodyLimit
from tests.live.conftest import until
from tests.live.hub_clients import running_hub

HEAD = b"Host: 127.0.0.1\r\n"
POST = b"POST /rooms/room-1/feedback HTTP/1.1\r\n" + HEAD
EVENTS = b"GET /rooms/room-1/events HTTP/1.1\r\n" + HEAD
HALF_REQUESTS = {
    "nothing": b"",
    "half a line": b"GET /roo",
    "half of the headers": EVENTS,
    "half of the second request": b"GET /nowhere HTTP/1.1\r\n" + HEAD + b"\r\nGET /rooms",
    "half a handshake": EVENTS + b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    "half a body": POST + b"Content-Length: 1000\r\n\r\n{",
    "half a body of a stream": EVENTS + b"Content-Length: 1000\r\n\r\n{",
    "half a body before anybody knows who asks": b"POST /rooms/x/tickets HTTP/1.1\r\n"
    + HEAD
    + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
}


@asynccontextmanager
async def served(monkeypatch, within_s: float):
    """A hub behind a socket that waits for requests for so long; its port."""
    monkeypatch.setattr(patience, "REQUEST_WITHIN_S", within_s)
    monkeypatch.setattr(BodyLimit.__init__, "__defaults__", ((), 1024 * 1024, within_s))
    async with running_hub() as hub:
        server = HttpServer(hub.api, "127.0.0.1", 0)
        task = asyncio.create_task(server.run())
        yield hub, int(server.url.rsplit(":", 1)[1])
        await server.stop(task)


@pytest.mark.parametrize("sent", HALF_REQUESTS.values(), ids=HALF_REQUESTS)
async def test_half_a_request_is_let_go(monkeypatch, sent):
    async with served(monkeypatch, 0.3) as (hub, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        # Between two requests uvicorn waits for 5 s.
        await asyncio.wait_for(reader.read(), 8)
        writer.close()
        assert hub.failures == []


async def test_who_asked_whole_is_not_hurried(monkeypatch):
    async with served(monkeypatch, 0.3) as (_, port):
        handshake = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        readers = []
        for sent in (EVENTS + b"\r\n", EVENTS + handshake + key + b"\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            readers.append((reader, writer))
        await asyncio.sleep(1.0)
        for reader, writer in readers:
            assert b"hello" in await reader.read(4096)
            assert not reader.at_eof()
            writer.close()


async def test_who_pings_without_end_is_let_go_and_who_does_now_and_then_is_not(monkeypatch):
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ping = b"\x89\x80\0\0\0\0"
    async with served(monkeypatch, 5.0) as (hub, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(EVENTS + b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + key)
        assert b"hello" in await reader.readuntil(b"current")
        writer.write(ping * 10)
        assert (await asyncio.wait_for(reader.readuntil(b"\x8a\0" * 10), 4)).endswith(b"\x8a\0" * 10)
        writer.write(ping * 1000)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 4)
        await until(lambda: hub.hub.viewers_by_room() == {})
        assert hub.failures == []
        writer.close()


async def test_who_leaves_in_the_middle_of_a_body_leaves_no_trace_in_the_log(monkeypatch, caplog):
    async with served(monkeypatch, 5.0) as (_, port):
        with caplog.at_level(logging.WARNING):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(POST + b"Content-Length: 1000\r\n\r\n{")
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.close()
            await asyncio.sleep(0.5)
        assert caplog.records == []
