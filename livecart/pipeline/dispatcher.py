"""From the mailbox to the recogniser and back: a bounded number of requests at once, retries while they make sense.

A frame holds one of the `in_flight` places only while its request runs. While it waits to be sent again its place is
free for other rooms, so one room's failures delay nobody. A live room has at most one frame waiting to be sent again:
its next frame takes that one's turn. The looks of a lossless room (a file) are handed on in the frames' order; a live
room's look that comes after a newer one is dropped, since the decision must never see time run backwards.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from livecart.errors import RecognizerBusy, RecognizerError, SettingsError
from livecart.pipeline.mailbox import Letter, Mailbox
from livecart.pipeline.meter import Meter, Outcome, Tally
from livecart.pipeline.places import Places
from livecart.types import Frame, Look

_log = logging.getLogger(__name__)

#: While the recogniser is down every frame fails alike: one line in so many seconds says it.
_LOG_EVERY_S = 10.0
#: Requests begin so far apart. TorchServe puts those that come within its `maxBatchDelay` of each other into one batch,
#: for one worker, even while another is idle; answered together they would also be followed by two at once, for ever.
_APART_S = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherSettings:
    """How hard to ask.

    Attributes:
        in_flight: Requests at once to begin with, 1 or more. From how long they wait in the server's queue it follows
            whether more would be answered sooner or only grow old there (places.py): on two cores, with 16 and a
            third of a second each, none was answered in time.
        in_flight_most: Requests at once at most; not above `in_flight`: always so many.
        backoff_first_s: Longest wait before the first retry, above 0; it doubles with each further one.
        backoff_max_s: Longest wait of all. Each wait is drawn evenly from half its longest to its longest.
        lossless_patience_s: How long a frame of a file is tried before it is given up.
        drain_s: How long `run` waits for answers after the mailbox was closed.
    """

    in_flight: int = 4
    in_flight_most: int = 32
    backoff_first_s: float = 0.1
    backoff_max_s: float = 1.0
    lossless_patience_s: float = 60.0
    drain_s: float = 2.0

    def __post_init__(self) -> None:
        for key in ("in_flight", "in_flight_most"):
            if getattr(self, key) < 1:
                raise SettingsError(f"dispatcher {key} is {getattr(self, key)}; it must be 1 or more")
        if not 0 < self.backoff_first_s <= self.backoff_max_s:
            raise SettingsError(
                f"dispatcher backoff_first_s is {self.backoff_first_s}, backoff_max_s {self.backoff_max_s}; "
                "the first must be above 0 and no longer than the other"
            )
        for key in ("lossless_patience_s", "drain_s"):
            if getattr(self, key) < 0:
                raise SettingsError(f"dispatcher {key} is {getattr(self, key)}; it must be 0 seconds or more")


@dataclass(slots=True)
class _Room:
    """What is going on for one room; forgotten when nothing is."""

    active: int = 0
    #: Letters' numbers.
    newest_taken: int = 0
    newest_answered: int = 0
    #: Set to end the wait of the live frame that would be sent again.
    retrying: asyncio.Event | None = None
    #: Of the last lossless frame taken: set when its outcome was handed on.
    last_told: asyncio.Event | None = None


@dataclass(slots=True)
class _Errand:
    """One letter's way through the dispatcher."""

    letter: Letter
    room: _Room
    #: Set when the outcome of the lossless frame before this one was handed on.
    before: asyncio.Event | None
    told: asyncio.Event = field(default_factory=asyncio.Event)


