"""A catalog folder: catalog.json and photos/, as docs/catalog.md describes it. Out for the archive, in from a shop."""

import json
import os
import re
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import UNSET
from sqlalchemy.orm import Session

from contract.catalog import CATALOG_FILE, SCHEMA, CatalogEntry, CatalogMistake, read_catalog
from contract.links import check_link
from livecart.core.files import write_file
from livecart.shop.database.store import Store
from livecart.shop.errors import FeedError, InvalidValue, NotFound
from livecart.shop.import_export.columns import to_patch
from livecart.shop.repositories import bulk, hosts, negatives, photos, products
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.negatives import Negative
from livecart.shop.repositories.photo_check import MOST_BYTES, SUFFIX, check_photo
from livecart.shop.repositories.product_rows import sellable
from livecart.shop.schemas.product import PhotoInfo, PhotoKind, Product, ProductPatch, to_json

PHOTOS = "photos"
_PHOTO_KEYS = frozenset({"photos", "negatives"})
#: As `place_blob` names them, unfinished ones too.
_BLOB = re.compile(r"[0-9a-f]{64}\.[a-z]+")


@dataclass
class Exported:
    """Counts of an export; `photos` with negatives.

    `left_out` are skus whose link may not be shown, `lost_photos` the file names of photos that are not on the disk.
    """

    products: int = 0
    photos: int = 0
    left_out: list[str] = field(default_factory=list)
    lost_photos: list[str] = field(default_factory=list)


@dataclass
class Imported:
    """Counts of an import; `photos` with negatives. `bad_photos` are (sku, path, reason); the product came without."""

    upserted: bulk.Upserted = field(default_factory=bulk.Upserted)
    photos: int = 0
    bad_photos: list[tuple[str, str, str]] = field(default_factory=list)


