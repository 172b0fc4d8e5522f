"""A builder that stays: the network is loaded once, so that a build takes a tenth of a second and not three.

The program is told of each build in a line of JSON and answers in one (`scripts/build_catalog.py --serve`). It ends
with its standard input, so it never outlives us. When it dies, the build at hand is made by the plain command, and
the next one finds a new program.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from livecart.catalog.publish.build_command import OWN_PROGRAM, Builder, end_process, state_of
from livecart.errors import PublishError

_log = logging.getLogger(__name__)
#: The project's own, run from a checkout.
RESIDENT_COMMAND = (*OWN_PROGRAM, "--serve")
_GRACE_S = 3.0
_CLEARS_UP_S = 2.0
_LOOK_EVERY_S = 0.05
#: A program that died so often in a row is left alone for so long.
_MOST_DEATHS = 3
_REST_S = 60.0
_MOST_LINE_BYTES = 16 * 1024 * 1024


class _Died(Exception):
    """The program is gone, or talks nonsense; the text says which."""


class ResidentBuilder:
    """Implements `Builder`. `run` belongs to one thread at a time; `close` may come from another, after it."""

    def __init__(
        self,
        plain: Builder,
        command: Sequence[str] = RESIDENT_COMMAND,
        *,
        limit_s: float = 600.0,
        rest_s: float = _REST_S,
    ) -> None:
        """Starts nothing.

        Args:
            plain: builds while the program cannot.
            command: the program; no shell looks at it.
            limit_s: of one build; after that it is killed.
            rest_s: how long a program that keeps dying is left alone.
        """
        self._plain = plain
        self._command = tuple(command)
        self._limit_s = limit_s
        self._rest_s = rest_s
        self._lock = threading.Lock()
        self._program: _Program | None = None
        self._deaths = 0
        self._rests_until_s = 0.0
        #: How many builds the plain command had to make.
        self.fallbacks = 0

    def warm_up(self) -> None:
        """See `Builder`: the network is loaded in the program, while we go on."""
        try:
            self._started()
        except _Died as reason:
            self._buried(reason)

    def run(self, folder: Path, output: Path, *, stop: Callable[[], bool]) -> None:
        """See `Builder`.

        Raises:
            PublishError: the build failed, took too long, or was stopped.
        """
        if time.monotonic() >= self._rests_until_s:
            before = state_of(output)
            try:
                answer = self._ask(folder, output, stop)
            except _Died as reason:
                self._buried(reason)
            else:
                self._deaths = 0
                _judge(answer, is_written=state_of(output) != before)
                return
        self.fallbacks += 1
        self._plain.run(folder, output, stop=stop)

    def close(self) -> None:
        """See `Builder`."""
        self._end()
        self._plain.close()

    def _ask(self, folder: Path, output: Path, stop: Callable[[], bool]) -> dict[str, Any]:
        give_up_s = time.monotonic() + self._limit_s
        order = msgspec.json.encode({"folder": str(folder.absolute()), "output": str(output.absolute())}) + b"\n"
        for attempt in range(2):
            program = self._started()
            try:
                return program.ask(order, stop, give_up_s)
            except _Died:
                # It ends by itself where the archive was replaced: a new one is all that is needed.
                if attempt or program.process.poll() != 0:
                    raise
                self._end()
        raise AssertionError("unreachable")  # pragma: no cover

    def _started(self) -> _Program:
        with self._lock:
            if self._program is not None and self._program.process.poll() is not None:
                self._program.end()
                self._program = None
            if self._program is None:
                self._program = _Program(self._command)
            return self._program

    def _end(self) -> None:
        with self._lock:
            program, self._program = self._program, None
        if program is not None:
            program.end()

    def _buried(self, reason: _Died) -> None:
        self._end()
        self._deaths += 1
        _log.warning("the resident snapshot builder %s; the plain command builds", reason)
        if self._deaths >= _MOST_DEATHS:
            self._deaths = 0
            self._rests_until_s = time.monotonic() + self._rest_s
            _log.error("the resident snapshot builder died %d times; it is left alone %g s", _MOST_DEATHS, self._rest_s)


class _Program:
    """One run of the program, in a process group of its own. Its standard error is ours."""

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
            )
        except OSError as error:
            raise _Died(f"cannot be started: {error.strerror}") from error
        self._orders = cast(IO[bytes], self.process.stdin)
        self._answers = cast(IO[bytes], self.process.stdout)
        self._unread = b""
        self._is_ready = False

    def ask(self, order: bytes, stop: Callable[[], bool], give_up_s: float) -> dict[str, Any]:
        """The answer to an order; the program's first line, that it is ready, comes before it."""
        if not self._is_ready:
            _decoded(self._line(stop, give_up_s))
            self._is_ready = True
        try:
            self._orders.write(order)
        except OSError as error:
            raise _Died("takes no order") from error
        return _decoded(self._line(stop, give_up_s))

    def end(self) -> None:
        """End it, whatever it does; its pipes are closed."""
        for pipe in (self._orders, self._answers):
            with suppress(OSError):
                pipe.close()
        # One that is idle ends with its input, and clears up first: a signal would come in between.
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_CLEARS_UP_S)
        end_process(self.process)

    def _line(self, stop: Callable[[], bool], give_up_s: float) -> bytes:
        while b"\n" not in self._unread:
            if stop():
                self.end()
                raise PublishError("the snapshot build was stopped")
            if time.monotonic() > give_up_s:
                self.end()
                raise PublishError("the snapshot build took too long; its builder was killed")
            if not select.select([self._answers], [], [], _LOOK_EVERY_S)[0]:
                continue
            data = os.read(self._answers.fileno(), 65536)
            if not data:
                # So that its status is there to be looked at.
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(_GRACE_S)
                raise _Died(f"ended with status {self.process.poll()}")
            self._unread += data
            if len(self._unread) > _MOST_LINE_BYTES:
                raise _Died("talks without end")
        line, _, self._unread = self._unread.partition(b"\n")
        return line


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _Died(f"answers {line[:200]!r}") from error


def _judge(answer: dict[str, Any], *, is_written: bool) -> None:
    if answer.get("ok") is not True:
        raise PublishError(f"the snapshot build failed: {answer.get('error', answer)}")
    if not is_written:
        raise PublishError(f"the snapshot build wrote nothing: {answer}")
    _log.info("snapshot build: %s", answer)
