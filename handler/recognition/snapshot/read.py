"""A catalog snapshot: everything that frames are matched against, opened from one file.

The file is mapped, not read: opening costs next to no memory, and the workers of a machine share its pages. Products
stay JSON until one is asked for, because as objects 100,000 of them would cost every worker more than their text does.
A snapshot's file is replaced whole and never changed in place: a mapped file that shrinks ends the process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from recognition.classify.product_links import link_fault
from recognition.errors import SnapshotError
from recognition.product import CatalogProduct
from recognition.snapshot.format import LAYOUT, check_arrays, open_container

_PRODUCTS_AT_ONCE = 10_000
_PRODUCT = msgspec.json.Decoder(CatalogProduct)
_LINES = msgspec.json.Decoder(tuple[tuple[str, float], ...])
_NOT_READABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Link(msgspec.Struct, frozen=True):
    sku: str
    url: str


_LINK = msgspec.json.Decoder(_Link)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An open snapshot: P products, N photos, V views of photos as vectors of D dimensions, L local features.

    Arrays are read-only and lie in the mapped file, which stays mapped as long as one of them is in use.
    ``photo_product`` int32 (N) and ``view_photo`` int32 (V) never decrease; ``photo_digest`` uint8 (N, 32) is SHA-256
    of the photo's file; ``photo_cells`` uint8 (N, 12, 12, 3) are its mean colours; ``view_vectors`` float16 (V, D) are
    L2-normalised; ``local_xy`` float16 (L, 2) and ``local_descriptors`` uint8 (L, 32) of photo n are rows
    ``local_offsets[n]`` to ``local_offsets[n + 1]``; ``stock_state`` uint8 (P) is 0 where the product is sold out;
    ``thresholds`` float32 (P) is NaN where the product has none of its own. ``extra`` holds the arrays that the writer
    added, by name.
    """

    path: Path
    id: str
    fingerprint: str
    created_at_s: float
    stock_state: NDArray[np.uint8]
    thresholds: NDArray[np.float32]
    everywhere_mask: NDArray[np.uint8]
    photo_product: NDArray[np.int32]
    photo_digest: NDArray[np.uint8]
    photo_cells: NDArray[np.uint8]
    view_photo: NDArray[np.int32]
    view_vectors: NDArray[np.float16]
    local_offsets: NDArray[np.int64]
    local_xy: NDArray[np.float16]
    local_descriptors: NDArray[np.uint8]
    extra: Mapping[str, NDArray[np.generic]]
    _products_json: NDArray[np.uint8] = field(repr=False)
    _product_offsets: NDArray[np.int64] = field(repr=False)
    _line_offsets: NDArray[np.int64] = field(repr=False)
    _lines_json: NDArray[np.uint8] = field(repr=False)
    _rooms: Mapping[str, NDArray[np.int32]] = field(repr=False)

    @property
    def products(self) -> int:
        """P."""
        return len(self.stock_state)

    @property
    def photos(self) -> int:
        """N."""
        return len(self.photo_product)

    @property
    def dimensions(self) -> int:
        """D."""
        return int(self.view_vectors.shape[1])

    @property
    def rooms(self) -> tuple[str, ...]:
        """Names of the rooms that have products of their own."""
        return tuple(self._rooms)

    def product(self, index: int) -> CatalogProduct:
        """Product ``index`` of 0..P-1, without the paths of its photos.

        Raises:
            SnapshotError: it is none; ``open_catalog`` has read all.
        """
        try:
            return _PRODUCT.decode(_part(self._products_json, self._product_offsets, index).data)
        except _NOT_READABLE as error:
            raise SnapshotError(f"{self.path}: product {index} cannot be read: {error}") from error

    def lines(self, photo: int) -> tuple[tuple[str, float], ...]:
        """The text read on photo 0..N-1, line by line with confidences.

        Raises:
            SnapshotError: it cannot be read.
        """
        try:
            return _LINES.decode(_part(self._lines_json, self._line_offsets, photo).data)
        except _NOT_READABLE as error:
            raise SnapshotError(f"{self.path}: the text of photo {photo} cannot be read: {error}") from error

    def room_mask(self, room: str | None) -> NDArray[np.bool_]:
        """(P) which products may be shown: all without a room, in an unknown one only those that are for all rooms."""
        if room is None:
            return np.ones(self.products, dtype=np.bool_)
        mask = self.everywhere_mask.astype(np.bool_)
        if room in self._rooms:
            mask[self._rooms[room]] = True
        return mask


def open_snapshot(path: Path, *, fingerprint: str | None, allowed_hosts: Sequence[str] | None = None) -> Snapshot:
    """Check a snapshot from end to end and map it.

    ``fingerprint`` is the photo embedder's, None for any. With ``allowed_hosts`` every link is checked against them,
    because who writes a snapshot decides where viewers are led.

    Raises:
        SnapshotError: naming file and reason: it cannot be read, is no snapshot, cut short, damaged, of another schema
            or another model, or holds arrays, products or links that cannot be right.
    """
    metadata, arrays = open_container(path, fingerprint=fingerprint)
    rooms = msgspec.json.decode(metadata.rooms, type=list[str])
    try:
        check_arrays(arrays, rooms)
        snapshot = Snapshot(
            path=path,
            id=metadata.id,
            fingerprint=metadata.fingerprint,
            created_at_s=float(metadata.created_at_s),
            **_fields(arrays, rooms),
        )
        _check_links(snapshot, allowed_hosts)
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from error
    return snapshot


def _fields(arrays: Mapping[str, NDArray[np.generic]], rooms: Sequence[str]) -> dict[str, Any]:
    """The arrays as ``Snapshot`` names them."""
    fields: dict[str, Any] = {name: array for name, array in arrays.items() if name in LAYOUT}
    offsets, products = fields.pop("room_offsets"), fields.pop("room_products")
    for name in ("products_json", "product_offsets", "line_offsets", "lines_json"):
        fields[f"_{name}"] = fields.pop(name)
    fields["_rooms"] = {name: _part(products, offsets, index) for index, name in enumerate(rooms)}
    fields["extra"] = {name: array for name, array in arrays.items() if name not in LAYOUT}
    return fields


def _part(array: NDArray[Any], offsets: NDArray[Any], index: int) -> NDArray[Any]:
    """Part ``index``; a negative one would be a slip that silently reads another."""
    if index < 0:
        raise IndexError(f"index {index} is below 0")
    part: NDArray[Any] = array[offsets[index] : offsets[index + 1]]
    return part


def _check_links(snapshot: Snapshot, allowed_hosts: Sequence[str] | None) -> None:
    """Every product can be read, and its link shown. Some at a time, so that they are never all objects at once."""
    text, offsets = snapshot._products_json, snapshot._product_offsets
    for first in range(0, snapshot.products, _PRODUCTS_AT_ONCE):
        last = min(first + _PRODUCTS_AT_ONCE, snapshot.products)
        try:
            links = _LINK.decode_lines(text[offsets[first] : offsets[last]].data)
        except _NOT_READABLE as error:
            raise SnapshotError(f"a product of {first} to {last - 1} cannot be read: {error}") from error
        if len(links) != last - first:
            raise SnapshotError(f"{len(links)} products where {last - first} are expected, from {first}")
        for link in links if allowed_hosts is not None else ():
            if reason := link_fault(link.url, allowed_hosts=allowed_hosts or ()):
                raise SnapshotError(f"sku {link.sku!r}: {reason}")
