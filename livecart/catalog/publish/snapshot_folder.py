"""Where snapshots are published: each in a file that never changes, and one small file that says which is current.

catalog-00000007.snapshot   version 7; kept a while, for those who are reading it
catalog.snapshot            the current one, for archives on this machine that follow a path
current.json                which one is current; replaced in one step, after the file is whole
build-*/                    what is being made
catalog/                    the catalog folder that it is made from
publisher.lock              held by the process that publishes here
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from livecart.errors import PublishError

CURRENT = "current.json"
FOLLOWED = "catalog.snapshot"
_CHUNK_BYTES = 1024 * 1024


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A published snapshot.

    Attributes:
        version: grows by one with each.
        revision: of the catalog that it was made from.
        file: name inside the folder.
        digest: SHA-256 of the file, in hex.
        size_bytes: of the file.
        products: how many it was made from.
        built_at_s: UNIX time.
        build_s: seconds from the export to the publication.
    """

    version: int
    revision: int
    file: str
    digest: str
    size_bytes: int
    products: int
    built_at_s: float
    build_s: float

    @property
    def etag(self) -> str:
        """For HTTP: strong, quotes included."""
        return f'"{self.digest[:32]}"'


class SnapshotFolder:
    """Reads by any number of processes; writes by the one that holds the lock."""

    def __init__(self, folder: Path, *, kept_versions: int = 3) -> None:
        self.folder = folder
        self._kept_versions = kept_versions
        folder.mkdir(parents=True, exist_ok=True)

    def current(self) -> Published | None:
        """What is published, or None where nothing is yet.

        Raises:
            PublishError: current.json is not one of ours.
        """
        try:
            return msgspec.json.decode((self.folder / CURRENT).read_bytes(), type=Published)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PublishError(f"{self.folder / CURRENT}: {error}; remove it, and publish anew") from error

    def path(self, published: Published) -> Path:
        """The file; open it at once: it goes when a few newer ones are there."""
        return self.folder / published.file

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Whether this process may publish here while in the block."""
        with (self.folder / "publisher.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """A path to build at, with a copy of the current snapshot, whose photos need not be embedded again.

        A copy: whatever the build does to it, the published file stays as it is.
        """
        self._clean()
        place = Path(tempfile.mkdtemp(prefix="build-", dir=self.folder))
        try:
            path = place / FOLLOWED
            current = self.current()
            if current is not None and self.path(current).exists():
                shutil.copyfile(self.path(current), path)
            yield path
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def publish(self, path: Path, *, revision: int, products: int, built_at_s: float, build_s: float) -> Published:
        """Make the file at `path` the current snapshot. At each moment a reader finds the old one, or this one, whole.

        Raises:
            PublishError: there is no such file, or it is empty.
            OSError: the disk is full.
        """
        if not path.is_file() or path.stat().st_size == 0:
            raise PublishError("the build left no snapshot")
        before = self.current()
        version = before.version + 1 if before else 1
        published = Published(
            version=version,
            revision=revision,
            file=f"catalog-{version:08d}.snapshot",
            digest=_digest_to_disk(path),
            size_bytes=path.stat().st_size,
            products=products,
            built_at_s=built_at_s,
            build_s=round(build_s, 3),
        )
        path.chmod(0o644)
        path.replace(self.folder / published.file)
        self._replace(CURRENT, lambda target: _write(target, msgspec.json.encode(published)))
        self._replace(FOLLOWED, lambda target: _link_or_copy(self.folder / published.file, target))
        self._sync_folder()
        self._forget_old(version)
        return published

    def _replace(self, name: str, make: Callable[[Path], None]) -> None:
        temporary = self.folder / f"{name}.part"
        temporary.unlink(missing_ok=True)
        make(temporary)
        temporary.replace(self.folder / name)

    def _sync_folder(self) -> None:
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _forget_old(self, version: int) -> None:
        for path in self.folder.glob("catalog-*.snapshot"):
            number = path.stem.removeprefix("catalog-")
            if number.isdecimal() and int(number) <= version - self._kept_versions:
                path.unlink(missing_ok=True)

    def _clean(self) -> None:
        """What a killed publisher left. Its build may still run: it writes into a folder that is gone."""
        for place in self.folder.glob("build-*"):
            shutil.rmtree(place, ignore_errors=True)


def _digest_to_disk(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
        os.fsync(file.fileno())
    return digest.hexdigest()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
