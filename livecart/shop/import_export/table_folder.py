"""A table whose column of pictures names files beside it, in its folder or in the same zip."""

import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from livecart.shop.database.store import Store
from livecart.shop.errors import FeedError, InvalidValue, NotFound
from livecart.shop.import_export.folder import photo_bytes
from livecart.shop.import_export.rows import IMAGE_ENDINGS
from livecart.shop.import_export.spreadsheet import MOST_BYTES, TABLE_ENDINGS, open_table
from livecart.shop.import_export.table_import import TableResult, import_table
from livecart.shop.repositories import photos
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.photo_check import check_photo

ZIP = ".zip"
_MOST_ENTRIES = 20_000
_MOST_ZIP_BYTES = 2 * 1024**3
_MIB = 1024 * 1024
#: Of the general purpose flags (APPNOTE.TXT 4.4.4): encrypted; the name is UTF-8.
_ENCRYPTED, _IS_UTF8 = 0x1, 0x800
#: What zipfile raises on bytes that are none of its own.
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError, OSError)


@dataclass
class TablePhotos:
    """Photos that came in, and (sku, name, why) of those that did not; their products came all the same."""

    count: int = 0
    bad: list[tuple[str, str, str]] = field(default_factory=list)


def import_table_file(
    store: Store, blobs: BlobFolder, path: Path, *, who: str, dry_run: bool = False
) -> tuple[TableResult, TablePhotos]:
    """Create and change what a table, or the one in a zip, says; files that it names become photos.

    Run it again after a failure: what came in already is found unchanged. A dry run looks at no photo.

    Raises:
        FeedError: the zip or the table cannot be read, or is over a limit.
    """
    with _at_hand(path) as file:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise FeedError("unreadable", where=str(path), cause=str(error.strerror)) from error
        table = open_table(data, file.name)
        result = import_table(store, table.products(), who=who, dry_run=dry_run)
        done = TablePhotos()
        for sku, names in ({} if dry_run else table.image_files).items():
            for name in names:
                try:
                    photo = check_photo(photo_bytes(file.parent, name)).data
                    store.edit(who, partial(photos.add, blobs=blobs, sku=sku, data=photo, name=name))
                except (InvalidValue, NotFound) as error:
                    done.bad.append((sku, name, error.text()))
                else:
                    done.count += 1
    return result, done


@contextmanager
def _at_hand(path: Path) -> Iterator[Path]:
    """The table: itself, or out of a zip with the pictures around it, for as long as the block lasts."""
    if path.suffix.casefold() != ZIP:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="livecart-zip-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                table = _unpack(archive, Path(folder), str(path))
        except _DAMAGED as error:
            raise FeedError("zip_damaged", where=str(path), cause=str(error)[:200]) from error
        yield table


def _unpack(archive: zipfile.ZipFile, folder: Path, where: str) -> Path:
    """Write tables and pictures into `folder`, each as a plain file; what else is in the zip is not looked at."""
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise FeedError("zip_too_many_entries", where=where, most=_MOST_ENTRIES)
    left, tables = _MOST_ZIP_BYTES, []
    for entry in entries:
        name = PurePosixPath(_name_of(entry))
        suffix = name.suffix.casefold()
        is_hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
        if name.is_absolute() or ".." in name.parts or "\\" in str(name) or "\0" in str(name):
            raise FeedError("zip_path", where=where, name=str(name)[:80])
        if entry.is_dir() or is_hidden or suffix not in TABLE_ENDINGS | IMAGE_ENDINGS:
            continue
        if entry.flag_bits & _ENCRYPTED:
            raise FeedError("zip_encrypted", where=where)
        if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise NotImplementedError("packed in another way than deflate")
        # By what comes out: what the zip says of its sizes is anybody's.
        with archive.open(entry) as packed:
            data = packed.read(min(MOST_BYTES, left) + 1)
        left -= len(data)
        if len(data) > MOST_BYTES or left < 0:
            raise FeedError("zip_too_large", where=where, name=str(name)[:80], most_mib=_MOST_ZIP_BYTES // _MIB)
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        if suffix in TABLE_ENDINGS:
            tables.append(file)
    if len(tables) != 1:
        raise FeedError("zip_tables", where=where, count=len(tables))
    return tables[0]


def _name_of(entry: zipfile.ZipInfo) -> str:
    """Its name, also where a Chinese Windows wrote it in GBK and did not say so."""
    if entry.flag_bits & _IS_UTF8:
        return entry.filename
    try:
        raw = entry.filename.encode("cp437")
    except UnicodeEncodeError:
        return entry.filename
    for encoding in ("utf-8", "gbk"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return entry.filename
