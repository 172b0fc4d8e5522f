"""`livecart watch`: one room, its cards in the terminal or as JSON lines."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from livecart.app import Engine, open_engine
from livecart.cli.catalog_check import check_served, read_catalog
from livecart.cli.options import RoomOptions, wait_for_recognizer
from livecart.cli.terminal import StatusLine, StatusText, card_panel, withdrawal_line
from livecart.errors import StreamError
from livecart.pipeline.faces import FacesSettings
from livecart.pipeline.runner import RoomRunner
from livecart.types import CardEvent

_STATUS_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """What the command line says."""

    room: RoomOptions
    catalog: Path | None
    bus_url: str
    json: bool


async def watch(options: WatchOptions, status: StatusLine, stop: asyncio.Event) -> None:
    """Watch until the source ends or `stop` is set.

    Raises:
        SettingsError: something given cannot be used, or no recogniser answers.
        StreamError: a file was not read to its end.
        BrokenPipeError: nobody reads our output any more.
    """
    catalog = None if options.catalog is None else read_catalog(options.catalog, options.room.room)
    plan = options.room.plan(None if catalog is None else catalog.skus)
    output = _Output(options.json, status, stop)
    async with open_engine(options.room.recognizer(), bus_url=options.bus_url, faces=FacesSettings()) as engine:
        engine.outbox.listen(output)
        await wait_for_recognizer(engine.client, stop)
        if catalog is not None and not stop.is_set():
            await check_served(engine.client, catalog, plan.product_list)
        runner = await engine.rooms.put(plan)
        await _until_over(engine, runner, status, stop)
    status.clear()
    if output.is_broken:
        raise BrokenPipeError
    if runner.failure is not None and not stop.is_set():
        raise StreamError(f"{plan.shown}: {runner.failure}")


async def _until_over(engine: Engine, runner: RoomRunner, status: StatusLine, stop: asyncio.Event) -> None:
    text = StatusText(engine.metrics)
    ends = [asyncio.create_task(event.wait()) for event in (stop, runner.finished)]
    try:
        while not any(end.done() for end in ends):
            await asyncio.wait(ends, timeout=_STATUS_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            status.show(text.text(runner.view()))
    finally:
        for end in ends:
            end.cancel()


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
