"""Where a room's frames come from: a stream that is read, or one that the host sends in."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from livecart.pipeline.ingest import IngestSettings, Pace, ReaderStats, StreamReader
from livecart.pipeline.ingest.reader import Deliver, OnState
from livecart.pipeline.plan import RoomPlan
from livecart.settings import WHIP_SOURCE


class Feed(Protocol):
    """Gives frames and states from `start` on, in threads of its own, until it is stopped."""

    @property
    def stats(self) -> ReaderStats:
        """What it has done so far."""

    @property
    def failure(self) -> Exception | None:
        """What went wrong last; of a file that could not be read to its end, why."""

    def start(self) -> None:
        """Begin."""

    def signal(self) -> None:
        """Begin to stop, without waiting."""

    async def stop(self, timeout_s: float) -> bool:
        """End; whether everything of it has ended within `timeout_s`."""


class StreamFeed:
    """A source that is read."""

    def __init__(self, plan: RoomPlan, deliver: Deliver, on_state: OnState, pace: Pace) -> None:
        self._reader = StreamReader(plan.source, plan.room, plan.ingest, deliver, on_state, pace=pace)

    @property
    def stats(self) -> ReaderStats:
        """See `Feed`."""
        return self._reader.stats

    @property
    def failure(self) -> Exception | None:
        """See `Feed`."""
        return self._reader.failure

    def start(self) -> None:
        """See `Feed`."""
        self._reader.start()

    def signal(self) -> None:
        """See `Feed`."""
        self._reader.stop(timeout_s=0)

    async def stop(self, timeout_s: float) -> bool:
        """See `Feed`."""
        # Asked again and again, not waited for in a thread: hundreds of readers may have to end together.
        end_s, wait_s = time.monotonic() + timeout_s, 0.005
        while not self._reader.stop(timeout_s=0):
            if time.monotonic() >= end_s:
                return False
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, 0.1)
        return True


class WhipFeed:
    """A stream that the host's browser or encoder sends; needs aiortc.

    Raises:
        SettingsError: aiortc is not installed.
    """

    def __init__(self, room: str, settings: IngestSettings, deliver: Deliver, on_state: OnState, pace: Pace) -> None:
        from livecart.pipeline.whip import WhipEndpoint  # aiohttp's server side, and aiortc

        self.endpoint = WhipEndpoint(room, settings, deliver, on_state, pace=pace)
        self._on_state = on_state

    @property
    def stats(self) -> ReaderStats:
        """See `Feed`."""
        return self.endpoint.stats

    @property
    def failure(self) -> Exception | None:
        """See `Feed`; a sender that goes away is no failure of the room."""
        return None

    def start(self) -> None:
        """See `Feed`."""
        self._on_state("connecting", "waiting for a sender")

    def signal(self) -> None:
        """See `Feed`; ending it takes no time."""

    async def stop(self, timeout_s: float) -> bool:
        """See `Feed`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.endpoint.close()
        except TimeoutError:
            return False
        return True


def open_feed(plan: RoomPlan, deliver: Deliver, on_state: OnState, pace: Pace) -> Feed:
    """The feed that the plan's source needs, sampled at `pace`.

    Raises:
        SettingsError: the source cannot be used, or what it needs is not installed.
    """
    if plan.source == WHIP_SOURCE:
        return WhipFeed(plan.room, plan.ingest, deliver, on_state, pace)
    return StreamFeed(plan, deliver, on_state, pace)
