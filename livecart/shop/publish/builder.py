"""Programs that make a snapshot of a catalog folder: processes of their own, since they need the network's weights.

`ResidentBuilder` keeps one, with the network loaded, so that a build takes a tenth of a second and not three. It is
told of each build in a line of JSON and answers in one (`scripts/build_catalog.py --serve`). It ends with its standard
input, so it never outlives us. When it dies, `BuildCommand` makes the build at hand, and the next one finds a new one.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import msgspec

from livecart.core.errors import SettingsError
from livecart.shop.errors import PublishError

_log = logging.getLogger(__name__)
#: The project's own, from a checkout. It embeds only photos that the snapshot at {output} does not know yet.
_OWN_PROGRAM = (sys.executable, str(Path(__file__).resolve().parents[3] / "scripts" / "build_catalog.py"))
DEFAULT_COMMAND = (*_OWN_PROGRAM, "{folder}", "--output", "{output}", "--json")
RESIDENT_COMMAND = (*_OWN_PROGRAM, "--serve")
_LOOK_EVERY_S = 0.05
_GRACE_S = 3.0
_CLEARS_UP_S = 2.0
_TAIL_BYTES = 4000
_MOST_LINE_BYTES = 16 * 1024 * 1024
#: A resident program that died so often in a row is left alone for so long.
_MOST_DEATHS = 3
_REST_S = 60.0


@dataclass(frozen=True, slots=True)
class _Limit:
    stop: Callable[[], bool]
    give_up_s: float

    def is_over(self) -> bool:
        """True once the time is over; asked between two short waits.

        Raises:
            PublishError: the build is to stop.
        """
        if self.stop():
            raise PublishError("build_stopped")
        return time.monotonic() > self.give_up_s


class Builder:
    """Makes snapshots, one at a time."""

    def warm_up(self) -> None:
        """A build is likely soon; returns at once."""

    def run(self, folder: Path, output: Path, *, stop: Callable[[], bool]) -> None:
        """Build one.

        Args:
            folder: the catalog folder.
            output: where it writes; may hold the snapshot before.
            stop: asked often; true: the program is killed.

        Raises:
            PublishError: it cannot be started, fails, takes too long, was stopped, or wrote nothing.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End what runs between builds."""


class BuildCommand(Builder):
    """An argument list; `{folder}` and `{output}` in it stand for the catalog folder and the file to write."""

    def __init__(self, command: Sequence[str] = DEFAULT_COMMAND, *, limit_s: float = 600.0) -> None:
        """Runs nothing.

        Args:
            command: no shell looks at it. It must leave the file at `{output}` and end with status 0.
            limit_s: after which it is killed.

        Raises:
            SettingsError: it does not name both.
        """
        joined = " ".join(command)
        if "{folder}" not in joined or "{output}" not in joined:
            raise SettingsError(f"publish command must name {{folder}} and {{output}}: {joined}")
        self._command = tuple(command)
        self._limit_s = limit_s

    def run(self, folder: Path, output: Path, *, stop: Callable[[], bool]) -> None:
        command = [part.replace("{folder}", str(folder)).replace("{output}", str(output)) for part in self._command]
        limit = _Limit(stop, time.monotonic() + self._limit_s)
        before = _state_of(output)
        with tempfile.TemporaryFile() as told:
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=told, stderr=told, start_new_session=True
                )
            except OSError as error:
                raise PublishError("build_not_started", command=command[0], cause=str(error.strerror)) from error
            try:
                while not (is_ended := _ends_within(process, _LOOK_EVERY_S)) and not limit.is_over():
                    pass
            finally:
                _end_process(process)
            text = _tail(told)
        if not is_ended:
            raise PublishError("build_too_long", limit_s=f"{self._limit_s:g}", output=text)
        if process.returncode != 0:
            raise PublishError("build_failed", cause=f"status {process.returncode}: {text}")
        if _state_of(output) == before:
            raise PublishError("build_wrote_nothing", output=text)
        _log.info("snapshot build: %s", text)


class _Died(Exception):
    """The program is gone, or talks nonsense; the text says which."""


class ResidentBuilder(Builder):
    """`run` belongs to one thread at a time; `close` may come from another, after it."""

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
        try:
            self._started()
        except Exception as reason:  # noqa: BLE001  as in `run`
            self._buried(reason)

    def run(self, folder: Path, output: Path, *, stop: Callable[[], bool]) -> None:
        if time.monotonic() >= self._rests_until_s:
            before = _state_of(output)
            try:
                answer = self._ask(folder, output, _Limit(stop, time.monotonic() + self._limit_s))
            except PublishError:
                self._end()
                raise
            except Exception as reason:  # noqa: BLE001  a fault of ours must not end publishing: the plain command builds
                self._buried(reason)
            else:
                self._deaths = 0
                if answer.get("ok") is not True:
                    raise PublishError("build_failed", cause=str(answer.get("error", answer)))
                if _state_of(output) == before:
                    raise PublishError("build_wrote_nothing", output=str(answer))
                _log.info("snapshot build: %s", answer)
                return
        self.fallbacks += 1
        self._plain.run(folder, output, stop=stop)

    def close(self) -> None:
        self._end()
        self._plain.close()

    def _ask(self, folder: Path, output: Path, limit: _Limit) -> dict[str, Any]:
        order = msgspec.json.encode({"folder": str(folder.absolute()), "output": str(output.absolute())}) + b"\n"
        for attempt in range(2):
            program = self._started()
            try:
                return program.ask(order, limit)
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

    def _buried(self, reason: Exception) -> None:
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
        # Not select(): it takes no descriptor from 1,024 on, and each viewer has one.
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)
        self._unread = b""
        self._is_ready = False

    def ask(self, order: bytes, limit: _Limit) -> dict[str, Any]:
        """The answer to an order; the program's first line, that it is ready, comes before it."""
        if not self._is_ready:
            _decoded(self._line(limit))
            self._is_ready = True
        try:
            self._orders.write(order)
        except OSError as error:
            raise _Died("takes no order") from error
        return _decoded(self._line(limit))

    def end(self) -> None:
        """End it, whatever it does; its pipes are closed."""
        for pipe in (self._selector, self._orders, self._answers):
            with suppress(OSError):
                pipe.close()
        # One that is idle ends with its input, and clears up first: a signal would come in between.
        _ends_within(self.process, _CLEARS_UP_S)
        _end_process(self.process)

    def _line(self, limit: _Limit) -> bytes:
        while b"\n" not in self._unread:
            if limit.is_over():
                raise PublishError("build_killed")
            if not self._selector.select(_LOOK_EVERY_S):
                continue
            data = os.read(self._answers.fileno(), 65536)
            if not data:
                # So that its status is there to be looked at.
                _ends_within(self.process, _GRACE_S)
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


def _state_of(path: Path) -> tuple[int, int, int] | None:
    """Of a file as it stands there: one that was written anew has another. None: there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None


def _end_process(process: subprocess.Popen[bytes]) -> None:
    """End the whole group of a process that leads one: what it started ends with it."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        _ends_within(process, _GRACE_S)


def _tail(told: BinaryIO) -> str:
    size = told.seek(0, os.SEEK_END)
    told.seek(max(0, size - _TAIL_BYTES))
    return told.read().decode("utf-8", "replace").strip()
