"""Photos: only real ones come in, their bytes lie under their digest, nothing leaves the folder."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib

import pytest

from livecart.catalog.records import audit, photos, products
from livecart.catalog.records.blobs import BlobFolder
from livecart.catalog.records.photo_check import check_photo
from livecart.errors import InvalidValue, NotFound
from tests.catalog.catalog_stores import patch
from tests.catalog.photo_files import photo


@pytest.fixture
def blobs(tmp_path):
    return BlobFolder(tmp_path / "photos")


@pytest.fixture
def shop(store):
    with store.write("alice") as session:
        products.create(session, patch("1001"))
        products.create(session, patch("1002"))
    return store


def add(store, blobs, data, sku="1001", **options):
    with store.write("alice") as session:
        return photos.add(session, blobs, sku, data, **options)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_a_photo_is_kept_under_its_digest(shop, blobs, kind):
    data = photo(1, kind)
    product = add(shop, blobs, data, name="../../etc/front.jpg")
    (info,) = product.photos
    assert (info.digest, info.kind, info.name) == (hashlib.sha256(data).hexdigest(), kind, "front.jpg")
    assert (info.width_px, info.height_px, info.size_bytes) == (60, 80, len(data))
    assert product.version == 2
    suffix = {"jpeg": "jpg"}.get(kind, kind)
    assert blobs.read(info.digest, suffix) == data
    with shop.read() as session:
        assert photos.find(session, info.digest) == info


def test_the_same_photo_twice_is_one(shop, blobs):
    add(shop, blobs, photo(1))
    assert add(shop, blobs, photo(1)).version == 2
    assert len(add(shop, blobs, photo(2)).photos) == 2
    assert len(add(shop, blobs, photo(1), sku="1002").photos) == 1


def test_a_removed_photo_goes_with_the_sweep_once_nobody_has_it(shop, blobs):
    digest = add(shop, blobs, photo(1)).photos[0].digest
    add(shop, blobs, photo(1), sku="1002")
    with shop.write("bob") as session:
        assert photos.remove(session, "1001", digest).photos == ()
    with shop.read() as session:
        assert blobs.sweep(photos.digests(session), older_than_s=-1) == 0
    with shop.write("bob") as session:
        photos.remove(session, "1002", digest)
    with shop.read() as session:
        assert blobs.sweep(photos.digests(session), older_than_s=3600) == 0
        assert blobs.sweep(photos.digests(session), older_than_s=-1) == 1
        assert [entry.action for entry in audit.latest(session, subject="photo")] == [
            "delete",
            "delete",
            "create",
            "create",
        ]
    with pytest.raises(NotFound):
        blobs.read(digest, "jpg")


def test_a_product_has_no_more_than_fifty(shop, blobs, monkeypatch):
    monkeypatch.setattr(photos, "MOST_PER_PRODUCT", 2)
    add(shop, blobs, photo(1))
    add(shop, blobs, photo(2))
    with pytest.raises(InvalidValue, match="remove one first"):
        add(shop, blobs, photo(3))


def huge_png() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "no JPEG"),
        (b"<!doctype html><script>alert(1)</script>", "no JPEG"),
        (b"GIF89a" + bytes(50), "no JPEG"),
        (b"#EXTM3U\n/etc/passwd", "no JPEG"),
        (b"\xff\xd8\xff" + b"<script>" * 20, "damaged JPEG"),
        (photo(1, "png")[:40], "damaged PNG"),
        (photo(1, "webp")[:30], "damaged WEBP"),
        (huge_png(), "pixels|damaged"),
        (b"\xff\xd8\xff" + bytes(17 * 1024 * 1024), "bytes, more"),
    ],
    ids=["empty", "svg", "html", "gif", "playlist", "script", "cut-png", "cut-webp", "bomb", "large"],
)
def test_what_is_no_photo_is_refused(data, told):
    with pytest.raises(InvalidValue, match=told):
        check_photo(data)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 63 + "/"])
def test_only_digests_name_files(blobs, digest):
    with pytest.raises(InvalidValue):
        blobs.path(digest, "jpg")
    with pytest.raises(InvalidValue):
        blobs.path("0" * 64, "../x")


def test_what_a_killed_writer_left_is_swept(blobs):
    digest = blobs.put(b"whole", "jpg")
    left = blobs.path(digest, "jpg").parent / "tmpabc.part"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    assert blobs.sweep({digest}) == 1
    assert blobs.read(digest, "jpg") == b"whole"


def test_a_full_disk_leaves_nothing_behind(blobs, monkeypatch):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        blobs.put(b"data", "jpg")
    assert [path for path in blobs.folder.rglob("*") if path.is_file()] == []
