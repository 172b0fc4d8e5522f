"""Catalog folders: what the archive reads, and what comes back in."""

import hashlib
import json
from decimal import Decimal

import msgspec
import pytest

from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export.folder import export_folder, import_folder
from livecart.shop.repositories import hosts, negatives, photos, products
from livecart.shop.repositories.blobs import BlobFolder
from recognition.snapshot.catalog_folder import load_catalog_folder
from tests.shop.catalog_stores import SHOP, link, patch
from tests.shop.photo_files import photo


def digest_of(seed, kind="jpeg"):
    return hashlib.sha256(photo(seed, kind)).hexdigest()


@pytest.fixture
def blobs(tmp_path):
    return BlobFolder(tmp_path / "blobs")


@pytest.fixture
def shop(sqlite_store, blobs):
    full = {
        "brand": "好欢螺", "words": ("螺蛳粉", "柳州"), "labels": ("螺蛳粉",), "price": Decimal("12.90"),
        "currency": "CNY", "stock": 40, "rooms": ("room-1",), "threshold": 0.8,
    }  # fmt: skip
    with sqlite_store.write("alice") as session:
        products.create(session, patch("1001", **full))
        products.create(session, patch("1002", rooms=(), on_sale=False, stock=5))
        products.create(session, patch("1003"))
        photos.add(session, blobs, "1001", photo(1))
        photos.add(session, blobs, "1001", photo(2, "png"))
        photos.add(session, blobs, "1002", photo(1))
        negatives.add(session, blobs, "1003", photo(3))
        negatives.add(session, blobs, "1003", photo(4))
    return sqlite_store


def export(store, blobs, folder):
    with store.read(consistent=True) as session:
        return export_folder(session, blobs, folder)


def test_a_lost_photo_is_left_out_and_named(shop, blobs, tmp_path):
    lost = [f"{digest_of(2, 'png')}.png", f"{digest_of(3)}.jpg"]
    for name in lost:
        blobs.remove(*name.split("."))
    done = export(shop, blobs, tmp_path / "out")
    assert (done.products, done.photos, done.lost_photos) == (3, 2, lost)
    kept = load_catalog_folder(tmp_path / "out", allowed_hosts=[SHOP]).products
    counts = [(product.sku, len(product.photos), len(product.negatives)) for product in kept]
    assert counts == [("1001", 1, 0), ("1002", 1, 0), ("1003", 0, 1)]


def test_the_archive_reads_what_is_exported(shop, blobs, tmp_path):
    with shop.write("alice") as session:
        hosts.allow(session, "other.example.com")
        products.create(session, patch("2", url=link("2", "other.example.com")))
        # Its link may not be shown.
        hosts.forbid(session, "other.example.com")
    done = export(shop, blobs, tmp_path / "out")
    assert (done.products, done.photos, done.left_out) == (3, 4, ["2"])
    first, second, third = load_catalog_folder(tmp_path / "out", allowed_hosts=[SHOP]).products
    assert (first.sku, first.brand, first.words, first.labels) == ("1001", "好欢螺", ("螺蛳粉", "柳州"), ("螺蛳粉",))
    assert (first.price, first.currency, first.stock, first.threshold) == ("12.90", "CNY", 40, 0.8)
    assert [(tmp_path / "out" / name).read_bytes() for name in first.photos] == [photo(1), photo(2, "png")]
    assert (first.rooms, second.stock, second.rooms) == (("room-1",), 0, ())
    assert (third.stock, third.rooms, third.photos) == (None, None, ())
    assert [(tmp_path / "out" / name).read_bytes() for name in third.negatives] == [photo(4), photo(3)]


def test_out_and_in_again_is_the_same_catalog(shop, blobs, tmp_path):
    export(shop, blobs, tmp_path / "out")
    with shop.read() as session:
        before = list(products.every(session))
    with shop.write("bob") as session:
        for sku in ("1001", "1003"):
            products.remove(session, sku, expected_version=None)
    done = import_folder(shop, BlobFolder(tmp_path / "others"), tmp_path / "out", who="bob")
    assert (done.photos, done.bad_photos) == (5, [])
    with shop.read() as session:
        for old in before:
            new = products.get(session, old.sku)
            same = {"version": 0, "updated_at_s": 0.0, "photos": ()}
            if old.sku != "1002":
                assert msgspec.structs.replace(new, **same) == msgspec.structs.replace(old, **same)
            assert [info.digest for info in new.photos] == [info.digest for info in old.photos]
        taught = [negative.digest for negative in negatives.of_product(session, "1003")]
    assert taught == [digest_of(4), digest_of(3)]
    again = import_folder(shop, BlobFolder(tmp_path / "others"), tmp_path / "out", who="bob")
    assert (again.upserted.created, again.upserted.changed, again.upserted.unchanged) == (0, 0, 3)


