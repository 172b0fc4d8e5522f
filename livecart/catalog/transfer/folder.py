"""A catalog folder: catalog.json and photos/, as docs/catalog.md describes it. Out for the archive, in from a shop."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy.orm import Session

from livecart.catalog.database.store import Store
from livecart.catalog.links import check_link
from livecart.catalog.records import bulk, hosts, negatives, photos, products
from livecart.catalog.records.blobs import BlobFolder
from livecart.catalog.records.negatives import Negative
from livecart.catalog.records.photo_check import MOST_BYTES, SUFFIX
from livecart.catalog.records.product_rows import sellable
from livecart.catalog.transfer.fields import to_patch
from livecart.catalog.transfer.json_text import parse_object
from livecart.catalog.values import PhotoInfo, Product, ProductPatch
from livecart.errors import FeedError, InvalidValue, NotFound

CATALOG_FILE = "catalog.json"
PHOTOS = "photos"
_SCHEMA = 1
_KEYS = frozenset(
    {
        *("sku", "name", "url", "brand", "words", "labels", "price", "currency", "stock", "rooms", "threshold"),
        *("photos", "negatives"),
    }
)


@dataclass
class Exported:
    """What an export wrote; `photos` with negatives. `left_out` are skus whose link may not be shown."""

    products: int = 0
    photos: int = 0
    left_out: list[str] = field(default_factory=list)


@dataclass
class Imported:
    """What an import did; `photos` with negatives. `bad_photos` are (sku, path, reason); the product came without."""

    upserted: bulk.Upserted = field(default_factory=bulk.Upserted)
    photos: int = 0
    bad_photos: list[tuple[str, str, str]] = field(default_factory=list)


def export_folder(session: Session, blobs: BlobFolder, folder: Path) -> Exported:
    """Write the catalog as a folder that the archive's tools read; what is there from before is brought up to date.

    A product that is off sale is written as sold out: it stays known, so that its twin is not taken for it, and is not
    shown. Photos are hard links where the disk allows, named by their digest, so that a photo that is there stays.
    catalog.json is replaced in one step, after all photos that it names are there, before those it no longer names go.

    Args:
        session: of `Store.read(consistent=True)`.
        blobs: where the photos lie.
        folder: is made.

    Raises:
        OSError: the disk is full, or the folder may not be written.
        NotFound: a photo's file is missing.
    """
    (folder / PHOTOS).mkdir(parents=True, exist_ok=True)
    allowed = hosts.allowed(session)
    done = Exported()
    entries: list[dict[str, Any]] = []
    names: set[str] = set()
    taught = negatives.by_sku(session)
    for product in products.every(session):
        if check_link(product.url, allowed) is not None:
            done.left_out.append(product.sku)
            continue
        others = taught.get(product.sku, ())
        names |= {_place(photo, blobs, folder) for photo in product.photos}
        names |= {_place(photo, blobs, folder) for photo in others}
        entries.append(_to_entry(product, others))
    done.products, done.photos = len(entries), len(names)
    temporary = folder / f"{CATALOG_FILE}.part"
    temporary.write_text(json.dumps({"schema": _SCHEMA, "products": entries}, ensure_ascii=False), encoding="utf-8")
    temporary.replace(folder / CATALOG_FILE)
    for path in (folder / PHOTOS).iterdir():
        if path.name not in names:
            path.unlink()
    return done


def import_folder(store: Store, blobs: BlobFolder, folder: Path, *, who: str) -> Imported:
    """Create and change what a folder holds; what it does not name stays. Photos that are no photos are left out.

    Run it again after a failure: what came in already is found unchanged.

    Raises:
        FeedError: catalog.json cannot be read.
        InvalidValue: naming the product, for a value out of bounds.
        StoreUnavailable: the database does not answer.
    """
    entries = list(_read(folder / CATALOG_FILE))
    done = Imported(bulk.in_batches(partial(store.edit, who), (entry.patch for entry in entries)))
    for entry in entries:
        sku = entry.patch.sku
        wanted = [(name, _add_photo) for name in entry.photos]
        # The newest of them stands first.
        wanted += [(name, _add_negative) for name in reversed(entry.negatives)]
        for name, add in wanted:
            try:
                data = _photo_bytes(folder, name)
                store.edit(who, partial(add, blobs=blobs, sku=sku, data=data, name=name))
            except InvalidValue as error:
                done.bad_photos.append((sku, name, error.reason))
            else:
                done.photos += 1
    return done


def _add_photo(session: Session, *, blobs: BlobFolder, sku: str, data: bytes, name: str) -> None:
    photos.add(session, blobs, sku, data, name=name)


def _add_negative(session: Session, *, blobs: BlobFolder, sku: str, data: bytes, name: str) -> None:
    negatives.add(session, blobs, sku, data)


@dataclass(frozen=True)
class _Entry:
    """A product of catalog.json, and the paths of its photos."""

    patch: ProductPatch
    photos: list[str]
    negatives: list[str]


def _to_entry(product: Product, others: Sequence[Negative]) -> dict[str, Any]:
    entry: dict[str, Any] = {"sku": product.sku, "name": product.name, "url": product.url}
    optional = {
        "brand": product.brand,
        "words": list(product.words) or None,
        "labels": list(product.labels) or None,
        "price": None if product.price is None else str(product.price),
        "currency": product.currency,
        "stock": product.stock if sellable(product) else 0,
        "photos": [f"{PHOTOS}/{_name(photo)}" for photo in product.photos] or None,
        "negatives": [f"{PHOTOS}/{_name(photo)}" for photo in others] or None,
        "rooms": None if product.rooms is None else list(product.rooms),
        "threshold": product.threshold,
    }
    return entry | {name: value for name, value in optional.items() if value is not None}


def _name(photo: PhotoInfo | Negative) -> str:
    return f"{photo.digest}.{SUFFIX[photo.kind]}"


def _place(photo: PhotoInfo | Negative, blobs: BlobFolder, folder: Path) -> str:
    name = _name(photo)
    target = folder / PHOTOS / name
    if not target.exists():
        source = blobs.path(photo.digest, SUFFIX[photo.kind])
        temporary = target.with_suffix(".part")
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except FileNotFoundError as error:
            raise NotFound(f"photo {name} is in the database, but not in {blobs.folder}") from error
        except OSError:
            # Another disk, or one without hard links.
            temporary.write_bytes(blobs.read(photo.digest, SUFFIX[photo.kind]))
        temporary.replace(target)
    return name


def _read(path: Path) -> Iterator[_Entry]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FeedError(f"{path}: cannot be read: {error}") from error
    document = parse_object(text, str(path))
    if document.get("schema") != _SCHEMA or not isinstance(document.get("products"), list):
        raise FeedError(f"{path}: expected schema {_SCHEMA} and a list of products")
    for number, entry in enumerate(document["products"], 1):
        where = f"{path}: product {number}"
        if not isinstance(entry, dict):
            raise FeedError(f"{where}: is no object")
        unknown = sorted(set(entry) - _KEYS)
        if unknown:
            raise FeedError(f"{where}: {', '.join(unknown)} is not known; known are {', '.join(sorted(_KEYS))}")
        photo_names, negative_names = (_paths(entry, key, where) for key in ("photos", "negatives"))
        fields = {name: value for name, value in entry.items() if name not in {"photos", "negatives"}}
        yield _Entry(to_patch(fields, where), photo_names, negative_names)


def _paths(entry: dict[str, Any], key: str, where: str) -> list[str]:
    names = entry.get(key) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FeedError(f"{where}: {key} must be a list of paths")
    return names


def _photo_bytes(folder: Path, name: str) -> bytes:
    """A photo's bytes; nothing outside the folder, not by a link either.

    Raises:
        InvalidValue: it leads out, is not there, or is too large.
    """
    parts: Iterable[str] = PurePosixPath(name).parts
    if "\\" in name or "\0" in name or ".." in parts or PurePosixPath(name).is_absolute():
        raise InvalidValue("photo", "is not a plain path inside the folder")
    path = folder / name
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise InvalidValue("photo", "leads out of the folder")
        if not path.is_file():
            raise InvalidValue("photo", "is not a file")
        if path.stat().st_size > MOST_BYTES:
            raise InvalidValue("photo", f"has more than {MOST_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InvalidValue("photo", f"cannot be read: {error.strerror}") from error
