"""Keeps a worker's catalog snapshot up to date: follows a file or a link and hands over each new one that is sound.

Everything slow happens in one thread of its own: asking, fetching, checking. Whoever serves requests only ever sees a
snapshot that is open and whole. A source that is down, or holds something that cannot be used, changes nothing.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from follow.cache import Held, SnapshotCache
from follow.sources import NotTaken, Source, SourceUpdate, StillChanging, Unreachable, open_source
from recognition.errors import ConfigurationError

logger = logging.getLogger(__name__)

Opened = TypeVar("Opened")

#: Outcomes for ``on_event``: a snapshot was taken over, was refused, the source does not answer, it answers again.
LOADED, REFUSED, UNREACHABLE, REACHABLE = "loaded", "refused", "unreachable", "reachable"

#: Of a source that never says "unchanged", every poll is a download: this share of the time is spent on them.
_DOWNLOADING_SHARE = 0.1
#: The longest wait after a failure of our own.
_MOST_PAUSE_S = 30.0
_JOIN_S = 2.0


class SnapshotFollower(Generic[Opened]):
    """Follows ``source``: a path, an https link, or http to this machine; None stays with the built-in snapshot.

    ``open`` opens and checks a file, raising ConfigurationError where it must not be used. ``on_change`` takes what it
    returned, one at a time and in the order in which they came: the first one in the thread of ``start``, later ones in
    this follower's. ``on_event`` gets an outcome (one of the four above) and a message, once for each distinct state of
    the source and not once a poll.

    ``cache_folder`` may be shared by workers of the same weights. A new snapshot is seen after ``poll_s`` at the
    latest, at a path after a quarter of it, plus the time to fetch and check it; after failures a link is asked less
    often, down to every 30 s.
    """

    def __init__(
        self,
        source: str | None,
        *,
        builtin: Path,
        cache_folder: Path,
        open: Callable[[Path], Opened],
        on_change: Callable[[Opened], None],
        on_event: Callable[[str, str], None],
        poll_s: float = 1.0,
        max_bytes: int = 8 << 30,
        start_s: float = 30.0,
    ) -> None:
        self._source: Source | None = None if source is None else open_source(source, max_bytes=max_bytes)
        self._cache = SnapshotCache(cache_folder, source or "")
        self._builtin = builtin
        self._open = open
        self._on_change = on_change
        self._on_event = on_event
        self._poll_s = poll_s / (1 if self._source is None else self._source.polls_per_interval)
        self._start_s = start_s
        self._stop = threading.Event()
        self._first_poll_done = threading.Event()
        self._handover = threading.Lock()
        self._started = False
        self._initial: list[Opened] = []
        #: Digest of the copy that was opened or refused last.
        self._seen: str | None = None
        #: Validators of a state that was refused unread, and why.
        self._not_taken: dict[str, str] = {}
        self._not_taken_because: str | None = None
        self._trouble: str | None = None
        self._failures = 0
        self._pause_s = self._poll_s
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow, and hand over the snapshot to begin with.

        It is the source's if that comes within ``start_s``, else the last good copy of it, else the built-in one.

        Raises:
            ConfigurationError: not even the built-in one can be opened.
            Exception: what ``on_change`` raised; nothing is followed then.
        """
        if self._source is not None:
            self._thread = threading.Thread(
                target=self._run, args=(self._source,), name="snapshot-follower", daemon=True
            )
            self._thread.start()
            self._first_poll_done.wait(self._start_s)
        try:
            fallback = [] if self._initial else [self._fallback()]
            with self._handover:
                self._started = True
                # The source may have come through while the fallback was opened. Nothing is kept here: a snapshot that
                # has been replaced is to be unmapped.
                first, self._initial = (self._initial or fallback)[0], []
                # A newer one that comes meanwhile waits, so that it is the one that stays.
                self._begin_with(first)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Stop following. What was handed over stays usable."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def _begin_with(self, first: Opened) -> None:
        try:
            self._on_change(first)
        except Exception:
            self._stop.set()  # before the one that waits is handed over to who cannot begin
            raise

    def _run(self, source: Source) -> None:
        while not self._stop.is_set():
            self._pause_s = self._poll_s
            self._poll_and_report(source)
            self._first_poll_done.set()
            self._stop.wait(self._pause_s)

    def _poll_and_report(self, source: Source) -> None:
        """Poll once and never raise: whatever goes wrong now, the next poll may go well."""
        try:
            self._poll(source)
        except StillChanging:
            return
        except NotTaken as error:
            self._reached()
            if self._not_taken_because != str(error) or self._not_taken:
                self._report(REFUSED, f"{self._shown}: {error}")
            self._not_taken_because = str(error)
        except (Unreachable, OSError) as error:
            self._failed(UNREACHABLE, str(error), most_pause_s=source.most_backoff_s)
        except _CannotOpen as error:
            self._failed(REFUSED, str(error), most_pause_s=_MOST_PAUSE_S)
        except Exception as error:
            logger.exception("the snapshot's source could not be polled")
            self._failed(UNREACHABLE, f"{self._shown}: {type(error).__name__}", most_pause_s=_MOST_PAUSE_S)
        else:
            self._trouble, self._failures = None, 0

    def _poll(self, source: Source) -> None:
        """Ask, fetch what is new, and consider it.

        Raises:
            Unreachable, OSError, _CannotOpen: it is to be tried again.
            NotTaken, StillChanging: nothing can be done until the source changes.
        """
        latest = self._cache.latest()
        known = self._not_taken or (latest.validators if latest else {})
        with source.ask(known, self._stop) as answer:
            if answer is not None:
                latest = self._fetch(answer)
        self._reached()
        if latest is not None and latest.digest != self._seen:
            self._consider(latest)

    def _fetch(self, answer: SourceUpdate) -> Held | None:
        """The news as a copy: fetched, or found there because another worker was faster."""
        validators = dict(answer.validators)
        with self._cache.lock(self._stop) as at_once:
            latest = self._cache.latest()
            if latest is not None and validators and latest.validators == validators:
                self._not_taken = {}
                return latest
            if not at_once:
                # What was asked before the wait may be long out of date.
                self._pause_s = 0.0
                return None
            began = time.monotonic()
            try:
                with self._cache.incoming() as file:
                    held = Held(answer.copy_to(file, self._stop), validators)
                    self._cache.keep(file, held)
            except NotTaken:
                self._not_taken = validators
                raise
            finally:
                if not validators:
                    self._pause_s = max(self._poll_s, (time.monotonic() - began) / _DOWNLOADING_SHARE)
        self._not_taken, self._not_taken_because = {}, None
        return held

    def _consider(self, held: Held) -> None:
        path = self._cache.path(held)
        try:
            opened = self._open(path)
        except Exception as error:
            reason = str(error).replace(str(path), self._shown)
            if not self._cache.is_intact(held):
                self._drop(held)
                return
            if not isinstance(error, ConfigurationError):
                raise _CannotOpen(f"{self._shown}: {type(error).__name__}: {reason}") from error
            self._seen = held.digest
            self._report(REFUSED, reason)
            return
        self._hand_over(opened)
        if self._stop.is_set():
            return
        self._seen = held.digest
        self._report(LOADED, self._shown)
        # Without the mark a start while the source is down is less fresh, no more.
        with suppress(OSError), self._cache.lock(self._stop):
            self._cache.mark_good(held)

    def _drop(self, held: Held) -> None:
        """Have a damaged copy fetched again; one that is gone only because a newer one has come is no damage."""
        if self._cache.latest() == held:
            with self._cache.lock(self._stop):
                self._cache.forget(held)
            raise Unreachable(f"{self._shown}: the copy of it was damaged and is fetched again")
        self._pause_s = 0.0

    def _hand_over(self, opened: Opened) -> None:
        with self._handover:
            if self._stop.is_set():
                return
            if not self._started:
                self._initial = [opened]
                return
            try:
                self._on_change(opened)
            except Exception as error:
                raise _CannotOpen(f"{self._shown}: cannot be taken over: {type(error).__name__}: {error}") from error

    def _fallback(self) -> Opened:
        good = self._cache.good() if self._source is not None else None
        if good is not None:
            try:
                opened = self._open(good)
            except ConfigurationError as error:
                self._report(REFUSED, str(error))
            else:
                self._seen = self._seen or good.stem
                self._report(LOADED, f"the last good copy of {self._shown}")
                return opened
        opened = self._open(self._builtin)
        self._report(LOADED, "the built-in snapshot")
        return opened

    @property
    def _shown(self) -> str:
        return self._source.shown if self._source is not None else str(self._builtin)

    def _failed(self, outcome: str, reason: str, *, most_pause_s: float) -> None:
        """Tell of a failure when it begins; then wait twice as long after each, jittered to spread many machines."""
        self._failures = min(self._failures + 1, 16)
        most = max(self._poll_s, most_pause_s)
        self._pause_s = min(most, self._poll_s * 2.0**self._failures) * random.uniform(0.5, 1.0)  # noqa: S311
        if self._trouble != outcome and not self._stop.is_set():
            self._trouble = outcome
            self._report(outcome, reason)

    def _reached(self) -> None:
        if self._trouble == UNREACHABLE:
            self._trouble = None
            self._report(REACHABLE, self._shown)

    def _report(self, outcome: str, message: str) -> None:
        try:
            self._on_event(outcome, message)
        except Exception:
            logger.exception("event %s of the snapshot could not be reported: %s", outcome, message)


class _CannotOpen(Exception):
    """The snapshot could not be opened for a reason that may go away, such as too little memory."""
