"""Copies of followed snapshots, shared by all workers of a machine: what one has fetched, the others only open.

A folder for each source holds the copies, a state file that says which is the newest and which was the last good one,
and a lock that whoever changes either must hold.
"""

import fcntl
import hashlib
import logging
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

logger = logging.getLogger(__name__)

_STATE_FILE = "state.json"
_LOCK_FILE = "lock"
_PART_FILE = "incoming.part"
_LOOK_AGAIN_S = 0.05


class Held(msgspec.Struct, frozen=True):
    """A copy: the SHA-256 of its bytes in hex, and the validators of the source's state that it is a copy of."""

    digest: str
    validators: dict[str, str]


class _State(msgspec.Struct, frozen=True):
    latest: Held | None = None
    good: str | None = None


def shared_cache_folder(fingerprint: str) -> Path:
    """Folder in which the workers of this user share copies of snapshots made with one kind of weights.

    It lies in the service's folder for caches (systemd's CACHE_DIRECTORY), else in the user's. Where others could have
    written there, each worker has a fresh one. Kinds of weights do not share: during a rollout two versions would
    replace each other's last good copy.
    """
    named = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0] or os.environ.get("XDG_CACHE_HOME")
    top = Path(named or os.path.expanduser("~/.cache"), "livecart-catalog")  # noqa: PTH111 - without a home it raises
    if not _is_private(top):
        fresh = Path(tempfile.mkdtemp(prefix="livecart-catalog-"))
        logger.warning("%s is not this user's alone; copies of the catalog are kept in %s for this run", top, fresh)
        top = fresh
    return top / hashlib.sha256(fingerprint.encode()).hexdigest()[:16]


class SnapshotCache:
    """The folder of one source. Methods that change it raise OSError where there is no room or no right to write."""

    def __init__(self, folder: Path, source: str) -> None:
        self.folder = folder / hashlib.sha256(source.encode()).hexdigest()[:16]

    def latest(self) -> Held | None:
        """The copy of the newest state that any worker has fetched, good or not."""
        held = self._state().latest
        return held if held is not None and self.path(held).exists() else None

    def good(self) -> Path | None:
        """The copy that a worker opened last."""
        digest = self._state().good
        path = self._path(digest) if digest else None
        return path if path is not None and path.exists() else None

    def path(self, held: Held) -> Path:
        """Path of the copy; it may vanish when two newer ones have come, which hurts no worker that has it mapped."""
        return self._path(held.digest)

    def is_intact(self, held: Held) -> bool:
        """True where the copy still has the checksum that it was fetched with."""
        try:
            with self.path(held).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == held.digest
        except OSError:
            return False

    @contextmanager
    def lock(self, stop: threading.Event) -> Iterator[bool]:
        """Hold the lock. True: at once; False: after another worker, who may have changed everything.

        Raises:
            InterruptedError: ``stop`` was set before the lock was free.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.folder / _LOCK_FILE, flags, 0o600)
        try:
            at_once = True
            while not _try_lock(descriptor):
                at_once = False
                if stop.wait(_LOOK_AGAIN_S):
                    raise InterruptedError("stopped while another worker holds the lock")
            yield at_once
        finally:
            os.close(descriptor)

    @contextmanager
    def incoming(self) -> Iterator[BinaryIO]:
        """A file to fetch into, for ``keep``; under the lock. What a killed worker left there is overwritten."""
        part = self.folder / _PART_FILE
        try:
            with create(part) as file:
                yield file
        finally:
            part.unlink(missing_ok=True)

    def keep(self, file: BinaryIO, held: Held) -> None:
        """Make the fetched file the latest copy and drop copies that are neither latest nor good; under the lock."""
        # Not forced to the disk, which takes seconds for a large one: what a power cut spoils, the checksum finds, and
        # it is fetched again.
        file.flush()
        (self.folder / _PART_FILE).replace(self.path(held))
        state = _State(latest=held, good=self._state().good)
        self._write(state)
        for path in self.folder.glob("*.snapshot"):
            if path.stem not in (held.digest, state.good):
                path.unlink(missing_ok=True)

    def mark_good(self, held: Held) -> None:
        """Remember that the copy could be opened; under the lock."""
        state = self._state()
        if state.good != held.digest:
            self._write(_State(latest=state.latest, good=held.digest))

    def forget(self, held: Held) -> None:
        """Drop a copy that is damaged, so that it is fetched again; under the lock."""
        state = self._state()
        self._write(
            _State(
                latest=None if state.latest == held else state.latest,
                good=None if state.good == held.digest else state.good,
            )
        )
        self.path(held).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.snapshot"

    def _state(self) -> _State:
        # A state that cannot be read costs a download, no more.
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((self.folder / _STATE_FILE).read_bytes(), type=_State)
        return _State()

    def _write(self, state: _State) -> None:
        part = self.folder / f"{_STATE_FILE}.part"
        with create(part) as file:
            file.write(msgspec.json.encode(state))
        part.replace(self.folder / _STATE_FILE)


def _is_private(folder: Path) -> bool:
    """True where the folder is this user's and nobody else can enter it; it is made where it is not there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
    return mine and folder.is_absolute()


def create(path: Path) -> BinaryIO:
    """A new file; one of a killed worker, or a link, is removed first and never written through."""
    path.unlink(missing_ok=True)
    return path.open("xb")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