def test_an_export_brings_a_folder_up_to_date(shop, blobs, tmp_path):
    folder = tmp_path / "out"
    export(shop, blobs, folder)
    kept = folder / "photos" / f"{digest_of(1)}.jpg"
    inode = kept.stat().st_ino
    with shop.write("bob") as session:
        photos.remove(session, "1001", digest_of(2, "png"))
        negatives.remove(session, "1003", digest_of(3))
        negatives.remove(session, "1003", digest_of(4))
    (folder / "photos" / f"{digest_of(2)}.part").write_bytes(b"half")
    # A folder that somebody keeps by hand has photos of other names.
    (folder / "photos" / "可乐.jpg").write_bytes(b"mine")
    (folder / "photos" / "more").mkdir()
    assert export(shop, blobs, folder).photos == 1
    assert {path.name for path in (folder / "photos").iterdir()} == {kept.name, "可乐.jpg", "more"}
    assert kept.stat().st_ino == inode


def write(folder, *entries, schema=1):
    folder.mkdir(exist_ok=True)
    (folder / "catalog.json").write_text(json.dumps({"schema": schema, "products": entries}), encoding="utf-8")
    return folder


def entry(sku="1", **values):
    return {"sku": sku, "name": sku, "url": link(sku), **values}


def test_photos_that_are_none_are_left_out_and_told(sqlite_store, blobs, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(photo(9))
    bad = ["../secret.jpg", "/etc/passwd", "link.jpg", "gone.jpg", "bad.jpg", "dir"]
    folder = write(tmp_path / "in", entry(photos=["good.jpg", *bad]))
    (folder / "good.jpg").write_bytes(photo(1))
    (folder / "bad.jpg").write_bytes(b"<svg/>")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "dir").mkdir()
    done = import_folder(sqlite_store, blobs, folder, who="alice")
    assert (done.photos, [name for _, name, _ in done.bad_photos]) == (1, bad)


@pytest.mark.parametrize("text", ["12.90", '"12.90"'])
def test_a_price_keeps_its_digits_as_text_and_as_number(sqlite_store, blobs, tmp_path, text):
    catalog = write(tmp_path / "in", entry(price="PRICE")) / "catalog.json"
    catalog.write_text(catalog.read_text().replace('"PRICE"', text))
    import_folder(sqlite_store, blobs, tmp_path / "in", who="alice")
    with sqlite_store.read() as session:
        assert str(products.get(session, "1").price) == "12.90"


@pytest.mark.parametrize(
    ("entries", "schema", "told"),
    [
        ([entry()], 2, "line 1: key 'schema': 2, only 1 is known"),
        (["x"], 1, "line 1: product 1: Expected `object`, got `str`"),
        ([entry(), entry("2", colour="red")], 1, "line 1: sku '2': key 'colour': Object contains unknown field"),
        ([entry(negatives=[1])], 1, "sku '1': key 'negatives': Expected `str`"),
        ([entry(), entry()], 1, "sku '1': key 'sku': product 1 of the file has this sku already"),
        ([{"sku": "1", "price": 5}], 1, "sku '1': key 'name': Object missing required field"),
        ([entry(), entry("2", stock=10**12)], 1, "sku '2': stock"),
    ],
)
def test_what_is_no_catalog_is_refused_with_its_place(sqlite_store, blobs, tmp_path, entries, schema, told):
    with pytest.raises((FeedError, InvalidValue), match=told):
        import_folder(sqlite_store, blobs, write(tmp_path / "in", *entries, schema=schema), who="alice")
    with pytest.raises(FeedError, match="cannot be read"):
        import_folder(sqlite_store, blobs, tmp_path / "nowhere", who="alice")
