"""Folder of published snapshots: each in a file that never changes, and one small file that says which is current.

catalog-00000007.snapshot   version 7; kept a while, for those who are reading it
catalog.snapshot            the current one, for archives on this machine that follow a path
offers.json                 price, currency and whether it is sold out, of each product; replaced without a snapshot
uncertain_products.json                 products that the current snapshot's photos and names do not tell for sure
current.json                which one is current; replaced in one step, after the file is whole
build-*/                    what is being made
catalog/                    the catalog folder that it is made from
publisher.lock              held by the process that publishes here
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from contract.offers import OFFERS_FILE, Offers, decode_offers
from contract.uncertain_products import UNCERTAIN_PRODUCTS_FILE, UncertainProducts, decode_uncertain_products
from livecart.core.files import sync_folder, write_file
from livecart.shop.errors import PublishError

CURRENT = "current.json"
FOLLOWED = "catalog.snapshot"
_KEPT_VERSIONS = 3


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

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def current(self) -> Published | None:
        try:
            return msgspec.json.decode((self.folder / CURRENT).read_bytes(), type=Published)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PublishError("snapshot_record_damaged", where=str(self.folder / CURRENT), cause=str(error)) from error

    def path(self, published: Published) -> Path:
        """The file; open it at once: it goes when a few newer ones are there."""
        return self.folder / published.file

    @property
    def offers(self) -> Path:
        """The file of price and stock, which may not be there yet."""
        return self.folder / OFFERS_FILE

    def offers_revision(self) -> int | None:
        """The revision of the offers; None: there are none that can be read."""
        try:
            return decode_offers(self.offers.read_bytes()).revision
        except (OSError, ValueError):
            return None

    def uncertain_products(self) -> UncertainProducts | None:
        """Of the current snapshot; None where its builder wrote none that can be read."""
        try:
            return decode_uncertain_products((self.folder / UNCERTAIN_PRODUCTS_FILE).read_bytes())
        except (OSError, ValueError):
            return None

    def publish_offers(self, offers: Offers) -> None:
        write_file(self.offers, msgspec.json.encode(offers))

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """True while this process may publish here, in the block."""
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
        """Make the file at `path` the current snapshot, with the uncertain products beside it if there are any.

        A reader finds the old snapshot, or this one, whole.
        """
        if not path.is_file() or path.stat().st_size == 0:
            raise PublishError("snapshot_missing")
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
        write_file(self.folder / CURRENT, msgspec.json.encode(published))
        self._follow(self.folder / published.file)
        self._take_uncertain_products(path.with_name(UNCERTAIN_PRODUCTS_FILE))
        sync_folder(self.folder)
        self._forget_old(version)
        return published

    def _take_uncertain_products(self, file: Path) -> None:
        if file.exists():
            file.replace(self.folder / UNCERTAIN_PRODUCTS_FILE)
        else:
            (self.folder / UNCERTAIN_PRODUCTS_FILE).unlink(missing_ok=True)

    def _follow(self, file: Path) -> None:
        temporary = self.folder / f"{FOLLOWED}.part"
        temporary.unlink(missing_ok=True)
        try:
            os.link(file, temporary)
        except OSError:
            shutil.copyfile(file, temporary)
        temporary.replace(self.folder / FOLLOWED)

    def _forget_old(self, version: int) -> None:
        for path in self.folder.glob("catalog-*.snapshot"):
            number = path.stem.removeprefix("catalog-")
            if number.isdecimal() and int(number) <= version - _KEPT_VERSIONS:
                path.unlink(missing_ok=True)

    def _clean(self) -> None:
        """Delete what a killed publisher left. Its build may still run: it writes into a folder that is gone."""
        for place in self.folder.glob("build-*"):
            shutil.rmtree(place, ignore_errors=True)


def _digest_to_disk(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest
