"""scripts/build_catalog.py with an embedder that needs no network: what it writes, says and returns."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest
from PIL import Image

import build_catalog
from contract.uncertain_products import (
    UNCERTAIN_PRODUCTS_FILE,
    UncertainProduct,
    UncertainProducts,
    decode_uncertain_products,
)
from recognition.catalog.build import Embedder
from recognition.snapshot.read import open_snapshot
from tests.snapshot_files import FINGERPRINT, FakeEmbedder

ROOT = Path(__file__).resolve().parents[2]
UNCERTAIN = UncertainProducts(
    looked_at=40,
    found=3,
    products=(
        UncertainProduct(sku="1001", name="水", kind="plain"),
        UncertainProduct(sku="1002", name="红茶", kind="alike", other_sku="1003", other_name="绿茶", words=("红茶",)),
        UncertainProduct(sku="1004", name="奶", kind="alike", other_sku="1005", other_name="奶", same_photo=True),
    ),
)
PHOTOS = {"red.jpg": b"red", "blue.jpg": b"blue"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A catalog of two products with one photo each."""
    folder = tmp_path / "shop"
    (folder / "photos").mkdir(parents=True)
    for name, image in PHOTOS.items():
        (folder / "photos" / name).write_bytes(image)
    write_catalog(folder, {"1001": ["photos/red.jpg"], "1002": ["photos/blue.jpg"]})
    return folder


@pytest.fixture
def mar(tmp_path: Path) -> Path:
    """A file that unpacks like an archive."""
    path = tmp_path / "product_recognizer.mar"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("backbone.json", "{}")
    return path


@pytest.fixture(autouse=True)
def embedders(monkeypatch: pytest.MonkeyPatch) -> list[FakeEmbedder]:
    """The embedders that were opened, each in a folder that is an unpacked archive."""
    opened: list[FakeEmbedder] = []

    def open_embedder(archive: Path, threads: int) -> Embedder:
        assert (archive / "backbone.json").read_text() == "{}"
        assert threads >= 1
        opened.append(FakeEmbedder())
        return opened[-1]

    monkeypatch.setattr(build_catalog, "_open_embedder", open_embedder)
    monkeypatch.setattr(build_catalog, "_find_uncertain_products", lambda archive, snapshot, settings: UNCERTAIN)
    return opened


def write_catalog(folder: Path, photos_of: dict[str, list[str]], **fields: object) -> None:
    products = [
        {"sku": sku, "name": f"商品{sku}", "url": f"https://shop.example.com/item/{sku}", "photos": photos, **fields}
        for sku, photos in photos_of.items()
    ]
    (folder / "catalog.json").write_text(json.dumps({"schema": 1, "products": products}), encoding="utf-8")


def run(shop: Path, mar: Path, *more: str) -> int:
    output = shop.parent / "live.snapshot"
    return build_catalog.main([str(shop), "--archive", str(mar), "--output", str(output), *more])


def test_the_snapshot_holds_the_catalog(shop, mar, capsys):
    assert run(shop, mar) == 0
    snapshot = open_snapshot(shop.parent / "live.snapshot", fingerprint=FINGERPRINT)
    assert [snapshot.product(index).sku for index in range(snapshot.products)] == ["1001", "1002"]
    assert snapshot.photos == 2
    said = capsys.readouterr()
    assert "2 products, 2 photos (2 embedded, 0 reused)" in said.out
    assert snapshot.id in said.out
    assert said.err == ""
    assert not (shop.parent / "live.partial").exists()


def test_json_is_one_object(shop, mar, capsys):
    assert run(shop, mar, "--json") == 0
    output = shop.parent / "live.snapshot"
    summary = json.loads(capsys.readouterr().out)
    assert summary.pop("seconds") > 0
    assert summary == {
        "output": str(output),
        "id": open_snapshot(output, fingerprint=None).id,
        "fingerprint": FINGERPRINT,
        "products": 2,
        "photos": 2,
        "embedded": 2,
        "reused": 0,
        "bad": [],
        "uncertain_products": json.loads(msgspec.json.encode(UNCERTAIN.products)),
        "bytes": output.stat().st_size,
    }


def test_what_the_photos_do_not_tell_is_said_with_what_would_help(shop, mar, capsys):
    run(shop, mar)
    plain, words, photo = capsys.readouterr().out.splitlines()[1:]
    assert "'1001' (水)" in plain
    assert "add a photo of a side with print or text" in plain
    assert "cannot be told from sku '1003' (绿茶)" in words
    assert "shows 红茶" in words
    assert "a photo in common with sku '1005'" in photo
    assert decode_uncertain_products((shop.parent / UNCERTAIN_PRODUCTS_FILE).read_bytes()) == UNCERTAIN