class Dispatcher:
    """Run `run` in one task; it ends when the mailbox is closed and what was in flight has ended.

    Args:
        mailbox: Where frames come from.
        recognize: Asks about one frame; `RecognizerClient.recognize`.
        on_look: Told of each answered frame, in the event loop, oldest first within a room.
        on_lost: Told of each frame that was taken but not answered, with its outcome.
        settings: How hard to ask.
        meter: Told of every outcome.
        jitter: Draws from 0 to 1.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        recognize: Callable[[Frame], Awaitable[Look]],
        *,
        on_look: Callable[[Look], None],
        on_lost: Callable[[Frame, Outcome], None] = lambda _frame, _outcome: None,
        settings: DispatcherSettings | None = None,
        meter: Meter | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._mailbox = mailbox
        self._recognize = recognize
        self._on_look = on_look
        self._on_lost = on_lost
        self._settings = settings if settings is not None else DispatcherSettings()
        self._meter = meter if meter is not None else Tally()
        self._jitter = jitter
        self._rooms: dict[str, _Room] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = Places(self._settings.in_flight, self._settings.in_flight_most)
        self._logged: dict[str, tuple[float, int]] = {}

    @property
    def most_in_flight(self) -> int:
        """How many requests may be at the recogniser at once, as found out by now."""
        return self._places.limit

    async def run(self) -> None:
        """Serve until the mailbox is closed, then wait up to `drain_s`; cancelled, drop what is in flight at once."""
        try:
            while (letter := await self._take()) is not None:
                self._start(letter)
                await asyncio.sleep(_APART_S)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._settings.drain_s)
        finally:
            # A task cancelled before its first step would end without a word about its frame.
            await asyncio.sleep(0)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self) -> Letter | None:
        """The next frame, and a place for it; None once the mailbox is closed.

        The place is waited for in turn with the frames that are sent again, which would else go first for ever; the
        frame is taken once there is one, so that it is the newest. While no frame waits no place is held.
        """
        while await self._mailbox.ready():
            await self._places.acquire()
            letter = self._mailbox.take_nowait()
            if letter is not None:
                return letter
            self._places.release()
        return None

    def _start(self, letter: Letter) -> None:
        room = self._rooms.setdefault(letter.frame.room, _Room())
        room.active += 1
        errand = _Errand(letter, room, room.last_told)
        if letter.lossless:
            room.last_told = errand.told
        elif room.retrying is not None:
            room.retrying.set()
        room.newest_taken = letter.number
        task = asyncio.create_task(self._serve(errand), name=f"look of {letter.frame.room}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, errand: _Errand) -> None:
        letter, room = errand.letter, errand.room
        outcome: Outcome = "closed"
        look: Look | None = None
        try:
            outcome, look = await self._ask(errand)
            if errand.before is not None:
                await errand.before.wait()
            if outcome == "answered":
                outcome = self._worth_telling(letter, room)
        except asyncio.CancelledError:
            outcome = "closed"
            raise
        except Exception:  # noqa: BLE001 - one frame's fault, whatever it is, must not end the other rooms' service
            _log.exception("room %s: a frame was lost to a fault of livecart; please report it", letter.frame.room)
            outcome = "failed"
        finally:
            self._end(errand, outcome, look)

    def _worth_telling(self, letter: Letter, room: _Room) -> Outcome:
        if not self._mailbox.is_wanted(letter):
            return "closed"
        overtaken = not letter.lossless and letter.number < room.newest_answered
        return "overtaken" if overtaken else "answered"

    def _end(self, errand: _Errand, outcome: Outcome, look: Look | None) -> None:
        """Hand on what became of the frame, and forget it."""
        letter, room = errand.letter, errand.room
        name = letter.frame.room
        self._meter.frame(name, outcome)
        try:
            if outcome == "answered" and look is not None:
                room.newest_answered = max(room.newest_answered, letter.number)
                self._on_look(look)
            else:
                self._on_lost(letter.frame, outcome)
        except Exception:  # noqa: BLE001 - the callbacks are not ours, and the next frame's must be called all the same
            self._meter.incident(name, "callback_failed")
            _log.exception("room %s: what was to be done with a %s frame failed", name, outcome)
        errand.told.set()
        self._mailbox.done(letter)
        room.active -= 1
        if room.active == 0:
            self._rooms.pop(name, None)

    async def _ask(self, errand: _Errand) -> tuple[Outcome, Look | None]:
        """Ask until there is an answer, or asking makes no sense any more."""
        letter = errand.letter
        give_up_at_s = time.monotonic() + self._settings.lossless_patience_s
        attempt = 0
        while True:
            unsent = await self._in_place(letter, attempt)
            if not isinstance(unsent, RecognizerBusy):
                return unsent
            self._meter.incident(letter.frame.room, "busy")
            self._log_seldom("busy", letter.frame.room, unsent)
            if letter.lossless and time.monotonic() >= give_up_at_s:
                return "gave_up", None
            if not await self._back_off(errand, attempt):
                return "gave_up", None
            attempt += 1

    async def _in_place(self, letter: Letter, attempt: int) -> tuple[Outcome, Look | None] | RecognizerBusy:
        """One attempt in one of the `in_flight` places; how it ended, or that the recogniser was busy.

        The place of the first attempt was taken by `_take`.
        """
        if attempt:
            await self._places.acquire()
        try:
            if not self._mailbox.is_wanted(letter):
                return "closed", None
            if not self._mailbox.is_fresh(letter):
                return ("gave_up" if attempt else "stale"), None
            if not letter.lossless and self._mailbox.newer_waits(letter):
                return ("gave_up" if attempt else "replaced"), None
            return "answered", await self._timed(letter.frame)
        except RecognizerBusy as busy:
            self._places.refused()
            return busy
        except RecognizerError as error:
            self._log_seldom("refused", letter.frame.room, error)
            return "refused", None
        finally:
            self._places.release()

    async def _timed(self, frame: Frame) -> Look:
        began_s, taken = time.monotonic(), self._places.taken
        look = await self._recognize(frame)
        # On a CPU the frames of a batch are worked on one after the other: all but one's share of it was waiting.
        worked_s = sum(look.stage_seconds.values()) / look.batch
        if worked_s > 0:
            # A recogniser that does not say how long it worked gets as many requests at once as it is set to.
            self._places.answered(max(0.0, time.monotonic() - began_s - worked_s), taken)
        return look

    async def _back_off(self, errand: _Errand, attempt: int) -> bool:
        """Wait before asking again; False where a newer frame of the live room makes that pointless."""
        letter, room, settings = errand.letter, errand.room, self._settings
        longest_s = min(settings.backoff_first_s * 2 ** min(attempt, 32), settings.backoff_max_s)
        wait_s = longest_s * (0.5 + 0.5 * self._jitter())
        if letter.lossless:
            await asyncio.sleep(wait_s)
            return True
        if letter.number < room.newest_taken or self._mailbox.newer_waits(letter):
            return False
        # Only the newest frame taken comes this far, so no other of the room waits here.
        room.retrying = asyncio.Event()
        try:
            async with asyncio.timeout(wait_s):
                await room.retrying.wait()
        except TimeoutError:
            return not self._mailbox.newer_waits(letter)
        else:
            return False
        finally:
            room.retrying = None

    def _log_seldom(self, kind: str, room: str, error: RecognizerError) -> None:
        now_s = time.monotonic()
        last_s, silent = self._logged.get(kind, (-_LOG_EVERY_S, 0))
        if now_s - last_s < _LOG_EVERY_S:
            self._logged[kind] = (last_s, silent + 1)
            return
        self._logged[kind] = (now_s, 0)
        more = f" (and {silent} more since the last such line)" if silent else ""
        _log.warning("room %s: %s%s", room, error, more)
