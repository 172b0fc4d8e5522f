"""Which drawn packages a catalog tells for sure, and which it does not."""

from PIL import Image

from contract.doubts import Doubt
from recognition.find.doubts import doubts_of
from recognition.index.vectors import PLAIN
from tests.recognition.drawn_packages import WEIGHTS, PackageRuntime, build, package
from tests.snapshot_files import product

RED, BLUE = package(1, (190, 30, 40)), package(2, (30, 60, 190))
WHITE = Image.new("RGB", RED.size, (240, 240, 240))


def found(folder, photos: dict[str, Image.Image]) -> dict[str, Doubt]:
    products = [product(sku, photos=(f"{sku}.png",)) for sku in photos]
    catalog = build(folder, products, {f"{sku}.png": each for sku, each in photos.items()}, PackageRuntime())
    doubts = doubts_of(catalog, WEIGHTS, PLAIN, threshold=0.95)
    assert doubts.found == len(doubts.products)
    assert doubts.looked_at == len(photos)
    return {doubt.sku: doubt for doubt in doubts.products}


def test_printed_packages_are_told_for_sure(tmp_path):
    assert found(tmp_path, {"red": RED, "blue": BLUE}) == {}


def test_what_has_no_print_is_plain(tmp_path):
    doubts = found(tmp_path, {"red": RED, "white": WHITE})
    assert {sku: doubt.kind for sku, doubt in doubts.items()} == {"white": "plain"}


def test_two_products_of_one_photo_are_alike_and_their_names_say_what_would_help(tmp_path):
    doubts = found(tmp_path, {"红茶": RED, "绿茶": RED, "blue": BLUE})
    assert set(doubts) == {"红茶", "绿茶"}
    red = doubts["红茶"]
    assert (red.kind, red.other_sku, red.same_photo, red.words) == ("alike", "绿茶", True, ("红茶",))


def test_of_many_photos_an_even_share_of_the_products_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("recognition.find.doubts._MOST_PHOTOS", 1)
    products = [product(sku, photos=(f"{sku}.png",)) for sku in ("red", "blue")]
    catalog = build(tmp_path, products, {"red.png": RED, "blue.png": BLUE}, PackageRuntime())
    assert doubts_of(catalog, WEIGHTS, PLAIN, threshold=0.95).looked_at == 1


def test_a_catalog_without_photos_has_no_doubts(tmp_path):
    assert found(tmp_path, {}) == {}
