"""The file format of a catalog snapshot: which arrays it has, and how they lie in one file.

The file is in the safetensors format, so that other tools can look into it: 8 bytes of header length, a JSON header
that names arrays, and their bytes. Read with ``open_container``, written by ``write.py``.
"""

import hashlib
import math
import mmap
from collections.abc import Mapping, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from recognition.errors import SnapshotError

#: Bytes of one packed local descriptor.
DESCRIPTOR_BYTES = 32
#: Cells of a photo's mean colours on either side, whatever its shape.
CELLS = 12

KIND = "livecart catalog snapshot"
SCHEMA = 1
METADATA_KEY = "__metadata__"
DIGEST_BYTES = 32
#: Types by their names in the header; all little-endian.
DTYPES: dict[str, np.dtype[np.generic]] = {
    **{f"F{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    **{f"I{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"U{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    "BOOL": np.dtype(np.bool_),
}
#: The arrays that every snapshot has: type and shape. P products, R rooms, N photos, V views of D dimensions, L local
#: features; a length in words belongs to that array alone. What else a file holds is passed on as it is.
LAYOUT: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "products_json": ("U8", ("bytes of products",)),
    "product_offsets": ("I64", ("P+1",)),
    "stock_state": ("U8", ("P",)),
    "thresholds": ("F32", ("P",)),
    "everywhere_mask": ("U8", ("P",)),
    "room_offsets": ("I64", ("R+1",)),
    "room_products": ("I32", ("places in rooms",)),
    "photo_product": ("I32", ("N",)),
    "photo_digest": ("U8", ("N", DIGEST_BYTES)),
    "photo_cells": ("U8", ("N", CELLS, CELLS, 3)),
    "view_photo": ("I32", ("V",)),
    "view_vectors": ("F16", ("V", "D")),
    "local_offsets": ("I64", ("N+1",)),
    "local_xy": ("F16", ("L", 2)),
    "local_descriptors": ("U8", ("L", DESCRIPTOR_BYTES)),
    "line_offsets": ("I64", ("N+1",)),
    "lines_json": ("U8", ("bytes of lines",)),
}
_HEADER_BYTES_AT_MOST = 64 << 20
_HASHED_AT_ONCE = 1 << 20
_NUMBERS_AT_ONCE = 1 << 20


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header's own entry. Safetensors allows only strings in it: ``rooms`` is a JSON array of names."""

    kind: str
    schema: str
    id: str
    fingerprint: str
    created_at_s: str
    sha256: str
    rooms: str


class TensorEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One array. ``data_offsets``: its first byte and the one behind its last, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def snapshot_id(fingerprint: str, rooms: Sequence[str], table: Mapping[str, TensorEntry], sha256: str) -> str:
    """12 hex digits over everything but the time: the same for the same catalog and the same weights."""
    named = sorted((name, entry.dtype, entry.shape) for name, entry in table.items())
    return hashlib.sha256(msgspec.json.encode((SCHEMA, fingerprint, rooms, named, sha256))).hexdigest()[:12]


def open_container(path: Path, *, fingerprint: str | None) -> tuple[Metadata, dict[str, NDArray[np.generic]]]:
    """Header and arrays of a file whose checksum is right; the arrays are read-only and lie in the mapped file.

    Raises:
        SnapshotError: unreadable, no snapshot, cut short, damaged, of another schema, or not of ``fingerprint`` where
            that is given.
    """
    try:
        with path.open("rb") as file:
            metadata, table, start = _header(file)
            _check_model(metadata, fingerprint)
            _check_hash(file, start, metadata, table)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        arrays: dict[str, NDArray[np.generic]] = {
            name: np.ndarray(entry.shape, DTYPES[entry.dtype], buffer=mapped, offset=start + entry.data_offsets[0])
            for name, entry in table.items()
        }
        _check_numbers(arrays)
        mapped.madvise(mmap.MADV_DONTNEED)  # the pages that were looked at are not this process's to keep
    except OSError as error:
        raise SnapshotError(f"{path}: cannot read the snapshot: {error.strerror or error}") from error
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from error
    except (ValueError, OverflowError) as error:
        raise SnapshotError(f"{path}: there is no array of such a shape: {error}") from error
    return metadata, arrays


def check_arrays(arrays: Mapping[str, NDArray[Any]], rooms: Sequence[str]) -> None:
    """Hold arrays against ``LAYOUT``, and what they say of each other against their sizes.

    Raises:
        SnapshotError: naming the array that is missing, of another type or shape, or points outside of another.
    """
    _check_layout(arrays, rooms)
    _check_places(arrays)


def _header(file: BufferedReader) -> tuple[Metadata, dict[str, TensorEntry], int]:
    """Metadata, table of arrays, and where their bytes start. The file is exactly as long as these say."""
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= _HEADER_BYTES_AT_MOST:
        raise SnapshotError("no snapshot: it does not begin with a header" if size else "the file is empty")
    start = 8 + length
    if size < start:
        raise SnapshotError(f"cut short: {size} bytes, its header alone has {start}")
    try:
        entries = msgspec.json.decode(file.read(length), type=dict[str, msgspec.Raw])
        raw = msgspec.json.decode(entries.pop(METADATA_KEY, msgspec.Raw(b"{}")), type=dict[str, str])
        table = {name: msgspec.json.decode(entry, type=TensorEntry) for name, entry in entries.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotError(f"no snapshot: its header cannot be read: {error}") from error
    if raw.get("kind") != KIND:
        raise SnapshotError("a file of arrays, but no catalog snapshot")
    if raw.get("schema") != str(SCHEMA):
        raise SnapshotError(f"schema {raw.get('schema')}, this version reads schema {SCHEMA}")
    try:
        metadata = msgspec.convert(raw, Metadata)
    except msgspec.ValidationError as error:
        raise SnapshotError(f"the header is damaged: {error}") from error
    end = start + _bytes_of(table)
    if size != end:
        raise SnapshotError(f"{'cut short' if size < end else 'too long'}: {size} bytes, {end} expected")
    return metadata, table, start


def _bytes_of(table: Mapping[str, TensorEntry]) -> int:
    """Bytes of all arrays, which lie one behind the other without gaps, each as long as its shape says."""
    at = 0
    for name, entry in sorted(table.items(), key=lambda item: item[1].data_offsets):
        if entry.dtype not in DTYPES or any(side < 0 for side in entry.shape):
            raise SnapshotError(f"array {name}: {entry.dtype} {list(entry.shape)} is not known")
        end = at + math.prod(entry.shape) * DTYPES[entry.dtype].itemsize
        if entry.data_offsets != (at, end):
            raise SnapshotError(f"array {name}: its place {list(entry.data_offsets)} does not follow from its shape")
        at = end
    return at


def _check_model(metadata: Metadata, fingerprint: str | None) -> None:
    if fingerprint is not None and metadata.fingerprint != fingerprint:
        raise SnapshotError(f"made with another model ({metadata.fingerprint}), this one is {fingerprint}")


def _check_hash(file: BufferedReader, start: int, metadata: Metadata, table: Mapping[str, TensorEntry]) -> None:
    """Read, not mapped: pages touched through the mapping would count as this process's memory."""
    file.seek(start)
    found = hashlib.sha256()
    buffer = memoryview(bytearray(_HASHED_AT_ONCE))
    while count := file.readinto(buffer):
        found.update(buffer[:count])
    if found.hexdigest() != metadata.sha256:
        raise SnapshotError("damaged: its checksum is not the one that it was written with")
    try:
        rooms = msgspec.json.decode(metadata.rooms, type=list[str])
        float(metadata.created_at_s)
    except ValueError as error:
        raise SnapshotError(f"the header is damaged: {error}") from error
    if metadata.id != snapshot_id(metadata.fingerprint, rooms, table, metadata.sha256):
        raise SnapshotError("the header is damaged: its id is not that of its content")


def _check_numbers(arrays: Mapping[str, NDArray[Any]]) -> None:
    """No array holds NaN or infinity, but for thresholds, where NaN stands for none."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and name != "thresholds":
            values = array.reshape(-1)
            for first in range(0, len(values), _NUMBERS_AT_ONCE):
                if not np.isfinite(values[first : first + _NUMBERS_AT_ONCE]).all():
                    raise SnapshotError(f"array {name}: holds what is no number")


def _check_layout(arrays: Mapping[str, NDArray[np.generic]], rooms: Sequence[str]) -> None:
    """Every array of the layout is there, with its type, and all agree on P, R, N, V, D and L."""
    if missing := LAYOUT.keys() - arrays.keys():
        raise SnapshotError(f"no array {min(missing)}")
    sizes = {"R": len(rooms)}
    for name, (dtype, shape) in LAYOUT.items():
        array = arrays[name]
        if array.dtype != DTYPES[dtype] or array.ndim != len(shape):
            raise SnapshotError(f"array {name}: {array.dtype} {list(array.shape)}, expected {dtype} {list(shape)}")
        for side, expected in zip(array.shape, shape, strict=True):
            letter, _, more = str(expected).partition("+")
            wanted = expected if isinstance(expected, int) else sizes.setdefault(letter, side - int(more or 0))
            if side - int(more or 0) != wanted or side < int(more or 0):
                raise SnapshotError(f"array {name}: shape {list(array.shape)} does not fit {letter} = {wanted}")


def _check_places(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Offsets and indices lie inside the arrays that they point into."""
    for name, whole in (
        ("product_offsets", "products_json"),
        ("room_offsets", "room_products"),
        ("local_offsets", "local_xy"),
        ("line_offsets", "lines_json"),
    ):
        offsets = arrays[name]
        if offsets[0] != 0 or offsets[-1] != len(arrays[whole]) or (offsets[1:] < offsets[:-1]).any():
            raise SnapshotError(f"array {name}: does not divide {whole}")
    for name, of in (
        ("photo_product", "stock_state"),
        ("view_photo", "photo_product"),
        ("room_products", "stock_state"),
    ):
        places = arrays[name]
        if len(places) and not 0 <= places.min() <= places.max() < len(arrays[of]):
            raise SnapshotError(f"array {name}: holds places outside of {of}")
        if name != "room_products" and (places[1:] < places[:-1]).any():
            raise SnapshotError(f"array {name}: is not in order")
