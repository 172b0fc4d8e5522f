"""A mailbox with a tally and a clock of the test's own, frames for it, and the threads that put them in."""

from __future__ import annotations

import asyncio
import threading

import numpy as np

from livecart.pipeline.ingest.picture import ArrayPicture
from livecart.pipeline.mailbox import Letter, Mailbox
from livecart.pipeline.meter import Tally
from livecart.types import Frame

PICTURE = ArrayPicture(np.zeros((4, 4, 3), np.uint8))
ROOMS = ("a", "b", "c", "d")
PATIENCE_S = 60


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def frame(room: str, captured_at_s: float = 1000.0) -> Frame:
    return Frame(room, PICTURE, captured_at_s, captured_at_s)


def mailbox(*rooms: str, **options) -> tuple[Mailbox, Tally, Clock]:
    tally, clock = Tally(), Clock()
    box = Mailbox(options.pop("max_age_s", 2.0), meter=tally, clock=clock, **options)
    for room in rooms:
        box.open(room)
    return box, tally, clock


async def take(box: Mailbox) -> Letter:
    letter = await asyncio.wait_for(box.take(), PATIENCE_S)
    assert letter is not None
    return letter


def in_thread(call, *arguments) -> tuple[threading.Thread, list]:
    results: list = []
    thread = threading.Thread(target=lambda: results.append(call(*arguments)))
    thread.start()
    return thread, results


def joined(thread: threading.Thread) -> None:
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
