"""Serves what the station sends: /live.m3u8 and its segments, /live.flv."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aiohttp import web

from demo.errors import DemoError
from demo.station import Station

_ANYONE = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
_TYPES = {".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t"}
_START_S = 10.0


@contextmanager
def serving(station: Station, folder: Path) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1, in a thread with a loop of its own; the address.

    Raises:
        DemoError: it cannot be bound.
    """
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    address: list[str] = []
    runner = web.AppRunner(_app(station, folder), access_log=None, shutdown_timeout=0.5, handle_signals=False)

    async def begin() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}")

    def run() -> None:
        try:
            loop.run_until_complete(begin())
        finally:
            ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, name="origin", daemon=True)
    thread.start()
    try:
        if not ready.wait(_START_S) or not address:
            raise DemoError("the stream's server did not start on 127.0.0.1")
        yield address[0]
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def _app(station: Station, folder: Path) -> web.Application:
    async def file(request: web.Request) -> web.StreamResponse:
        path = folder / request.match_info["name"]
        headers = _ANYONE | {"Content-Type": _TYPES[path.suffix]}
        return web.FileResponse(path, headers=headers) if path.is_file() else web.Response(status=404, headers=_ANYONE)

    async def flv(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/x-flv"})
        await response.prepare(request)
        # It is the reader who ends it.
        with station.flv.reading() as reader, suppress(ConnectionResetError):
            while (data := await asyncio.to_thread(reader.read, 0.5)) is not None:
                await response.write(data)
        return response

    app = web.Application()
    app.router.add_get(r"/{name:[\w-]+\.(?:m3u8|ts)}", file)
    app.router.add_get("/live.flv", flv)
    return app
