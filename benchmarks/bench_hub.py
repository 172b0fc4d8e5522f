"""Time of an event from the bus to the last viewer: the hub against a bare loop that writes the same bytes.

    .venv/bin/python benchmarks/bench_hub.py --viewers 10000 --events 20
    .venv/bin/python benchmarks/bench_hub.py --viewers 500 --sockets

In process, straight at the ASGI application (the default): the hub's own cost, without a server and a kernel; the bare
loop calls the same `send` for every viewer. With --sockets, over loopback TCP, uvicorn and its WebSockets in this
process and the readers in the same event loop; the bare loop writes the same frames to as many plain TCP connections.
Every event is published after the one before it was received by all. A stalled viewer, that takes nothing, is among
them. Printed: seconds from publishing to each viewer, and their ratio to the bare loop's.
"""

import argparse
import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp

from contract.card import CardEvent
from livecart.web import HttpServer
from livecart.web.hub.messages import event_message
from tests.web.hub_clients import Viewer, event, running_hub

Deliver = Callable[[int], Awaitable[None]]


class Arrivals:
    """Times from an event's publication to each viewer."""

    def __init__(self, viewers: int) -> None:
        self.seconds: list[float] = []
        self._viewers = viewers
        self._count = 0
        self._sent_at_s = 0.0
        self._all = asyncio.Event()

    def arrived(self) -> None:
        self.seconds.append(time.perf_counter() - self._sent_at_s)
        self._count += 1
        if self._count == self._viewers:
            self._all.set()

    async def measure(self, deliver: Deliver, events: int) -> list[float]:
        """Deliver events one by one; the times of all but the first, which warms up."""
        for number in range(1, events + 2):
            if number == 2:
                self.seconds.clear()
            self._count = 0
            self._all.clear()
            self._sent_at_s = time.perf_counter()
            await deliver(number)
            await asyncio.wait_for(self._all.wait(), 120)
        return self.seconds


def made(number: int) -> CardEvent:
    return event("card" if number == 1 else "update", number)


async def hub_in_process(viewers: int, events: int) -> list[float]:
    """Viewers straight at the application."""
    arrivals = Arrivals(viewers)
    joined = 0
    ends = asyncio.Event()

    async def view(stalled: bool) -> None:
        connect = [{"type": "websocket.connect"}]

        async def receive() -> dict:
            if connect:
                return connect.pop()
            await ends.wait()
            return {"type": "websocket.disconnect", "code": 1001}

        async def send(message: dict) -> None:
            nonlocal joined
            if message["type"] != "websocket.send":
                return
            if '"type":"hello"' in message["text"]:
                joined += 1
            elif stalled:
                await ends.wait()
            else:
                arrivals.arrived()

        await hub.api(Viewer(hub.api)._scope, receive, send)

    async with running_hub(most_per_ip=viewers + 1, most_viewers=viewers + 1, most_per_room=viewers + 1) as hub:
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tasks = [asyncio.create_task(view(stalled=number == viewers)) for number in range(viewers + 1)]
        while joined <= viewers:
            await asyncio.sleep(0.01)
        used_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
        print(f"memory: {used_kib / viewers:.1f} KiB a connected viewer (peak resident size)")
        hub.hub.tend_memory()
        seconds = await arrivals.measure(lambda number: hub.bus.publish(made(number)), events)
        ends.set()
        await asyncio.gather(*tasks)
    return seconds


async def bare_in_process(viewers: int, events: int) -> list[float]:
    """The same text handed to as many coroutines."""
    arrivals = Arrivals(viewers)

    async def send(message: dict) -> None:
        assert message["text"]
        arrivals.arrived()

    async def deliver(number: int) -> None:
        text = event_message(made(number)).text
        for _ in range(viewers):
            await send({"type": "websocket.send", "text": text})

    return await arrivals.measure(deliver, events)


async def hub_over_sockets(viewers: int, events: int) -> list[float]:
    """uvicorn, loopback TCP, aiohttp's client."""
    arrivals = Arrivals(viewers)

    async def read(socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if '"type":"event"' in message.data:
                arrivals.arrived()

    async with running_hub(most_per_ip=viewers) as hub, AsyncExitStack() as stack:
        server = HttpServer(hub.api, "127.0.0.1", 0)
        serving = asyncio.create_task(server.run())
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        sockets = [await session.ws_connect(f"{server.url}/rooms/room-1/events") for _ in range(viewers)]
        readers = [asyncio.create_task(read(socket)) for socket in sockets]
        while hub.hub.viewers_by_room() != {"room-1": viewers}:
            await asyncio.sleep(0.01)
        seconds = await arrivals.measure(lambda number: hub.bus.publish(made(number)), events)
        await hub.hub.close()
        await asyncio.gather(*readers)
        await server.stop(serving)
    return seconds


async def bare_over_sockets(viewers: int, events: int) -> list[float]:
    """The same bytes, as one WebSocket frame each, written to plain connections."""
    arrivals = Arrivals(viewers)
    writers: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    async def read(reader: asyncio.StreamReader) -> None:
        while True:
            try:
                header = await reader.readexactly(4)
                await reader.readexactly(int.from_bytes(header[2:], "big"))
            except asyncio.IncompleteReadError:
                return
            arrivals.arrived()

    def frame(number: int) -> bytes:
        text = event_message(made(number)).text.encode()
        # RFC 6455, 5.2: a text frame of 126 to 65535 bytes.
        return b"\x81\x7e" + len(text).to_bytes(2, "big") + text

    async def deliver(number: int) -> None:
        data = frame(number)
        for writer in writers:
            writer.write(data)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(viewers)]
    readers = [asyncio.create_task(read(reader)) for reader, _ in ends]
    while len(writers) < viewers:
        await asyncio.sleep(0.01)
    seconds = await arrivals.measure(deliver, events)
    for writer in [*writers, *(writer for _, writer in ends)]:
        writer.close()
    await asyncio.gather(*readers)
    server.close()
    return seconds


def told(name: str, seconds: list[float]) -> tuple[float, float]:
    """Print and return the median and the 99th percentile."""
    shares = statistics.quantiles(seconds, n=100)
    print(f"{name}: p50 {shares[49] * 1000:.2f} ms, p99 {shares[98] * 1000:.2f} ms, {len(seconds)} deliveries")
    return shares[49], shares[98]


async def run(viewers: int, events: int, *, sockets: bool) -> None:
    where = "loopback sockets, readers in this process" if sockets else "in process, ASGI"
    print(f"{viewers} viewers, {events} events, {where}")
    hub = told("hub", await (hub_over_sockets if sockets else hub_in_process)(viewers, events))
    bare = told("bare loop", await (bare_over_sockets if sockets else bare_in_process)(viewers, events))
    print(f"ratio hub / bare loop: p50 {hub[0] / bare[0]:.1f}, p99 {hub[1] / bare[1]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--viewers", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--sockets", action="store_true", help="over loopback TCP; needs two descriptors a viewer")
    options = parser.parse_args()
    if options.sockets:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if most != resource.RLIM_INFINITY and most < options.viewers * 2 + 100:
            sys.exit(
                f"{options.viewers} viewers need {options.viewers * 2 + 100} descriptors, {most} may be open: ulimit -n"
            )
    asyncio.run(run(options.viewers, options.events, sockets=options.sockets))


if __name__ == "__main__":
    main()
