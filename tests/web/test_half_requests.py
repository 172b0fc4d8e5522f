"""Clients that ask for nothing, for half of something, or stop in the middle: none keeps a connection for ever."""

import asyncio
import contextlib
import logging
from contextlib import asynccontextmanager

import pytest

from livecart.core.http_bodies import BodyLimit
from livecart.core.rate_limits import TokenBucket
from livecart.web import server as web_server
from tests.waiting import until
from tests.web.hub_clients import running_hub, serving

HEAD = b"Host: 127.0.0.1\r\n"
POST = b"POST /rooms/room-1/feedback HTTP/1.1\r\n" + HEAD
EVENTS = b"GET /rooms/room-1/events HTTP/1.1\r\n" + HEAD
HANDSHAKE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HALF_REQUESTS = [
    b"",
    b"GET /roo",
    EVENTS,
    b"GET /nowhere HTTP/1.1\r\n" + HEAD + b"\r\nGET /rooms",
    EVENTS + b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    POST + b"Content-Length: 1000\r\n\r\n{",
    EVENTS + b"Content-Length: 1000\r\n\r\n{",
    # Before anybody knows who asks.
    b"POST /rooms/x/tickets HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
]


@asynccontextmanager
async def served(monkeypatch, within_s: float):
    """A hub behind a socket that waits for requests for so long; its port."""
    monkeypatch.setattr(web_server, "REQUEST_WITHIN_S", within_s)
    monkeypatch.setattr(BodyLimit.__init__, "__defaults__", ((), 1024 * 1024, within_s))
    async with running_hub() as hub, serving(hub.api) as url:
        yield hub, int(url.rsplit(":", 1)[1])


async def exchange(port, sent, within_s, *, frames=b""):
    """Send, and `frames` once a WebSocket has greeted; fails unless the connection ends within so long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        writer.write(sent)
        if frames:
            assert b"hello" in await reader.readuntil(b"current")
            writer.write(frames)
        await writer.drain()
        await asyncio.wait_for(reader.read(), within_s)
    writer.close()


async def test_half_a_request_is_let_go(monkeypatch):
    async with served(monkeypatch, 0.3) as (hub, port):
        # Between two requests uvicorn waits for 5 s.
        await asyncio.gather(*(exchange(port, sent, 8) for sent in HALF_REQUESTS))
        assert hub.failures == []


async def test_strangers_do_not_take_the_last_descriptors(monkeypatch, caplog):
    monkeypatch.setattr(web_server, "most_connections", lambda: 3)
    monkeypatch.setattr(web_server, "_REFUSAL_LINES", TokenBucket(1, 0.1))
    ended = []

    async def hold(place, reader):
        with contextlib.suppress(ConnectionError):
            await reader.read()
        ended.append(place)

    async with served(monkeypatch, 2.0) as (hub, port):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        await asyncio.gather(*(hold(place, reader) for place, (reader, _) in enumerate(held)))
        assert set(ended[:2]) == {3, 4}
        # Those before them had their time: there is room again.
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /nowhere HTTP/1.1\r\n" + HEAD + b"\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        for _, each in [*held, (reader, writer)]:
            each.close()
        assert hub.failures == []
    assert [record.message for record in caplog.records if "refused" in record.message] == [
        "connections are refused: 3 are open; raise the limit of open files"
    ]


async def test_who_asked_whole_is_not_hurried(monkeypatch):
    async with served(monkeypatch, 0.3) as (_, port):
        readers = []
        for sent in (EVENTS + b"\r\n", EVENTS + HANDSHAKE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            readers.append((reader, writer))
        await asyncio.sleep(1.0)
        for reader, writer in readers:
            assert b"hello" in await reader.read(4096)
            assert not reader.at_eof()
            writer.close()


EMPTY = b"\x80\0\0\0\0"  # a masked frame's length and mask
PING, PONG, TEXT, MORE = b"\x89" + EMPTY, b"\x8a" + EMPTY, b"\x01" + EMPTY, b"\x00" + EMPTY


async def test_who_sends_frames_without_end_is_let_go(monkeypatch):
    async with served(monkeypatch, 5.0) as (hub, port):
        floods = [PING * 1000, PONG * 1000, TEXT + MORE * 1000]
        await asyncio.gather(*(exchange(port, EVENTS + HANDSHAKE, 4, frames=flood) for flood in floods))
        await until(lambda: hub.hub.viewers_by_room() == {})
        assert hub.failures == []


async def test_of_a_read_full_of_frames_no_more_is_parsed_than_it_takes_to_end_it(monkeypatch):
    parsed = []
    takes_frame = web_server.LimitedWebSocket._takes_frame
    monkeypatch.setattr(
        web_server.LimitedWebSocket, "_takes_frame", lambda self: parsed.append(self) or takes_frame(self)
    )
    async with served(monkeypatch, 5.0) as (_, port):
        await exchange(port, EVENTS + HANDSHAKE, 4, frames=PONG * 20_000)
    assert 40 < len(parsed) < 400


async def test_who_pings_now_and_then_is_answered_and_a_message_may_come_in_pieces(monkeypatch):
    async with served(monkeypatch, 5.0) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(EVENTS + HANDSHAKE)
        assert b"hello" in await reader.readuntil(b"current")
        writer.write(PING * 10 + PONG * 10)
        assert (await asyncio.wait_for(reader.readuntil(b"\x8a\0" * 10), 4)).endswith(b"\x8a\0" * 10)
        pieces = [b'{"type":', b'"cur', b'rent"}']
        for number, piece in enumerate(pieces):
            first = (0x80 if number == 2 else 0) | (0 if number else 1)
            writer.write(bytes([first, 0x80 | len(piece)]) + b"\0\0\0\0" + piece)
        assert b"hello" in await asyncio.wait_for(reader.readuntil(b"current"), 4)
        writer.close()


async def test_a_body_in_pieces_of_one_byte_is_let_go(monkeypatch):
    chunks = b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 150
    async with served(monkeypatch, 5.0) as (hub, port):
        # Feedback, and what is answered at once: long before the 5 s that a body may take.
        for to in (POST, b"POST /nowhere HTTP/1.1\r\n" + HEAD):
            await exchange(port, to + chunks, 2)
        assert hub.failures == []


@pytest.mark.parametrize(("pieces", "size"), [(20, 1024), (5000, 200)], ids=["of a network", "of lines"])
async def test_a_body_in_pieces_is_taken(monkeypatch, pieces, size):
    async with served(monkeypatch, 5.0) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(pieces):
            writer.write(b"%x\r\n" % size + b" " * size + b"\r\n")
        writer.write(b"2\r\n{}\r\n0\r\n\r\n")
        assert b"422" in await asyncio.wait_for(reader.readline(), 4)
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
