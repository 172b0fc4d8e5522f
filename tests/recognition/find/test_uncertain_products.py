"""Which drawn packages a catalog tells for sure, and which it does not."""

from PIL import Image

from contract.uncertain_products import UncertainProduct
from recognition.find.uncertain_products import find_uncertain_products
from recognition.index.vectors import PLAIN
from tests.recognition.drawn_packages import WEIGHTS, PackageRuntime, build, package
from tests.snapshot_files import product

RED, BLUE = package(1, (190, 30, 40)), package(2, (30, 60, 190))
WHITE = Image.new("RGB", RED.size, (240, 240, 240))


def found(folder, photos: dict[str, Image.Image]) -> dict[str, UncertainProduct]:
    products = [product(sku, photos=(f"{sku}.png",)) for sku in photos]
    catalog = build(folder, products, {f"{sku}.png": each for sku, each in photos.items()}, PackageRuntime())
    uncertain = find_uncertain_products(catalog, WEIGHTS, PLAIN, threshold=0.95)
    assert uncertain.found == len(uncertain.products)
    assert uncertain.looked_at == len(photos)
    return {each.sku: each for each in uncertain.products}


def test_printed_packages_are_told_for_sure(tmp_path):
    assert found(tmp_path, {"red": RED, "blue": BLUE}) == {}


def test_what_has_no_print_is_plain(tmp_path):
    uncertain = found(tmp_path, {"red": RED, "white": WHITE})
    assert {sku: each.kind for sku, each in uncertain.items()} == {"white": "plain"}


def test_two_products_of_one_photo_are_alike_and_their_names_say_what_would_help(tmp_path):
    uncertain = found(tmp_path, {"红茶": RED, "绿茶": RED, "blue": BLUE})
    assert set(uncertain) == {"红茶", "绿茶"}
    red = uncertain["红茶"]
    assert (red.kind, red.other_sku, red.same_photo, red.words) == ("alike", "绿茶", True, ("红茶",))


def test_of_many_photos_an_even_share_of_the_products_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("recognition.find.uncertain_products._MOST_PHOTOS", 1)
    products = [product(sku, photos=(f"{sku}.png",)) for sku in ("red", "blue")]
    catalog = build(tmp_path, products, {"red.png": RED, "blue.png": BLUE}, PackageRuntime())
    assert find_uncertain_products(catalog, WEIGHTS, PLAIN, threshold=0.95).looked_at == 1


def test_a_catalog_without_photos_has_no_uncertain_products(tmp_path):
    assert found(tmp_path, {}) == {}
