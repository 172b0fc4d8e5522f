"""Photos: only real ones come in, their bytes lie under their digest, nothing leaves the folder."""

import hashlib
import io
import os
import stat
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from livecart.shop.errors import InvalidValue, NotFound
from livecart.shop.repositories import audit, hosts, photo_check, photos
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.photo_check import check_photo
from livecart.shop.service import open_catalog
from livecart.shop.settings import CatalogSettings
from tests.shop.catalog_stores import add, patch
from tests.shop.photo_files import jpeg_of, photo, photo_of_a_phone, png_of, webp_of


@pytest.fixture
def blobs(tmp_path):
    return BlobFolder(tmp_path / "photos")


@pytest.fixture
def shop(store):
    add(store, patch("1001"), patch("1002"))
    return store


def add_photo(store, blobs, data, sku="1001", **options):
    with store.write("alice") as session:
        return photos.add(session, blobs, sku, data, **options)


def test_a_photo_is_kept_under_its_digest_and_once(shop, blobs, monkeypatch):
    data = photo(1, "png")
    product = add_photo(shop, blobs, data, name="../../etc/front.jpg")
    (info,) = product.photos
    assert (info.digest, info.kind, info.name) == (hashlib.sha256(data).hexdigest(), "png", "front.jpg")
    assert (info.width_px, info.height_px, info.size_bytes) == (60, 80, len(data))
    assert product.version == 2
    assert blobs.read(info.digest, "png") == data
    assert add_photo(shop, blobs, data).version == 2
    monkeypatch.setattr(photos, "MOST_PER_PRODUCT", 1)
    with pytest.raises(InvalidValue, match="remove one first"):
        add_photo(shop, blobs, photo(3))
    with shop.read() as session:
        assert photos.find(session, info.digest) == info


def test_a_removed_photo_goes_with_the_sweep_once_nobody_has_it(shop, blobs):
    digest = add_photo(shop, blobs, photo(1)).photos[0].digest
    add_photo(shop, blobs, photo(1), sku="1002")
    with shop.write("bob") as session:
        assert photos.remove(session, "1001", digest).photos == ()
    with shop.read() as session:
        assert blobs.sweep(photos.digests(session), older_than_s=-1) == 0
    with shop.write("bob") as session:
        photos.remove(session, "1002", digest)
    with shop.read() as session:
        assert blobs.sweep(photos.digests(session), older_than_s=3600) == 0
        assert blobs.sweep(photos.digests(session), older_than_s=-1) == 1
        noted = [entry.action for entry in audit.latest(session, subject="photo")]
    assert noted == ["delete", "delete", "create", "create"]
    with pytest.raises(NotFound):
        blobs.read(digest, "jpg")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (png_of(12_000, 10_000), "pixels, more"),
        (jpeg_of(60_000, 60_000), "pixels, more"),
        (jpeg_of(64, 64, scans=14_000), "segments|scans"),
        (jpeg_of(8_000, 8_000, scans=20), "scans"),
        (webp_of(16_000, 16_000), "pixels, more"),
    ],
    ids=["png", "jpeg", "scans-14000", "scans-of-many-pixels", "webp"],
)
def test_a_bomb_is_refused_by_its_header_and_never_decoded(data, told, monkeypatch):
    decoded = Mock()
    monkeypatch.setattr(photo_check.Image, "open", decoded)
    monkeypatch.setattr(photo_check, "run_untrusted", decoded)
    with pytest.raises(InvalidValue, match=told):
        check_photo(data)
    assert not decoded.called


def test_a_photo_that_takes_too_long_is_refused(monkeypatch):
    file = io.BytesIO()
    Image.new("RGB", (6000, 6000)).save(file, "PNG")
    monkeypatch.setattr(photo_check, "_LIMIT_S", 0.05)
    with pytest.raises(InvalidValue, match="too much time"):
        check_photo(file.getvalue())


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_only_the_picture_is_kept_of_a_photo(kind):
    data = photo_of_a_phone(kind)
    kept = check_photo(data).data
    before, after = (Image.open(io.BytesIO(each)) for each in (data, kept))
    assert dict(after.getexif()) == {0x0112: 6}
    assert np.array_equal(np.asarray(before), np.asarray(after))
    assert [word for word in (b"Zhang", b"iPhone", b"script") if word in kept] == []
    assert check_photo(kept).data == kept
    assert dict(Image.open(io.BytesIO(check_photo(photo_of_a_phone(kind, 1)).data)).getexif()) == {}


@pytest.mark.parametrize("digest", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 63 + "/"])
def test_only_digests_name_files(blobs, digest):
    for name, suffix in ((digest, "jpg"), ("0" * 64, "../x")):
        with pytest.raises(InvalidValue):
            blobs.path(name, suffix)


def test_what_a_killed_writer_left_is_swept(blobs):
    digest = blobs.put(b"whole", "jpg")
    left = blobs.path(digest, "jpg").parent / "tmpabc.part"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    assert blobs.sweep({digest}) == 1
    assert blobs.read(digest, "jpg") == b"whole"


def test_other_users_of_the_machine_read_neither_database_nor_crops(tmp_path):
    def modes() -> list[str]:
        found = [tmp_path / "files" / "crops", *sorted(tmp_path.glob("catalog.db*"))]
        return [f"{path.name} {path.stat().st_mode & 0o777:o}" for path in found]

    settings = CatalogSettings(url=f"sqlite:///{tmp_path}/catalog.db", folder=str(tmp_path / "files"), publish=False)
    with open_catalog(settings) as service:
        service.store.upgrade()
        with service.store.write("alice") as session:
            hosts.allow(session, "shop.example.com")
        assert modes() == ["crops 700", "catalog.db 600", "catalog.db-shm 600", "catalog.db-wal 600"]
    (tmp_path / "catalog.db").chmod(0o644)
    (tmp_path / "files" / "crops").chmod(0o755)
    with open_catalog(settings):
        assert modes() == ["crops 700", "catalog.db 640"]


def test_the_name_of_a_file_is_on_the_disk_too(blobs, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle)), fsync(handle)))
    path = blobs.path(blobs.put(b"whole", "jpg"), "jpg")
    folders = [state.st_ino for state in synced if stat.S_ISDIR(state.st_mode)]
    assert folders == [path.parent.stat().st_ino, blobs.folder.stat().st_ino]


def test_a_full_disk_leaves_nothing_behind(blobs, monkeypatch):
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        blobs.put(b"data", "jpg")
    assert [path for path in blobs.folder.rglob("*") if path.is_file()] == []