def export_folder(session: Session, blobs: BlobFolder, folder: Path) -> Exported:
    """Write the catalog as a folder that the archive's tools read; what is there from before is brought up to date.

    A product that is off sale is written as sold out: it stays known, so that its twin is not taken for it, and is not
    shown. Photos are hard links where the disk allows, named by their digest, so that a photo that is there stays.
    catalog.json is replaced in one step, after all photos that it names are there, before those it no longer names go.
    A photo whose file is lost is left out.
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
        kept: list[PhotoInfo | Negative] = []
        named: list[PhotoInfo | Negative] = [*product.photos, *taught.get(product.sku, ())]
        for photo in named:
            try:
                names.add(place_blob(photo.digest, photo.kind, blobs, folder / PHOTOS))
                kept.append(photo)
            except (NotFound, FileNotFoundError):
                done.lost_photos.append(_name(photo))
        entries.append(_to_entry(product, kept))
    done.products, done.photos = len(entries), len(names)
    write_file(folder / CATALOG_FILE, json.dumps({"schema": SCHEMA, "products": entries}, ensure_ascii=False).encode())
    remove_old_blobs(folder / PHOTOS, names)
    return done


def import_folder(store: Store, blobs: BlobFolder, folder: Path, *, who: str) -> Imported:
    """Create and change what a folder holds; what it does not name stays. Photos that are no photos are left out.

    Run it again after a failure: what came in already is found unchanged.

    Raises:
        FeedError: catalog.json cannot be read.
        InvalidValue: naming the product, for a value out of bounds.
        StoreUnavailable: the database does not answer.
    """
    entries = _read(folder / CATALOG_FILE)
    done = Imported(bulk.in_batches(partial(store.edit, who), (entry.patch for entry in entries)))
    for entry in entries:
        sku = entry.patch.sku
        wanted: list[tuple[str, Callable[..., Product]]] = []
        wanted += [(name, partial(photos.add, name=name)) for name in entry.photos]
        # The newest of them stands first.
        wanted += [(name, negatives.add) for name in reversed(entry.negatives)]
        for name, add in wanted:
            try:
                data = check_photo(photo_bytes(folder, name)).data
                store.edit(who, partial(_added, add, blobs, sku, data))
            except InvalidValue as error:
                done.bad_photos.append((sku, name, error.text()))
            else:
                done.photos += 1
    return done


def _added(add: Callable[..., Product], blobs: BlobFolder, sku: str, data: bytes, session: Session) -> Product:
    return add(session, blobs, sku, data)


@dataclass(frozen=True)
class _Entry:
    """A product of catalog.json, and the paths of its photos."""

    patch: ProductPatch
    photos: Sequence[str]
    negatives: Sequence[str]


def _to_entry(product: Product, kept: Sequence[PhotoInfo | Negative]) -> dict[str, Any]:
    values = to_json(product)
    entry: dict[str, Any] = {name: values[name] for name in CatalogEntry.__struct_fields__ if name in values} | {
        "stock": product.stock if sellable(product) else 0,
        "photos": [f"{PHOTOS}/{_name(photo)}" for photo in kept if isinstance(photo, PhotoInfo)],
        "negatives": [f"{PHOTOS}/{_name(photo)}" for photo in kept if isinstance(photo, Negative)],
    }
    if not product.on_sale:
        # Their stock is the product's.
        entry["variants"] = [variant | {"stock": 0} for variant in values["variants"]]
    # An empty list of rooms says something: in none of them.
    return {name: value for name, value in entry.items() if value or value == 0 or (name == "rooms" and value == ())}


def _name(photo: PhotoInfo | Negative) -> str:
    return f"{photo.digest}.{SUFFIX[photo.kind]}"


def place_blob(digest: str, kind: PhotoKind, blobs: BlobFolder, folder: Path) -> str:
    """Put a blob into a folder, as a hard link where the disk allows; its name there.

    Raises:
        NotFound, FileNotFoundError: its file is lost.
    """
    name = f"{digest}.{SUFFIX[kind]}"
    target = folder / name
    if not target.exists():
        source = blobs.path(digest, SUFFIX[kind])
        temporary = target.with_suffix(".part")
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except FileNotFoundError:
            raise
        except OSError:
            # Another disk, or one without hard links.
            temporary.write_bytes(blobs.read(digest, SUFFIX[kind]))
        temporary.replace(target)
    return name


def remove_old_blobs(folder: Path, names: Container[str]) -> None:
    """Remove what earlier exports placed here; what others put into the folder stays."""
    for path in folder.iterdir():
        if path.name not in names and _BLOB.fullmatch(path.name):
            path.unlink()


def _read(path: Path) -> list[_Entry]:
    try:
        entries = read_catalog(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise FeedError("unreadable", where=str(path), cause=str(error)) from error
    except CatalogMistake as mistake:
        raise FeedError("catalog_mistake", where=str(path), cause=str(mistake)) from mistake
    return [_Entry(_patch(entry, str(path)), entry.photos or (), entry.negatives or ()) for entry in entries]


def _patch(entry: CatalogEntry, where: str) -> ProductPatch:
    """The fields that the file names; the others of a product stay as they are."""
    fields = {name: getattr(entry, name) for name in CatalogEntry.__struct_fields__ if name not in _PHOTO_KEYS}
    given = {name: value for name, value in fields.items() if value is not UNSET}
    if "price" in given:
        given["price"] = entry.price_text
    return to_patch(given, f"{where}: sku {entry.sku!r}")


def photo_bytes(folder: Path, name: str) -> bytes:
    """A photo's bytes; nothing outside the folder, not by a link either."""
    parts: Iterable[str] = PurePosixPath(name).parts
    if "\\" in name or "\0" in name or ".." in parts or PurePosixPath(name).is_absolute():
        raise InvalidValue("photo", "photo_path_not_plain")
    path = folder / name
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise InvalidValue("photo", "photo_path_leads_out")
        if not path.is_file():
            raise InvalidValue("photo", "photo_not_a_file")
        if path.stat().st_size > MOST_BYTES:
            raise InvalidValue("photo", "photo_too_large", size_bytes=path.stat().st_size, most_bytes=MOST_BYTES)
        return path.read_bytes()
    except OSError as error:
        raise InvalidValue("photo", "photo_unreadable", cause=str(error.strerror)) from error
