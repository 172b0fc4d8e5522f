"""`livecart watch`: one room, its cards in the terminal or as JSON lines."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from contract.card import CardEvent
from livecart.cli.catalog_check import check_served, room_catalog
from livecart.cli.running import (
    DEFAULT_RECOGNIZER,
    Rate,
    Realtime,
    Recognizer,
    RoomOptions,
    follow,
    run_command,
    set_up_logging,
    wait_for_recognizer,
)
from livecart.cli.terminal import StatusLine, card_panel, withdrawal_line
from livecart.core.errors import StreamError
from livecart.live.enrich.faces import FacesSettings
from livecart.server.app import open_engine

WATCH_HELP = """看一个直播间，识别到商品就弹出卡片。

Watch one room and show a card for each product that is held up. A file is read as fast as the recogniser follows,
every sampled frame of it; a live stream is read until Ctrl-C, and reconnects by itself.

\b
  livecart watch clip.mp4 --catalog my-shop
  livecart watch rtmp://127.0.0.1/live/room-1 --rate 2
  livecart watch https://live.example.com/room-1.m3u8 --json
"""


def watch_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="直播地址或视频文件 a file, or a URL of RTMP, RTSP, HLS, HTTP-FLV.",
            show_default=False,
        ),
    ],
    *,
    room: Annotated[str, typer.Option("--room", help="直播间 the room's id, also its name in the catalog.")] = "room-1",
    catalog: Annotated[
        Path | None,
        typer.Option(
            "--catalog", metavar="FOLDER", help="商品目录 announce only its products; checks that they are served."
        ),
    ] = None,
    recognizer: Recognizer = DEFAULT_RECOGNIZER,
    bus: Annotated[
        str, typer.Option("--bus", metavar="URL", help="事件总线 where events go as well: redis://host:port/db.")
    ] = "memory://",
    rate: Rate = 1.0,
    realtime: Realtime = False,
    json: Annotated[
        bool, typer.Option("--json", help="每行一个事件 one event a line (docs/events.md), nothing else.")
    ] = False,
) -> None:
    status = StatusLine()
    set_up_logging(logging.WARNING, status.clear)
    options = RoomOptions(source=source, room=room, recognizer_url=recognizer, rate_hz=rate, realtime=realtime)
    raise typer.Exit(
        run_command(lambda stop: watch(options, status, stop, catalog_folder=catalog, bus_url=bus, json=json))
    )


async def watch(
    options: RoomOptions,
    status: StatusLine,
    stop: asyncio.Event,
    *,
    catalog_folder: Path | None,
    bus_url: str,
    json: bool,
) -> None:
    """Watch until the source ends or `stop` is set.

    Raises:
        SettingsError: something given cannot be used, or no recogniser answers.
        StreamError: a file was not read to its end.
        BrokenPipeError: nobody reads our output any more.
    """
    catalog = None if catalog_folder is None else room_catalog(catalog_folder, options.room)
    plan = options.plan(None if catalog is None else catalog.skus)
    output = _Output(json, status, stop)
    async with open_engine(options.recognizer(), bus_url=bus_url, faces=FacesSettings()) as engine:
        engine.outbox.listen(output)
        await wait_for_recognizer(engine.client, stop)
        if catalog is not None and not stop.is_set():
            await check_served(engine.client, catalog, plan.product_list)
        runner = await engine.rooms.put(plan)
        await follow(engine, runner, status, stop)
    status.clear()
    if output.is_broken:
        raise BrokenPipeError
    if runner.failure is not None and not stop.is_set():
        raise StreamError(f"{plan.shown}: {runner.failure}")


class _Output:
    """Writes events to standard output as they are emitted."""

    def __init__(self, as_json: bool, status: StatusLine, stop: asyncio.Event) -> None:
        self.is_broken = False
        self._as_json = as_json
        self._status = status
        self._stop = stop
        self._console = Console(highlight=False)

    def __call__(self, event: CardEvent) -> None:
        if self.is_broken:
            return
        try:
            self._write(event)
            sys.stdout.flush()
        except BrokenPipeError:
            self.is_broken = True
            self._stop.set()

    def _write(self, event: CardEvent) -> None:
        if self._as_json:
            sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
            return
        self._status.clear()
        if event.event == "card":
            self._console.print(card_panel(event))
        elif event.event == "withdraw":
            self._console.print(withdrawal_line(event))
