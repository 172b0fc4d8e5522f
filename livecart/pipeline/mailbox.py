"""Between the readers' threads and the event loop: one slot per room, the newest frame wins.

A frame that waits while a newer one of its room arrives is replaced: by the time the recogniser has room for it,
nobody wants it any more. Rooms are served in the order in which their slots were filled, and a room that was served
queues up anew, so that each of N waiting rooms is served within N turns however fast the others' frames come.

A file that is to be read without loss uses `put_blocking` instead: its reader waits, so nothing is replaced, and age
does not count. What it has out is bounded all the same: a slot, and `lossless_ahead` frames not yet answered.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from livecart.errors import SettingsError
from livecart.pipeline.meter import Meter, Tally
from livecart.types import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Letter:
    """A frame on its way. `number` grows with each frame of the mailbox, whichever its room."""

    frame: Frame
    number: int
    lossless: bool
    #: time.monotonic() when it came in.
    put_at_s: float


@dataclass(slots=True)
class _Room:
    """A room's slot. `out` holds what was taken from it and has not come to its end."""

    #: Letters with a lower number are of an earlier opening of the room.
    first_number: int
    slot: Letter | None = None
    out: set[Letter] = field(default_factory=set)


class Mailbox:
    """`put` and `put_blocking` from any thread, `take` and `ready` in one event loop.

    Args:
        max_age_s: Frames captured longer ago are not handed out, but counted as `stale`; above 0.
        lossless_ahead: How many frames of one lossless room may be taken and not answered; 1 or more.
        meter: Told what becomes of the frames that leave here without being taken.
        clock: Wall clock in seconds, the same that gives frames their `captured_at_s`.
    """

    def __init__(
        self,
        max_age_s: float,
        *,
        lossless_ahead: int = 16,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not max_age_s > 0:
            raise SettingsError(f"max_age_s is {max_age_s}; it must be above 0 seconds")
        if lossless_ahead < 1:
            raise SettingsError(f"lossless_ahead is {lossless_ahead}; it must be 1 or more")
        self.max_age_s = max_age_s
        self._lossless_ahead = lossless_ahead
        self._meter = meter if meter is not None else Tally()
        self._clock = clock
        self._rooms: dict[str, _Room] = {}
        self._waiting: deque[str] = deque()
        self._last_number = 0
        # Guards everything above; waited on by blocked readers, never held while a meter or the loop is called.
        self._changed = threading.Condition()
        self._closed = False
        self._taker: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._taker_idle = False

    def open(self, room: str) -> None:
        """Give `room` a slot. Frames of a room without one are dropped and counted as `closed`."""
        with self._changed:
            if not self._closed and room not in self._rooms:
                self._rooms[room] = _Room(first_number=self._last_number + 1)

    def close(self, room: str) -> None:
        """Take the slot of `room` away; a frame in it is dropped, a reader blocked on it returns at once."""
        with self._changed:
            dropped = self._drop(room)
        self._count_closed(dropped)

    def close_all(self) -> None:
        """End `take` and every blocked reader, dropping what waits. There is no way back.

        What was taken already stays wanted: it may still be answered.
        """
        with self._changed:
            self._closed = True
            dropped = [room.slot for room in self._rooms.values() if room.slot is not None]
            for room in self._rooms.values():
                room.slot = None
            self._waiting.clear()
            self._taker_idle = False
            self._changed.notify_all()
        self._count_closed(dropped)
        self._wake_taker()

    def put(self, frame: Frame) -> bool:
        """Leave the newest frame of its room, never blocking; False where the room is closed."""
        with self._changed:
            room = self._open_room(frame.room)
            replaced = room.slot if room is not None else None
            wake = room is not None and self._fill(room, frame, lossless=False)
        if room is None:
            self._meter.frame(frame.room, "closed")
        elif replaced is not None:
            self._meter.frame(frame.room, "replaced")
        if wake:
            self._wake_taker()
        return room is not None

    def put_blocking(self, frame: Frame) -> bool:
        """Leave a frame that must not be lost, waiting until there is room; False where the room is or gets closed."""
        with self._changed:
            room = self._open_room(frame.room)
            while room is not None and (room.slot is not None or len(room.out) >= self._lossless_ahead):
                self._changed.wait()
                # Closed and opened anew meanwhile is another room: this reader's time is over.
                room = room if self._open_room(frame.room) is room else None
            wake = room is not None and self._fill(room, frame, lossless=True)
        if room is None:
            self._meter.frame(frame.room, "closed")
        if wake:
            self._wake_taker()
        return room is not None

    async def take(self) -> Letter | None:
        """The next frame, whichever room's turn it is, waiting for one; None once everything is closed."""
        while (letter := self.take_nowait()) is None:
            if not await self.ready():
                return None
        return letter

    def take_nowait(self) -> Letter | None:
        """The next frame, whichever room's turn it is; None where none waits."""
        letter, stale = self._next()
        for old in stale:
            self._meter.frame(old.frame.room, "stale")
        if letter is not None:
            self._meter.stage("queue", time.monotonic() - letter.put_at_s)
        return letter

    async def ready(self) -> bool:
        """Wait until a frame waits, which may have grown stale; False once everything is closed."""
        loop = asyncio.get_running_loop()
        while True:
            if self._taker is None or self._taker[0] is not loop:
                self._taker = (loop, asyncio.Event())
            # No wake-up is lost: the taker is marked idle under the lock, and whoever fills a slot from then on sets
            # the event through the loop, hence after it was cleared.
            event = self._taker[1]
            event.clear()
            with self._changed:
                waits, closed = bool(self._waiting), self._closed
                self._taker_idle = not waits and not closed
            if waits or closed:
                return waits
            await event.wait()

    def done(self, letter: Letter) -> None:
        """A taken letter came to its end. Must be called for each: a lossless room's reader may wait for it."""
        with self._changed:
            room = self._rooms.get(letter.frame.room)
            if room is not None:
                room.out.discard(letter)
                self._changed.notify_all()

    def wait_idle(self, room: str, timeout_s: float | None = None) -> bool:
        """Block until all that was put for `room` has come to its end, or the room is closed; False: not in time.

        For a file's reader at the end of its file: closing the room earlier would drop the last frames.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._is_idle(room), timeout_s)

    def _is_idle(self, room: str) -> bool:
        state = self._rooms.get(room)
        return state is None or (state.slot is None and not state.out)

    def is_fresh(self, letter: Letter) -> bool:
        """Whether the frame may still be sent: lossless, or captured at most `max_age_s` ago."""
        return letter.lossless or self._clock() - letter.frame.captured_at_s <= self.max_age_s

    def newer_waits(self, letter: Letter) -> bool:
        """Whether a later frame of the same room lies in its slot."""
        with self._changed:
            room = self._rooms.get(letter.frame.room)
            return room is not None and room.slot is not None and room.slot is not letter

    def is_wanted(self, letter: Letter) -> bool:
        """Whether the letter's room is open, and was not closed since the letter came in."""
        with self._changed:
            room = self._rooms.get(letter.frame.room)
            return room is not None and letter.number >= room.first_number

    def awaits(self, room: str, within_s: float) -> bool:
        """Whether a frame of `room` that came at most so long ago was taken and has no answer, and none waits."""
        since_s = time.monotonic() - within_s
        with self._changed:
            state = self._rooms.get(room)
            return state is not None and state.slot is None and any(each.put_at_s >= since_s for each in state.out)

    def __len__(self) -> int:
        """How many frames wait."""
        with self._changed:
            return len(self._waiting)

    def _open_room(self, room: str) -> _Room | None:
        return None if self._closed else self._rooms.get(room)

    def _fill(self, room: _Room, frame: Frame, *, lossless: bool) -> bool:
        """Put `frame` into the slot; True where the taker sleeps and must be woken. The lock is held."""
        self._last_number += 1
        if room.slot is None:
            self._waiting.append(frame.room)
        room.slot = Letter(frame, self._last_number, lossless, time.monotonic())
        wake, self._taker_idle = self._taker_idle, False
        return wake

    def _next(self) -> tuple[Letter | None, list[Letter]]:
        """The first fresh frame, and the stale ones found on the way to it."""
        stale: list[Letter] = []
        with self._changed:
            while self._waiting:
                room = self._rooms[self._waiting.popleft()]
                letter, room.slot = room.slot, None
                if letter is None:
                    raise AssertionError("a room queued without a frame")
                self._changed.notify_all()
                if self.is_fresh(letter):
                    room.out.add(letter)
                    return letter, stale
                stale.append(letter)
        return None, stale

    def _drop(self, room: str) -> list[Letter]:
        """Forget `room`; what its slot held. The lock is held."""
        forgotten = self._rooms.pop(room, None)
        self._changed.notify_all()
        if forgotten is None or forgotten.slot is None:
            return []
        self._waiting.remove(room)
        return [forgotten.slot]

    def _count_closed(self, letters: list[Letter]) -> None:
        for letter in letters:
            self._meter.frame(letter.frame.room, "closed")

    def _wake_taker(self) -> None:
        if self._taker is None:
            return
        loop, event = self._taker
        try:
            loop.call_soon_threadsafe(event.set)
        except RuntimeError:
            # The loop is closed, so nobody takes any more; frames wait, one a room, until `close_all`.
            self._taker = None
