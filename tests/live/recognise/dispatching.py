"""A dispatcher that runs, with a recogniser that does as the test says, and what came out of it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import numpy as np

from livecart.core.types import Detections, Frame
from livecart.live.outcomes import Outcome
from livecart.live.recognise.dispatcher import Dispatcher
from livecart.live.recognise.latest_frames import LatestFrames
from livecart.live.recognise.settings import DispatcherSettings
from livecart.live.video.picture import ArrayPicture
from tests.live.recognise.tally import Tally
from tests.waiting import PATIENCE_S

PICTURE = ArrayPicture(np.full((72, 128, 3), 90, np.uint8))
QUICK = DispatcherSettings(in_flight=4, backoff_first_s=0.01, backoff_max_s=0.02, drain_s=1.0)


def frame(room: str, number: float = 0.0) -> Frame:
    return Frame(room, PICTURE, float(number), time.time())


def look_of(each: Frame) -> Detections:
    return Detections(each.room, each.pts_s, each.captured_at_s, 128, 72, (), {})


class Recognizer:
    """Answers each room's frames as the test says, and watches how many it is asked at once."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []
        self.now = self.most = 0
        self.behave: dict[str, Callable[[Frame], object]] = {}

    async def __call__(self, each: Frame) -> Detections:
        self.asked.append((each.room, each.pts_s))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0)
            waiting = self.behave.get(each.room, lambda _: None)(each)
            if waiting is not None:
                await waiting
            return look_of(each)
        finally:
            self.now -= 1


class Service:
    """A running dispatcher and what came out of it."""

    def __init__(self, recognize, *rooms: str, settings=QUICK, max_age_s=30.0, **options) -> None:
        self.tally = Tally()
        self.queue = LatestFrames(max_age_s, metrics=self.tally)
        for room in rooms:
            self.queue.open(room)
        self.looks: list[Detections] = []
        self.lost: list[tuple[Frame, Outcome]] = []
        self.dispatcher = Dispatcher(
            self.queue,
            recognize,
            on_result=options.pop("on_result", self.looks.append),
            on_lost=lambda each, outcome: self.lost.append((each, outcome)),
            settings=settings,
            metrics=self.tally,
        )
        self.task: asyncio.Task[None] | None = None

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                assert self.task is not None
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.002)

    async def outcome(self, outcome: Outcome, count: int = 1) -> None:
        await self.until(lambda: self.tally.outcomes[outcome] >= count)

    def seen(self) -> list[tuple[str, float]]:
        return [(look.room, look.pts_s) for look in self.looks]


@contextlib.asynccontextmanager
async def running(*arguments, **options) -> AsyncIterator[Service]:
    service = Service(*arguments, **options)
    service.task = asyncio.create_task(service.dispatcher.run())
    try:
        yield service
    finally:
        service.queue.close_all()
        await asyncio.wait_for(service.task, PATIENCE_S)
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("look of")]


def fails(error: Exception, times: int = 10**9) -> Callable[[Frame], object]:
    left = [times]

    def behave(_: Frame) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise error

    return behave
