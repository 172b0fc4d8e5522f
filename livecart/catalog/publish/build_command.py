"""The program that makes a snapshot of a catalog folder: a process of its own, since it needs the network's weights."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from livecart.errors import PublishError, SettingsError

_log = logging.getLogger(__name__)
#: The project's own, from a checkout. It embeds only photos that the snapshot at {output} does not know yet.
OWN_PROGRAM = (sys.executable, str(Path(__file__).resolve().parents[3] / "scripts" / "build_catalog.py"))
DEFAULT_COMMAND = (*OWN_PROGRAM, "{folder}", "--output", "{output}", "--json")
_LOOK_EVERY_S = 0.05
_GRACE_S = 3.0
_TAIL_BYTES = 4000


class Builder(Protocol):
    """Makes snapshots, one at a time."""

    def warm_up(self) -> None:
        """A build is likely soon; returns at once."""

    def run(self, folder: Path, output: Path, *, stop: Callable[[], bool]) -> None:
        """Build one; see `BuildCommand.run`."""

    def close(self) -> None:
        """End what runs between builds."""


class BuildCommand:
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
        """Run it to its end.

        Args:
            folder: the catalog folder.
            output: where it writes; may hold the snapshot before.
            stop: asked often; true: it is killed.

        Raises:
            PublishError: it cannot be started, ends with another status, takes too long, was stopped, or wrote nothing.
        """
        places = {"{folder}": str(folder), "{output}": str(output)}
        command = [_filled(part, places) for part in self._command]
        before = state_of(output)
        with tempfile.TemporaryFile() as told:
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=told, stderr=told, start_new_session=True
                )
            except OSError as error:
                raise PublishError(f"{command[0]} cannot be started: {error.strerror}") from error
            try:
                reason = self._wait(process, stop)
            finally:
                end_process(process)
            text = _tail(told)
        if reason:
            raise PublishError(f"the snapshot build {reason}: {text}")
        if process.returncode != 0:
            raise PublishError(f"the snapshot build ended with status {process.returncode}: {text}")
        if state_of(output) == before:
            raise PublishError(f"the snapshot build wrote nothing: {text}")
        _log.info("snapshot build: %s", text)

    def warm_up(self) -> None:
        """See `Builder`: there is nothing to load beforehand."""

    def close(self) -> None:
        """See `Builder`: nothing runs between builds."""

    def _wait(self, process: subprocess.Popen[bytes], stop: Callable[[], bool]) -> str | None:
        """Why it was not waited for any longer, or None: it ended."""
        give_up_s = time.monotonic() + self._limit_s
        while True:
            try:
                process.wait(_LOOK_EVERY_S)
            except subprocess.TimeoutExpired:
                if stop():
                    return "was stopped"
                if time.monotonic() > give_up_s:
                    return f"took more than {self._limit_s:g} s"
            else:
                return None


def _filled(part: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        part = part.replace(name, value)
    return part


def state_of(path: Path) -> tuple[int, int, int] | None:
    """Of a file as it stands there: one that was written anew has another. None: there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End the whole group of a process that leads one: what it started ends with it."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            continue


def _tail(told: BinaryIO) -> str:
    size = told.seek(0, os.SEEK_END)
    told.seek(max(0, size - _TAIL_BYTES))
    return told.read().decode("utf-8", "replace").strip()
