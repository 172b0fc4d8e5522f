"""Tables that name picture files beside them, in a folder or in a zip."""

import re
import zipfile

import pytest

from livecart.shop.errors import FeedError
from livecart.shop.import_export import table_folder
from livecart.shop.import_export.table_folder import import_table_file
from livecart.shop.repositories import image_fetches
from livecart.shop.repositories.blobs import BlobFolder
from tests.shop.catalog_stores import get, link
from tests.shop.photo_files import photo

TABLE = f"""货号,商品名称,链接,图片
1001,螺蛳粉,{link("1001")},正面.jpg；pics/2.png
1002,米粉,{link("1002")},"none.jpg, ../outside.jpg, https://cdn.example.com/3.jpg, broken.webp"
1003,酸辣粉,{link("1003")},
"""
FILES = {"正面.jpg": photo(1), "pics/2.png": photo(2, "png"), "broken.webp": b"RIFF", "notes.md": b"no"}


@pytest.fixture
def take_in(sqlite_store, tmp_path):
    blobs = BlobFolder(tmp_path / "blobs")
    return lambda path, **options: import_table_file(sqlite_store, blobs, path, who="staff", **options)


def packed(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def in_folder(folder):
    (folder / "outside.jpg").write_bytes(photo(9))
    for name, data in {"shop/products.csv": TABLE.encode(), **{f"shop/{n}": d for n, d in FILES.items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder / "shop" / "products.csv"


def in_zip(folder):
    files = {f"货/{name}": data for name, data in FILES.items()}
    return packed(folder / "shop.zip", {"货/products.csv": TABLE.encode(), "__MACOSX/._x.csv": b"?", **files})


def in_zip_of_windows(folder):
    """Whose names are in GBK, and nothing says so."""
    path, marks = in_zip(folder), {}
    with zipfile.ZipFile(path) as archive:
        files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    for number, name in enumerate(files):
        raw = name.encode("gbk")
        marks[f"{number:02}".ljust(len(raw), "_")] = raw
    packed(path, dict(zip(marks, files.values(), strict=True)))
    data = path.read_bytes()
    for mark, raw in marks.items():
        data = data.replace(mark.encode(), raw)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("place", [in_folder, in_zip, in_zip_of_windows])
def test_files_that_a_table_names_become_photos(sqlite_store, take_in, tmp_path, place):
    path = place(tmp_path)
    assert take_in(path, dry_run=True)[0].created == 3
    for _ in range(2):
        done, photos = take_in(path)
        assert (done.bad, photos.count) == (0, 2)
        assert [(sku, name) for sku, name, _ in photos.bad] == [
            ("1002", "none.jpg"), ("1002", "../outside.jpg"), ("1002", "broken.webp")
        ]  # fmt: skip
    assert [each.name for each in get(sqlite_store, "1001").photos] == ["正面.jpg", "2.png"]
    assert get(sqlite_store, "1002").photos == ()
    with sqlite_store.read() as session:
        assert [each.url for each in image_fetches.of_product(session, "1002")] == ["https://cdn.example.com/3.jpg"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.csv": TABLE, "../b.jpg": b"x"}, "zip_path"),
        ({"a.csv": TABLE, "/b.jpg": b"x"}, "zip_path"),
        ({"a.csv": TABLE, "b.xlsx": b"x"}, "zip_tables"),
        ({"b.jpg": photo(1)}, "zip_tables"),
        ({"a.csv": TABLE, "b.jpg": bytes(32 * 2**20 + 1)}, "zip_too_large"),
        ({"a.csv": TABLE, **{f"{number}.md": b"" for number in range(40)}}, "zip_too_many_entries"),
    ],
)
def test_a_zip_over_the_limits_brings_nothing(take_in, tmp_path, monkeypatch, files, reason):
    monkeypatch.setattr(table_folder, "_MOST_ENTRIES", 40)
    with pytest.raises(FeedError) as refused:
        take_in(packed(tmp_path / "shop.zip", files))
    assert refused.value.reason == reason


def test_a_zip_that_is_cut_or_encrypted_is_told(take_in, tmp_path):
    whole = in_zip(tmp_path).read_bytes()
    locked = bytearray(whole)
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(header), whole):
            locked[found.start() + flags] |= 1
    flipped = bytearray(whole)
    flipped[100:120] = bytes(20)
    cases = [(whole[:-30], "zip_damaged"), (b"", "zip_damaged"), (flipped, "zip_damaged"), (locked, "zip_encrypted")]
    for data, reason in cases:
        (tmp_path / "bad.zip").write_bytes(data)
        with pytest.raises(FeedError) as refused:
            take_in(tmp_path / "bad.zip")
        assert refused.value.reason == reason
