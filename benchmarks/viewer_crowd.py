"""Viewers by WebSocket, in a process of their own: when each of them got each card event."""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import aiohttp

_JOIN_S = 60.0
_ANSWER_S = 10.0
#: Connections that are made at once.
_AT_ONCE = 50


class Crowd:
    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def take(self) -> list[float]:
        """Seconds from an event's `emitted_at_s` to each viewer, of all since the last call."""
        self._pipe.send("take")
        if not self._pipe.poll(_ANSWER_S):
            raise RuntimeError(f"the viewers' process did not answer within {_ANSWER_S:.0f} s")
        return self._pipe.recv()


@contextmanager
def crowd(events_url: str, viewers: int) -> Iterator[Crowd]:
    """So many viewers, connected, for as long as the block lasts.

    Raises:
        RuntimeError: they cannot all connect.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(events_url.replace("http", "ws", 1), viewers, theirs), daemon=True)
    process.start()
    theirs.close()  # a crowd that died is an end then, not a wait
    try:
        if not ours.poll(_JOIN_S + 10) or ours.recv() != viewers:
            raise RuntimeError(f"not all of {viewers} viewers could connect")
        yield Crowd(ours)
    finally:
        process.terminate()
        process.join(10)


def _run(url: str, viewers: int, pipe: Connection) -> None:
    asyncio.run(_watch(url, viewers, pipe))


async def _watch(url: str, viewers: int, pipe: Connection) -> None:
    seconds: list[float] = []
    joined = 0
    all_there = asyncio.Event()
    gate = asyncio.Semaphore(_AT_ONCE)

    async def view(session: aiohttp.ClientSession) -> None:
        nonlocal joined
        async with gate:
            socket = await session.ws_connect(url)
        joined += 1
        if joined == viewers:
            all_there.set()
        async for message in socket:
            said = json.loads(message.data)
            if said["type"] == "ping":
                await socket.send_str('{"type":"pong"}')
            elif said["type"] == "event":
                seconds.append(time.time() - said["event"]["emitted_at_s"])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.create_task(view(session)) for _ in range(viewers)]
        try:
            await asyncio.wait_for(all_there.wait(), _JOIN_S)
        except TimeoutError:
            pipe.send(joined)
            return
        pipe.send(joined)
        while await asyncio.to_thread(pipe.recv) == "take":
            pipe.send(seconds.copy())
            seconds.clear()
        for task in tasks:
            task.cancel()
