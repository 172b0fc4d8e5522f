"""Keeps the features of photos as they are made, so that a build that was interrupted goes on where it ended."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from recognition.catalog.embedding import PhotoFeatures
from recognition.snapshot.format import CELLS, DESCRIPTOR_BYTES

_LENGTH_BYTES = 4


class _Record(msgspec.Struct, array_like=True, frozen=True):
    """Features of the photo whose file has the SHA-256 ``digest``."""

    fingerprint: str
    digest: bytes
    views: int
    vectors: bytes
    cells: bytes
    local_xy: bytes
    local_descriptors: bytes
    lines: tuple[tuple[str, float], ...]


class Journal:
    """A file of features that embedders of one ``fingerprint`` made; those of others in it are passed over.

    A last record that was cut off, by a full disk or a power cut, is cut away. Threads may share it.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        """Open ``path``, or begin it.

        Raises:
            OSError: it cannot be read or written.
        """
        self._path = path
        self._fingerprint = fingerprint
        self._lock = threading.Lock()
        self._file = path.open("a+b")
        self._file.seek(0)
        self._known = {record.digest: record for record in _records(self._file) if record.fingerprint == fingerprint}
        self._file.truncate()

    def get(self, digest: bytes) -> PhotoFeatures | None:
        record = self._known.get(digest)
        return None if record is None else _features(record)

    def add(self, digest: bytes, features: PhotoFeatures) -> None:
        record = _Record(
            self._fingerprint,
            digest,
            len(features.vectors),
            features.vectors.tobytes(),
            features.cells.tobytes(),
            features.local_xy.tobytes(),
            features.local_descriptors.tobytes(),
            features.lines,
        )
        body = msgspec.msgpack.encode(record)
        with self._lock:
            self._file.write(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
            self._file.flush()

    def close(self, *, done: bool) -> None:
        """Close the file; once the snapshot is written (``done``) it goes."""
        self._file.close()
        if done:
            self._path.unlink(missing_ok=True)


def _records(file: BinaryIO) -> Iterator[_Record]:
    """Whole records from where the file stands; leaves it behind the last one."""
    while True:
        start = file.tell()
        length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
        body = file.read(length)
        try:
            record = msgspec.msgpack.decode(body, type=_Record)
        except msgspec.DecodeError:
            file.seek(start)
            return
        yield record


def _features(record: _Record) -> PhotoFeatures:
    return PhotoFeatures(
        vectors=np.frombuffer(record.vectors, np.float16).reshape(record.views, -1),
        cells=np.frombuffer(record.cells, np.uint8).reshape(CELLS, CELLS, 3),
        local_xy=np.frombuffer(record.local_xy, np.float16).reshape(-1, 2),
        local_descriptors=np.frombuffer(record.local_descriptors, np.uint8).reshape(-1, DESCRIPTOR_BYTES),
        lines=record.lines,
    )
