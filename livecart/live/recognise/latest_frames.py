"""Between the readers' threads and the event loop: one slot a room, the newest frame wins.

A frame that waits while a newer one of its room arrives is replaced: by the time the recogniser has room for it,
nobody wants it any more. Rooms are served in the order in which their slots were filled, and a room that was served
queues up anew, so that each of N waiting rooms is served within N turns however fast the others' frames come.

The reader of a file uses `offer_and_wait`: it waits for the end of each frame, so nothing is replaced, and age does not
count.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from livecart.core.errors import SettingsError
from livecart.core.types import Frame
from livecart.live.outcomes import FrameMetrics, Outcome


@dataclass(slots=True, eq=False)
class _Room:
    """One opening of a room."""

    name: str
    slot: Job | None = None
    #: Jobs that left the slot and have not come to their end.
    running: set[Job] = field(default_factory=set)
    newest_offered: int = 0
    newest_answered: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A frame on its way to the recogniser. `number` grows with each frame of the queue, whichever its room."""

    frame: Frame
    room: _Room
    number: int
    lossless: bool
    #: time.monotonic().
    offered_at_s: float


class LatestFrames:
    """`offer` and `offer_and_wait` from any thread, all else but `wait_idle` in one event loop.

    Args:
        max_age_s: Frames captured longer ago are not handed out, but counted as `stale`; above 0.
        metrics: Counts the outcomes of frames that leave here without being polled.
        clock: Wall clock in seconds, the same that gives frames their `captured_at_s`.
    """

    def __init__(self, max_age_s: float, *, metrics: FrameMetrics, clock: Callable[[], float] = time.time) -> None:
        if not max_age_s > 0:
            raise SettingsError(f"max_age_s is {max_age_s}; it must be above 0 seconds")
        self.max_age_s = max_age_s
        self._metrics = metrics
        self._clock = clock
        self._rooms: dict[str, _Room] = {}
        self._waiting: deque[_Room] = deque()
        self._last_number = 0
        self._closed = False
        # Guards everything above; waited on by blocked readers, never held while metrics or the loop is called.
        self._changed = threading.Condition()
        self._poller: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def open(self, room: str) -> None:
        """Give `room` a slot. Frames of a room without one are dropped and counted as `closed`."""
        with self._changed:
            if not self._closed and room not in self._rooms:
                self._rooms[room] = _Room(room)

    def close(self, room: str) -> None:
        """Take the slot of `room` away; a frame in it is dropped, a reader blocked on it returns at once."""
        with self._changed:
            closed = self._rooms.pop(room, None)
            dropped = closed is not None and self._empty(closed)
            self._changed.notify_all()
        if dropped:
            self._metrics.frame(room, "closed")

    def close_all(self) -> None:
        """End polling and every blocked reader, dropping what waits. There is no way back.

        Jobs polled already stay wanted: they may still be answered.
        """
        with self._changed:
            self._closed = True
            dropped = [room.name for room in self._rooms.values() if self._empty(room)]
            self._changed.notify_all()
        for name in dropped:
            self._metrics.frame(name, "closed")
        self._wake_poller()

    def offer(self, frame: Frame) -> bool:
        """Leave the newest frame of its room, never blocking; False where the room is closed."""
        return self._offer(frame, lossless=False) is not None

    def offer_and_wait(self, frame: Frame) -> bool:
        """Leave a frame that must not be lost and block until its end; False where the room is closed already."""
        room = self._offer(frame, lossless=True)
        if room is None:
            return False
        with self._changed:
            self._changed.wait_for(lambda: self._is_idle(room))
        return True

    def wait_idle(self, room: str, timeout_s: float) -> bool:
        """Block until all that was offered for `room` has come to its end, or the room is closed; False: not in time.

        For the reader at the end of a file that plays in real time: closing the room earlier would drop its last
        frames.
        """
        with self._changed:
            state = self._rooms.get(room)
            return state is None or self._changed.wait_for(lambda: self._is_idle(state), timeout_s)

    async def wait(self) -> bool:
        """Wait until a frame waits, which may have grown stale; False once everything is closed."""
        loop = asyncio.get_running_loop()
        if self._poller is None or self._poller[0] is not loop:
            self._poller = (loop, asyncio.Event())
        event = self._poller[1]
        while True:
            # No wake-up is lost: whoever fills a slot after the look below sets the event after it was cleared.
            event.clear()
            with self._changed:
                if self._waiting or self._closed:
                    return bool(self._waiting)
            await event.wait()

    def poll(self) -> Job | None:
        """The next fresh frame, whichever room's turn it is; None where none waits. `done` must be called for each."""
        job, stale = None, []
        with self._changed:
            while self._waiting and job is None:
                room = self._waiting.popleft()
                job, room.slot = room.slot, None
                if job is None:
                    raise AssertionError("a room queued without a frame")
                if self._is_fresh(job):
                    room.running.add(job)
                else:
                    stale.append(room.name)
                    job = None
            if stale:
                self._changed.notify_all()
        for name in stale:
            self._metrics.frame(name, "stale")
        if job is not None:
            self._metrics.stage("queue", time.monotonic() - job.offered_at_s)
        return job

    def done(self, job: Job) -> None:
        with self._changed:
            job.room.running.discard(job)
            self._changed.notify_all()

    def obstacle(self, job: Job) -> Outcome | None:
        """The outcome of a frame that is not worth sending any more: `closed`, `stale` or `replaced`; None: send it."""
        with self._changed:
            if not self._is_wanted(job):
                return "closed"
            if not self._is_fresh(job):
                return "stale"
            return "replaced" if not job.lossless and job.number < job.room.newest_offered else None

    def accept(self, job: Job) -> Outcome:
        """The outcome of a frame whose result arrived: `answered`, or why it comes too late."""
        with self._changed:
            if not self._is_wanted(job):
                return "closed"
            if job.number < job.room.newest_answered:
                return "overtaken"
            job.room.newest_answered = job.number
            return "answered"

    def has_waiting(self, room: str) -> bool:
        """True while a frame of `room` waits to be polled."""
        with self._changed:
            state = self._rooms.get(room)
            return state is not None and state.slot is not None

    def __len__(self) -> int:
        with self._changed:
            return len(self._waiting)

    def _offer(self, frame: Frame, *, lossless: bool) -> _Room | None:
        """The room whose slot holds the frame now; None: it is closed."""
        replaces = False
        with self._changed:
            room = None if self._closed else self._rooms.get(frame.room)
            if room is not None:
                replaces = room.slot is not None
                if not replaces:
                    self._waiting.append(room)
                self._last_number += 1
                room.slot = Job(frame, room, self._last_number, lossless, time.monotonic())
                room.newest_offered = self._last_number
        if room is None or replaces:
            self._metrics.frame(frame.room, "replaced" if replaces else "closed")
        if room is not None:
            self._wake_poller()
        return room

    # The lock is held in the next four.

    def _is_idle(self, room: _Room) -> bool:
        return self._rooms.get(room.name) is not room or (room.slot is None and not room.running)

    def _is_fresh(self, job: Job) -> bool:
        return job.lossless or self._clock() - job.frame.captured_at_s <= self.max_age_s

    def _is_wanted(self, job: Job) -> bool:
        """True while the room is open, and was not closed since the job came in."""
        return self._rooms.get(job.room.name) is job.room

    def _empty(self, room: _Room) -> bool:
        """Drop the frame that waits; False where none did."""
        if room.slot is None:
            return False
        room.slot = None
        self._waiting.remove(room)
        return True

    def _wake_poller(self) -> None:
        if self._poller is None:
            return
        loop, event = self._poller
        try:
            loop.call_soon_threadsafe(event.set)
        except RuntimeError:
            # The loop is closed, so nobody polls any more; frames wait, one a room, until `close_all`.
            self._poller = None
