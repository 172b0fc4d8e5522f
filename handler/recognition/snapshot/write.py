"""Writes a catalog snapshot; ``read.open_snapshot`` reads it."""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from recognition.product import CatalogProduct
from recognition.snapshot.format import (
    DTYPES,
    KIND,
    LAYOUT,
    METADATA_KEY,
    SCHEMA,
    Metadata,
    TensorEntry,
    check_arrays,
    snapshot_id,
)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
#: The header is padded to a multiple of this, so that every array starts where its type wants it to.
_ALIGNMENT = 64
_ROWS_AT_ONCE = 65_536
#: float16 keeps 11 bits of each component: the norm of a vector comes out this exact.
_NORM_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class SnapshotContents:
    """Contents of a snapshot to write; the arrays are those of ``read.Snapshot``.

    ``lines`` holds the text of each photo, line by line with confidences. ``extra`` arrays are stored under their
    names (lower-case words, none of the layout's).
    """

    fingerprint: str
    products: tuple[CatalogProduct, ...]
    photo_product: NDArray[np.int32]
    photo_digest: NDArray[np.uint8]
    photo_cells: NDArray[np.uint8]
    view_photo: NDArray[np.int32]
    view_vectors: NDArray[np.float16]
    local_offsets: NDArray[np.int64]
    local_xy: NDArray[np.float16]
    local_descriptors: NDArray[np.uint8]
    lines: Sequence[tuple[tuple[str, float], ...]]
    extra: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def write_snapshot(path: Path, contents: SnapshotContents, *, created_at_s: float | None = None) -> str:
    """Write a snapshot whole or not at all, and return its id.

    The file appears under its name by a rename, so that nobody ever sees half of it. ``created_at_s`` is seconds since
    1970, by default now.

    Raises:
        SnapshotError: arrays that do not fit each other.
        ValueError: vectors that are not normalised, or extra arrays with a name or type that cannot be stored.
        OSError: no room, or no right to write.
    """
    rooms = _rooms(contents.products)
    arrays = _arrays(contents, rooms)
    table = _table(arrays)
    sha256 = hashlib.sha256()
    for name in table:
        sha256.update(_bytes(arrays[name]))
    names = list(rooms)
    metadata = Metadata(
        kind=KIND,
        schema=str(SCHEMA),
        id=snapshot_id(contents.fingerprint, names, table, sha256.hexdigest()),
        fingerprint=contents.fingerprint,
        created_at_s=f"{time.time() if created_at_s is None else created_at_s:.3f}",
        sha256=sha256.hexdigest(),
        rooms=msgspec.json.encode(names).decode(),
    )
    header = msgspec.json.encode({METADATA_KEY: metadata, **table})
    header += b" " * (-(len(header) + 8) % _ALIGNMENT)
    _replace(path, [len(header).to_bytes(8, "little"), header, *(_bytes(arrays[name]) for name in table)])
    return metadata.id


def _arrays(contents: SnapshotContents, rooms: Mapping[str, Sequence[int]]) -> dict[str, NDArray[Any]]:
    products = contents.products
    _check_norms(contents.view_vectors)
    for name in contents.extra:
        if not _NAME.fullmatch(name) or name in LAYOUT:
            raise ValueError(f"extra array {name!r}: the name is taken or not made of a-z, 0-9 and _")
    # Each product ends in a newline, so that a reader can decode many in one go.
    product_json = [
        msgspec.json.encode(msgspec.structs.replace(product, photos=(), negatives=())) + b"\n" for product in products
    ]
    line_json = [msgspec.json.encode(lines) for lines in contents.lines]
    thresholds = [np.nan if product.threshold is None else product.threshold for product in products]
    arrays: dict[str, NDArray[Any]] = {
        "products_json": _joined(product_json),
        "product_offsets": _offsets(map(len, product_json)),
        "stock_state": np.array([product.stock != 0 for product in products]),
        "thresholds": np.array(thresholds),
        "everywhere_mask": np.array([product.rooms is None for product in products]),
        "room_offsets": _offsets(map(len, rooms.values())),
        "room_products": np.array([index for indices in rooms.values() for index in indices]),
        "photo_product": contents.photo_product,
        "photo_digest": contents.photo_digest,
        "photo_cells": contents.photo_cells,
        "view_photo": contents.view_photo,
        "view_vectors": contents.view_vectors,
        "local_offsets": contents.local_offsets,
        "local_xy": contents.local_xy,
        "local_descriptors": contents.local_descriptors,
        "line_offsets": _offsets(map(len, line_json)),
        "lines_json": _joined(line_json),
    }
    typed = {name: array.astype(DTYPES[LAYOUT[name][0]], copy=False) for name, array in arrays.items()}
    check_arrays(typed, tuple(rooms))
    return {name: np.asarray(array, order="C") for name, array in {**typed, **contents.extra}.items()}


def _rooms(products: Sequence[CatalogProduct]) -> dict[str, list[int]]:
    """Names of rooms, sorted, to the products that belong to each."""
    rooms: dict[str, list[int]] = {}
    for index, product in enumerate(products):
        for room in dict.fromkeys(product.rooms or ()):
            rooms.setdefault(room, []).append(index)
    return dict(sorted(rooms.items()))


def _table(arrays: Mapping[str, NDArray[Any]]) -> dict[str, TensorEntry]:
    """Offsets of the arrays: wide types first, so that all are aligned."""
    table = {}
    at = 0
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0])):
        dtype = _DTYPE_NAMES.get(array.dtype)
        if dtype is None:
            raise ValueError(f"array {name!r}: type {array.dtype} cannot be stored")
        table[name] = TensorEntry(dtype, array.shape, (at, at + array.nbytes))
        at += array.nbytes
    return table


def _check_norms(vectors: NDArray[np.float16]) -> None:
    for first in range(0, len(vectors), _ROWS_AT_ONCE):
        norms = np.linalg.norm(vectors[first : first + _ROWS_AT_ONCE].astype(np.float32), axis=1)
        # Written so that NaN fails too.
        if not (np.abs(norms - 1.0) <= _NORM_TOLERANCE).all():
            raise ValueError("view_vectors: not every vector has norm 1")


def _joined(parts: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(parts), dtype=np.uint8)


def _offsets(lengths: Iterable[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _bytes(array: NDArray[Any]) -> memoryview:
    """The array's own memory, not a copy of it."""
    return array.reshape(-1).view(np.uint8).data


def _replace(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    # Not tempfile: its files are for their owner alone, a snapshot is for whoever serves it.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            for data in parts:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
