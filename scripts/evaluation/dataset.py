"""Folders of labelled photos, and how they become a catalog, queries and photos of products left out."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

LABELS_FILE = "labels.tsv"
_STUDIO_PHOTO = "iconic.jpg"
_LINK = "https://shop.example.com/item/"
T = TypeVar("T")


class EvaluationError(Exception):
    """An input that cannot be evaluated. The message names the file and, where there is one, the line."""


@dataclass(frozen=True)
class LabelledProduct:
    """A product and all photos of it, in the order of the file. ``photos`` are relative to the dataset's folder."""

    sku: str
    name: str
    photos: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Rows of a folder's ``labels.tsv``."""

    folder: Path
    products: tuple[LabelledProduct, ...]

    @property
    def gallery(self) -> str | None:
        """The name of the studio photo that every product has; None: some have none."""
        every = all(any(photo.endswith(_STUDIO_PHOTO) for photo in product.photos) for product in self.products)
        return _STUDIO_PHOTO if every else None


@dataclass(frozen=True)
class Query:
    """A photo to recognise, and the product that it shows. ``key`` names the photo alike on every machine."""

    path: Path
    key: str
    sku: str


@dataclass(frozen=True)
class Split:
    """One seed's division of a dataset. The photos of ``catalog`` are no queries."""

    folder: Path
    catalog: tuple[LabelledProduct, ...]
    queries: tuple[Query, ...]
    left_out: tuple[Query, ...]


def sku_of(name: str) -> str:
    """A product's identity from its name alone: the same in every split and on every machine, ASCII for links."""
    return hashlib.sha256(name.encode()).hexdigest()[:10]


def load_dataset(folder: Path) -> Dataset:
    """Read ``folder/labels.tsv``: lines of ``path<TAB>product name``; empty lines are passed over.

    Raises:
        EvaluationError: no such folder or file, or a line that is wrong, named with its number.
    """
    file = folder / LABELS_FILE
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: no such folder")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{file}: {error}") from error
    photos: dict[str, list[str]] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            path, name = _entry(folder, line, where=f"{file}, line {number}")
            if path in seen:
                raise EvaluationError(f"{file}, line {number}: {path!r} is in line {seen[path]} already")
            seen[path] = number
            photos.setdefault(name, []).append(path)
    if not photos:
        raise EvaluationError(f"{file}: no photos in it")
    return Dataset(folder, tuple(LabelledProduct(sku_of(name), name, tuple(paths)) for name, paths in photos.items()))


def split(
    dataset: Dataset,
    *,
    shots: int,
    seed: int,
    gallery: str | None = None,
    leave_out: float = 0.0,
    limit: int | None = None,
) -> Split:
    """Choose ``shots`` photos of each product for the catalog; the others are queries.

    Every choice goes by a hash of the seed and the photo's path, so that it depends on no library's random numbers,
    and the catalog of fewer shots is part of the catalog of more. With ``gallery`` the photos of that file name are
    the catalog's (with ``shots`` 0 they are in neither), and a product that has none stays with its name alone. A
    product without a query left stays in the catalog. ``leave_out`` is the share of products that the catalog does
    not hold, ``limit`` the most queries, and the most photos of products left out.

    Raises:
        EvaluationError: no photo has the name ``gallery``, or everything would be left out.
    """
    names = {PurePosixPath(photo).name for product in dataset.products for photo in product.photos}
    if gallery is not None and gallery not in names:
        raise EvaluationError(f"{dataset.folder / LABELS_FILE}: no photo is named {gallery!r}")
    count = round(leave_out * len(dataset.products))
    if count >= len(dataset.products):
        raise EvaluationError(f"leaving out {count} of {len(dataset.products)} products leaves no catalog")
    gone = {
        product.sku for product in _shuffled(dataset.products, seed, "leave out", lambda product: product.sku)[:count]
    }
    catalog: list[LabelledProduct] = []
    queries: list[Query] = []
    left_out: list[Query] = []
    for product in dataset.products:
        if product.sku in gone:
            left_out += _queries(dataset, product, product.photos)
            continue
        shown, asked = _divide(product, shots=shots, seed=seed, gallery=gallery)
        catalog.append(LabelledProduct(product.sku, product.name, shown))
        queries += _queries(dataset, product, asked)
    return Split(dataset.folder, tuple(catalog), _limited(queries, seed, limit), _limited(left_out, seed, limit))


def write_catalog(parts: Split, folder: Path) -> Path:
    """Write ``parts.catalog`` as a catalog folder: ``catalog.json`` and ``photos/``. Returns ``folder``."""
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    products: list[dict[str, Any]] = []
    for product in parts.catalog:
        photos = []
        for number, photo in enumerate(product.photos, start=1):
            copy = f"photos/{product.sku}-{number}{PurePosixPath(photo).suffix.lower()}"
            shutil.copyfile(parts.folder / photo, folder / copy)
            photos.append(copy)
        entry: dict[str, Any] = {"sku": product.sku, "name": product.name, "url": _LINK + product.sku}
        products.append(entry | ({"photos": photos} if photos else {}))
    document = {"schema": 1, "products": products}
    (folder / "catalog.json").write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return folder


def _entry(folder: Path, line: str, *, where: str) -> tuple[str, str]:
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) != 2 or not all(columns):
        raise EvaluationError(f"{where}: expected 'path<TAB>product name', found {line[:80]!r}")
    path, name = columns
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts:
        raise EvaluationError(f"{where}: {path!r} leads out of the folder")
    if not (folder / relative).is_file():
        raise EvaluationError(f"{where}: there is no file {os.fspath(folder / relative)!r}")
    return str(relative), name


def _divide(
    product: LabelledProduct, *, shots: int, seed: int, gallery: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Photos of the catalog, and queries."""
    if gallery is not None:
        shown = tuple(photo for photo in product.photos if PurePosixPath(photo).name == gallery)
        asked = tuple(photo for photo in product.photos if photo not in shown)
        return (shown if shots else ()), asked
    order = _shuffled(product.photos, seed, "catalog", str)
    chosen = set(order[:shots])
    return tuple(order[:shots]), tuple(photo for photo in product.photos if photo not in chosen)


def _queries(dataset: Dataset, product: LabelledProduct, photos: Iterable[str]) -> list[Query]:
    return [Query(dataset.folder / photo, photo, product.sku) for photo in photos]


def _limited(queries: Sequence[Query], seed: int, limit: int | None) -> tuple[Query, ...]:
    """At most ``limit`` of them, in the order of the file."""
    if limit is None or len(queries) <= limit:
        return tuple(queries)
    chosen = set(_shuffled(queries, seed, "limit", lambda query: query.key)[:limit])
    return tuple(query for query in queries if query in chosen)


def _shuffled(items: Sequence[T], seed: int, purpose: str, key: Callable[[T], str]) -> list[T]:
    """``items`` in an order that only the seed, the purpose and their keys decide."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed}\n{purpose}\n{key(item)}".encode()).digest())
