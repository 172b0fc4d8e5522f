"""A queue with a tally and a clock of the test's own, frames for it, and the threads that offer them."""

import asyncio
import threading

import numpy as np

from livecart.core.types import Frame
from livecart.live.recognise.latest_frames import Job, LatestFrames
from livecart.live.video.picture import ArrayPicture
from tests.live.recognise.tally import Tally
from tests.waiting import PATIENCE_S

PICTURE = ArrayPicture(np.zeros((4, 4, 3), np.uint8))
ROOMS = ("a", "b", "c", "d")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def frame(room: str, captured_at_s: float = 1000.0) -> Frame:
    return Frame(room, PICTURE, captured_at_s, captured_at_s)


def queue_of(*rooms: str, **options) -> tuple[LatestFrames, Tally, Clock]:
    tally, clock = Tally(), Clock()
    queue = LatestFrames(options.pop("max_age_s", 2.0), metrics=tally, clock=clock, **options)
    for room in rooms:
        queue.open(room)
    return queue, tally, clock


async def take(queue: LatestFrames) -> Job | None:
    """The next job, once there is one; None once the queue is closed."""
    async with asyncio.timeout(PATIENCE_S):
        while (job := queue.poll()) is None:
            if not await queue.wait():
                return None
    return job


def in_thread(call, *arguments) -> tuple[threading.Thread, list]:
    results: list = []
    thread = threading.Thread(target=lambda: results.append(call(*arguments)))
    thread.start()
    return thread, results


def joined(thread: threading.Thread) -> None:
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
