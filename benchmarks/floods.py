"""Floods of strangers against one server of this machine: `bench_floods.py` runs each in a process of its own.

All are bounded: in time, in connections held at once, and in connections made a second. Each returns what it sent, and
how many of its connections the server ended.
"""

import asyncio
import base64
import os
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection

#: Attackers at once, but for those that only hold connections, and connections that each makes a second.
_AT_ONCE, _A_SECOND = 4, 20
_HELD, _DESCRIPTORS = 150, 1100
#: Within so long all have begun.
_BEGIN_S = 1.0
#: Frames and chunks of one write.
_BURST = 2000
_HOST = b"Host: 127.0.0.1\r\n"
_CHUNKED = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
#: A masked frame without data: its length and mask.
_EMPTY = b"\x80\0\0\0\0"

Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Counter[str]], Awaitable[None]]


async def _upgraded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    key = base64.b64encode(os.urandom(16))
    writer.write(
        b"GET /rooms/room-0/events HTTP/1.1\r\n" + _HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")


async def _pour(writer: asyncio.StreamWriter, sent: Counter[str], piece: bytes) -> None:
    """Send the same piece again and again, until the server ends the connection."""
    while not writer.is_closing():
        writer.write(piece * _BURST)
        await writer.drain()
        sent["pieces"] += _BURST
        await asyncio.sleep(0)


async def _fragments(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: Counter[str]) -> None:
    await _upgraded(reader, writer)
    writer.write(b"\x01" + _EMPTY)
    await _pour(writer, sent, b"\x00" + _EMPTY)


async def _pongs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: Counter[str]) -> None:
    await _upgraded(reader, writer)
    await _pour(writer, sent, b"\x8a" + _EMPTY)


async def _chunks(_: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: Counter[str]) -> None:
    writer.write(b"POST /rooms/room-0/feedback HTTP/1.1\r\n" + _HOST + _CHUNKED)
    await _pour(writer, sent, b"1\r\nx\r\n")


async def _half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: Counter[str]) -> None:
    writer.write(b"GET /rooms/room-0/events HTTP/1.1\r\n" + _HOST)
    sent["pieces"] += 1
    await reader.read()


async def _slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: Counter[str]) -> None:
    writer.write(b"POST /admin/login HTTP/1.1\r\n" + _HOST)
    writer.write(b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"a")
        sent["pieces"] += 1
        await asyncio.sleep(1.0)


async def _held(reader: asyncio.StreamReader, _: asyncio.StreamWriter, sent: Counter[str]) -> None:
    sent["pieces"] += 1
    await reader.read()


#: What each does, how many connections of it are there at once, and how many it makes a second.
FLOODS: dict[str, tuple[Attack, int, int]] = {
    "empty fragments": (_fragments, _AT_ONCE, _A_SECOND),
    "pongs": (_pongs, _AT_ONCE, _A_SECOND),
    "one-byte chunks": (_chunks, _AT_ONCE, _A_SECOND),
    "half requests": (_half, _HELD, _HELD),
    "slow bodies to /admin": (_slow, _HELD, _HELD),
    "1,100 connections held": (_held, _DESCRIPTORS, _DESCRIPTORS),
}


def run(pipe: Connection) -> None:
    """Flood 127.0.0.1 as often as a name, a port and seconds come through the pipe, until None does.

    "flooding" is sent once it has begun, and what was counted at its end.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    while (asked := pipe.recv()) is not None:
        name, port, seconds = asked
        pipe.send(dict(asyncio.run(_flood(name, port, seconds, lambda: pipe.send("flooding")))))


async def _flood(name: str, port: int, seconds: float, on_full: Callable[[], None]) -> Counter[str]:
    attack, at_once, a_second = FLOODS[name]
    counted: Counter[str] = Counter(connections=0, pieces=0, ended_by_server=0, not_let_in=0)
    end_s = time.monotonic() + seconds

    async def attacker(number: int) -> None:
        # Strangers do not go in step.
        await asyncio.sleep(_BEGIN_S * number / at_once)
        while time.monotonic() < end_s:
            began_s = time.monotonic()
            try:
                async with asyncio.timeout(5):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except (OSError, TimeoutError):
                counted["not_let_in"] += 1
            else:
                counted["connections"] += 1
                with suppress(TimeoutError, OSError, EOFError):
                    async with asyncio.timeout_at(asyncio.get_running_loop().time() + end_s - time.monotonic()):
                        await attack(reader, writer, counted)
                counted["ended_by_server"] += time.monotonic() < end_s
                writer.transport.abort()
            await asyncio.sleep(max(0.0, began_s + at_once / a_second - time.monotonic()))

    tasks = [asyncio.create_task(attacker(number)) for number in range(at_once)]
    await asyncio.sleep(_BEGIN_S)
    on_full()
    await asyncio.gather(*tasks)
    return counted
