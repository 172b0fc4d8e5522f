"""How a command runs: until it is done or a signal comes, with one sentence in place of a traceback."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from livecart.errors import LivecartError

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
    """Log to standard error.

    Args:
        level: of the least line that is shown.
        before_line: called before each, so that a status line can make room.
    """
    handler = _StderrHandler(before_line)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
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
        """See logging."""
        self._before_line()
        super().emit(record)


async def _until_signal(work: Work) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work(stop))

    def told() -> None:
        # The second time without the farewell.
        if stop.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told)
    try:
        await task
    except asyncio.CancelledError:
        return
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
