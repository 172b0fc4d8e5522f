"""The catalog of a shop: ``catalog.json`` and the photos beside it, read and checked whole.

A mistake in one product stops the reading with a message that says where it stands. Whether a photo can be decoded is
not looked at here: that costs more, and one broken file is no reason to go without a catalog.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from msgspec import UnsetType

from contract.catalog import CATALOG_FILE, CatalogEntry, CatalogMistake, read_catalog
from recognition.classify.product_links import link_fault
from recognition.errors import ConfigurationError
from recognition.product import CatalogProduct

T = TypeVar("T")


@dataclass(frozen=True)
class Catalog:
    """The products in the order of their file, each sku once."""

    products: tuple[CatalogProduct, ...]


def load_catalog_folder(folder: Path, *, allowed_hosts: Sequence[str]) -> Catalog:
    """Read ``catalog.json`` of ``folder``; ``allowed_hosts`` as in ``links.load_links``.

    Raises:
        ConfigurationError: naming file, line, sku and key: not JSON of this schema, an unknown key, a sku that stands
            twice, a link that must not be shown, or a photo that is missing or outside the folder.
    """
    path = folder / CATALOG_FILE
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot read the catalog: {error}") from error
    photos = _Photos(folder)

    def check(entry: CatalogEntry) -> None:
        if reason := link_fault(entry.url, allowed_hosts=allowed_hosts):
            raise CatalogMistake("url", reason)
        for key, names in (("photos", entry.photos), ("negatives", entry.negatives)):
            for name in names or ():
                if reason := photos.fault(name):
                    raise CatalogMistake(key, f"{name!r} {reason}")

    try:
        return Catalog(tuple(_product(entry) for entry in read_catalog(text, check)))
    except CatalogMistake as mistake:
        raise ConfigurationError(f"{path}: {mistake}") from mistake


def _product(entry: CatalogEntry) -> CatalogProduct:
    """The product with the defaults of the keys that are not there."""
    return CatalogProduct(
        sku=entry.sku,
        name=entry.name,
        url=entry.url,
        brand=_given(entry.brand),
        words=entry.words or (),
        labels=entry.labels or (),
        price=entry.price_text,
        currency=_given(entry.currency),
        stock=_given(entry.stock),
        photos=entry.photos or (),
        rooms=_given(entry.rooms),
        threshold=_given(entry.threshold),
        negatives=entry.negatives or (),
    )


def _given(value: T | UnsetType) -> T | None:
    return None if isinstance(value, UnsetType) else value


class _Photos:
    """Says whether a photo's path may be used. Each folder on the way is looked at once, not once a photo."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = Path(os.path.realpath(folder))
        self._sound: dict[str, bool] = {}

    def fault(self, name: str) -> str | None:
        """The reason why ``name`` is no photo of this folder, or None."""
        path = PurePosixPath(name)
        if path.is_absolute() or "\\" in name or "\0" in name or ".." in path.parts:
            return "is not a plain path inside the folder"
        parent = str(path.parent)
        if parent not in self._sound:
            self._sound[parent] = self._inside(self._folder / parent)
        try:
            mode = os.lstat(self._folder / name).st_mode
            if stat.S_ISLNK(mode):
                self._sound[name] = self._inside(self._folder / name)
                mode = (self._folder / name).stat().st_mode
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        if not self._sound[parent] or not self._sound.get(name, True):
            return "leads out of the folder"
        return None if stat.S_ISREG(mode) else "is not a file"

    def _inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._root)