@pytest.mark.parametrize("failing", ["_find_uncertain_products", "_write"])
def test_without_uncertain_products_the_snapshot_is_built_all_the_same(shop, mar, monkeypatch, capsys, failing):
    run(shop, mar)

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(build_catalog, failing, fail)
    assert run(shop, mar, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["uncertain_products"] == []
    assert not (shop.parent / UNCERTAIN_PRODUCTS_FILE).exists()


def test_run_again_it_embeds_only_what_is_new(shop, mar, embedders, capsys):
    run(shop, mar)
    (shop / "photos" / "green.jpg").write_bytes(b"green")
    write_catalog(shop, {"1001": ["photos/red.jpg", "photos/green.jpg"], "1002": ["photos/blue.jpg"]})
    assert run(shop, mar) == 0
    assert [embedder.seen for embedder in embedders] == [[b"red", b"blue"], [b"green"]]
    assert "3 photos (1 embedded, 2 reused)" in capsys.readouterr().out


@pytest.mark.parametrize(("strict", "status"), [((), 0), (("--strict",), 3)])
def test_a_bad_photo_is_named_and_left_out(shop, mar, capsys, strict, status):
    (shop / "photos" / "red.jpg").write_bytes(b"broken")
    assert run(shop, mar, "--json", *strict) == status
    said = capsys.readouterr()
    assert json.loads(said.out)["bad"] == [
        {"sku": "1001", "path": "photos/red.jpg", "reason": "not a whole image"},
    ]
    assert "left out: sku '1001': photos/red.jpg: not a whole image" in said.err
    assert open_snapshot(shop.parent / "live.snapshot", fingerprint=None).photos == 1


def test_a_damaged_snapshot_is_built_anew(shop, mar, embedders, capsys):
    run(shop, mar)
    (shop.parent / "live.snapshot").write_bytes(b"x" * 100)
    assert run(shop, mar) == 0
    assert embedders[1].seen == [b"red", b"blue"]
    assert "every photo is embedded again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda shop, mar: write_catalog(shop, {"1001": []}, colour="red"), "key 'colour'"),
        (lambda shop, mar: write_catalog(shop, {"1001": ["photos/none.jpg"]}), "photos/none.jpg"),
        (lambda shop, mar: (shop / "catalog.json").unlink(), "cannot read the catalog"),
        (lambda shop, mar: mar.unlink(), "`make archive` builds it"),
        (lambda shop, mar: mar.write_bytes(b"x"), "not an archive that can be read"),
    ],
)
def test_a_mistake_stops_the_build_and_leaves_the_old_snapshot(shop, mar, capsys, change, told):
    run(shop, mar)
    before = (shop.parent / "live.snapshot").read_bytes()
    change(shop, mar)
    assert run(shop, mar) == 1
    said = capsys.readouterr().err
    assert said.startswith("build_catalog: ")
    assert told in said
    assert (shop.parent / "live.snapshot").read_bytes() == before


def test_links_are_held_against_the_given_settings(shop, mar, tmp_path, capsys):
    text = (ROOT / "handler" / "model-config.yaml").read_text(encoding="utf-8")
    config = tmp_path / "model-config.yaml"
    config.write_text(text.replace('["shop.example.com"]', '["other.example.com"]'), encoding="utf-8")
    assert run(shop, mar, "--model-config", str(config)) == 1
    assert "key 'url': host 'shop.example.com' is not in allowed_hosts" in capsys.readouterr().err
    config.write_text("handler: [", encoding="utf-8")
    assert run(shop, mar, "--model-config", str(config)) == 1
    assert f"build_catalog: {config}: " in capsys.readouterr().err


def test_the_one_that_stays_is_warm_before_its_first_order(shop, mar, tmp_path, monkeypatch, capsys):
    embedder = FakeEmbedder()
    output = tmp_path / "live.snapshot"
    seen_before: list[int] = []

    def orders():
        seen_before.append(len(embedder.seen))
        yield json.dumps({"folder": str(shop), "output": str(output)}) + "\n"

    monkeypatch.setattr(build_catalog, "_embedders", lambda _archive: lambda _photos: embedder)
    monkeypatch.setattr(sys, "stdin", orders())
    assert build_catalog.main(["--serve", "--archive", str(mar)]) == 0
    assert seen_before == [1]
    with Image.open(io.BytesIO(embedder.seen[0])) as picture:
        assert picture.format == "JPEG"
    # What it was warmed with is in no snapshot.
    assert open_snapshot(output, fingerprint=FINGERPRINT).products == 2
    assert [json.loads(line)["ok"] for line in capsys.readouterr().out.splitlines()] == [True, True]


def test_the_command_explains_itself_without_loading_a_network():
    code = "import sys, build_catalog; print(sorted({'torch', 'openvino', 'timm'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
