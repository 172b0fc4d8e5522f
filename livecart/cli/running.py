"""A command from its options to its exit code: settings, waiting for the recogniser, signals, failures."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from livecart.cli.terminal import StatusLine, StatusText
from livecart.core.errors import LivecartError, SettingsError
from livecart.core.printable import printable
from livecart.core.settings import RoomSettings
from livecart.live.decide import DecisionSettings
from livecart.live.gate.settings import GateSettings
from livecart.live.plan import RoomPlan, plan_room
from livecart.live.recognise.client import RecognizerClient
from livecart.live.recognise.settings import RecognizerSettings
from livecart.live.room_runner import RoomRunner
from livecart.live.video import IngestSettings
from livecart.server.app import Engine
from livecart.server.rooms_file import RECOGNIZER_TOKEN_VARIABLE

DEFAULT_RECOGNIZER = "http://127.0.0.1:8080"
RECOGNIZER_VARIABLE = "LIVECART_RECOGNIZER"

#: A server that was just started needs about so long; one that is not there is told of soon enough.
_RECOGNIZER_WITHIN_S = 10.0
_STATUS_EVERY_S = 0.5


Recognizer = Annotated[
    str,
    typer.Option(
        "--recognizer",
        metavar="URL",
        envvar=RECOGNIZER_VARIABLE,
        help="识别服务地址 the recogniser; LIVECART_TOKEN: its token.",
    ),
]
Rate = Annotated[float, typer.Option("--rate", min=0.1, max=10, help="每秒取几帧 frames sampled a second.")]
Realtime = Annotated[
    bool, typer.Option("--realtime", help="文件按原速播放 play a file at its own pace, as a stream would come.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomOptions:
    """Options that `watch` and `evaluate-clip` share."""

    source: str
    room: str
    recognizer_url: str
    rate_hz: float
    realtime: bool
    gate: bool = True

    def plan(self, products: tuple[str, ...] | None = None) -> RoomPlan:
        room = RoomSettings(
            id=self.room, source=self.source, rate_hz=self.rate_hz, realtime=self.realtime, products=products
        )
        gate = GateSettings() if self.gate else None
        return plan_room(room, ingest=IngestSettings(), gate=gate, decision=DecisionSettings())

    def recognizer(self) -> RecognizerSettings:
        """Address of the recogniser; its token comes from the environment."""
        return RecognizerSettings(base_url=self.recognizer_url, token=os.environ.get(RECOGNIZER_TOKEN_VARIABLE) or None)


async def follow(engine: Engine, runner: RoomRunner, status: StatusLine, stop: asyncio.Event) -> None:
    """Show the room's state until it has finished or `stop` is set."""
    text = StatusText(engine.metrics)
    ends = [asyncio.create_task(event.wait()) for event in (stop, runner.finished)]
    try:
        while not any(end.done() for end in ends):
            status.show(text.text(runner.view()))
            await asyncio.wait(ends, timeout=_STATUS_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()


async def wait_for_recognizer(client: RecognizerClient, stop: asyncio.Event) -> None:
    """Wait until a frame would be answered, or `stop` is set.

    Raises:
        SettingsError: nothing answers in time; says how to start it.
    """
    end_s = time.monotonic() + _RECOGNIZER_WITHIN_S
    while not stop.is_set() and not await client.ready():
        if time.monotonic() >= end_s:
            raise SettingsError(
                f"no recogniser answers at {client.settings.base_url}; start one with `make serve`, name another with "
                f"--recognizer or {RECOGNIZER_VARIABLE}, and put its token, if it wants one, "
                f"into {RECOGNIZER_TOKEN_VARIABLE}"
            )
        await asyncio.sleep(0.3)


#: Its argument is set by SIGINT and SIGTERM.
Work = Callable[[asyncio.Event], Awaitable[None]]


def run_command(work: Work) -> int:
    """Run `work`; the exit code: 0 it ended or was told to, 1 it cannot be done as asked."""
    try:
        asyncio.run(_until_signal(work))
    except LivecartError as error:
        print(f"livecart: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output has enough. What Python would still flush has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def set_up_logging(level: int, before_line: Callable[[], None] = lambda: None) -> None:
    handler = _StderrHandler(before_line)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Each edit of rooms.toml is told by the app; each request by nobody.
    for name in ("watchfiles", "uvicorn", "aioice", "aiortc", "alembic.runtime.plugins"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # What FFmpeg has to say about damaged packets is counted; its lines would hide ours.
    logging.getLogger("libav").setLevel(logging.CRITICAL)


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    def __init__(self, before_line: Callable[[], None]) -> None:
        super().__init__(sys.stderr)
        self._before_line = before_line

    def emit(self, record: logging.LogRecord) -> None:
        self._before_line()
        super().emit(record)


class _Formatter(logging.Formatter):
    """One line a record, and nothing that a terminal obeys: sources and headers say what they like."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))


async def _until_signal(work: Work) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work(stop))

    def on_signal() -> None:
        # The second time without the farewell.
        if stop.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        await task
    except asyncio.CancelledError:
        return
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
