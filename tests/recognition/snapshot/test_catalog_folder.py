"""What a catalog folder may hold, and how a mistake in it is told."""

import json
from pathlib import Path

import pytest

from recognition.errors import ConfigurationError
from recognition.product import CatalogProduct
from recognition.snapshot.catalog_folder import Catalog, load_catalog_folder

HOSTS = ["shop.example.com"]
URL = "https://shop.example.com/item/1"
LEAST = {"sku": "1", "name": "荔枝汽水", "url": URL}


def load(folder: Path, text: str) -> Catalog:
    (folder / "catalog.json").write_text(text, encoding="utf-8")
    return load_catalog_folder(folder, allowed_hosts=HOSTS)


def load_products(folder: Path, *products: object) -> tuple[CatalogProduct, ...]:
    return load(folder, json.dumps({"schema": 1, "products": products}, ensure_ascii=False)).products


def refusal(folder: Path, *products: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_products(folder, *products)
    return str(caught.value)


def with_price(folder: Path, written: str) -> str | None:
    text = f'{{"schema": 1, "products": [{{"sku": "1", "name": "a", "url": "{URL}", "price": {written}}}]}}'
    return load(folder, text).products[0].price


def test_every_field_is_kept_and_only_sku_name_and_url_are_needed(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"x")
    plain = {"brand": "珍珍", "price": "12.90", "currency": "CNY", "stock": 40, "threshold": 0.8}
    lists = {
        "words": ["荔枝", "汽水"],
        "labels": ["碳酸饮料"],
        "photos": ["1.jpg"],
        "negatives": ["1.jpg"],
        "rooms": ["9"],
    }
    whole, least, nulls = load_products(
        tmp_path,
        {**LEAST, **plain, **lists},
        {**LEAST, "sku": "2"},
        {**LEAST, "sku": "3", **dict.fromkeys([*plain, *lists])},
    )
    assert whole == CatalogProduct(**LEAST, **plain, **{name: tuple(values) for name, values in lists.items()})
    assert least == CatalogProduct(**{**LEAST, "sku": "2"})
    assert nulls == CatalogProduct(**{**LEAST, "sku": "3"})


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("12.90", "12.90"),
        ("0", "0"),
        ("100000000000000000000.10", "100000000000000000000.10"),
        ("1.5e2", "150"),
        ("1E-2", "0.01"),
        ('"12.90"', "12.90"),
        ('"9.9 起"', "9.9 起"),
        ("null", None),
    ],
)
def test_a_price_keeps_the_digits_that_were_written(tmp_path, written, kept):
    assert with_price(tmp_path, written) == kept


@pytest.mark.parametrize("written", ["-1", "-0.5", "1e99999", "1e-99999", "true", "[1]", '{"amount": 1}'])
def test_what_is_no_price_is_refused(tmp_path, written):
    with pytest.raises(ConfigurationError, match=r"line 1: sku '1': key 'price'"):
        with_price(tmp_path, written)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sku": " "}, "product 2: key 'sku': is empty"),
        ({"sku": 2}, "product 2: key 'sku': Expected `str`"),
        ({"name": ""}, "sku '2': key 'name': is empty"),
        ({"url": "http://shop.example.com/"}, "sku '2': key 'url': only https links"),
        ({"url": "https://evil.example.org/"}, "sku '2': key 'url': host 'evil.example.org'"),
        ({"stock": -1}, "sku '2': key 'stock': -1 is below 0"),
        ({"stock": 1.5}, "sku '2': key 'stock': Expected `int | null`"),
        ({"stock": True}, "sku '2': key 'stock': Expected `int | null`"),
        ({"threshold": 1.1}, "sku '2': key 'threshold': Expected"),
        ({"words": "荔枝"}, "sku '2': key 'words': Expected"),
        ({"words": ["荔枝", " "]}, "sku '2': key 'words': holds an empty text"),
        ({"rooms": [""]}, "sku '2': key 'rooms': holds an empty text"),
        ({"negatives": ["1.jpg"] * 6}, "sku '2': key 'negatives': names 6 photos, more than 5"),
        ({"photo": "1.jpg"}, "sku '2': key 'photo': Object contains unknown field"),
        ({"sku": "1"}, "sku '1': key 'sku': product 1 of the file has this sku already"),
    ],
)
def test_a_mistake_is_told_with_file_line_sku_and_key(tmp_path, change, told):
    message = refusal(tmp_path, LEAST, {**LEAST, "sku": "2", **change})
    assert message.startswith(f"{tmp_path / 'catalog.json'}: line 1: {told}")


def test_the_line_is_that_of_the_key_in_its_own_product(tmp_path):
    products = [{**LEAST, "words": ["{", '"sku": {', "}"]}, {**LEAST, "sku": "2", "brand": "a", "stock": -3}]
    text = json.dumps({"schema": 1, "products": products}, indent=1)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    line = next(number for number, line in enumerate(text.split("\n"), 1) if "-3" in line)
    assert f": line {line}: sku '2': key 'stock': " in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: not JSON"),
        ('{"schema": 1,\n "products": [}', "line 2: not JSON"),
        ("[]", "expected a JSON object"),
        ('{"products": []}', "missing required field `schema`"),
        ('{"schema": 2, "products": []}', "line 1: key 'schema': 2, only 1 is known"),
        ('{"schema": 1}', "missing required field `products`"),
        ('{"schema": 1, "products": {}}', "key 'products': Expected `array`"),
        ('{"schema": 1, "products": [],\n"extra": 1}', "line 2: key 'extra': Object contains unknown field"),
        ('{"schema": 1, "products": [],\n"products": []}', "line 2: key 'products' stands twice"),
        ('{"schema": 1, "products": [\n{"sku": "1", "sku": "2"}]}', "line 2: key 'sku' stands twice"),
        ('{"schema": 1, "products": ["1"]}', "product 1: Expected `object`"),
        ('{"schema": 1, "products": [{"sku": "1", "name": "\\ud800"}]}', "catalog.json"),
        ('{"schema": 1, "products": [{"sku": "1", "threshold": NaN}]}', "line 1: not JSON: NaN"),
        ("[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_what_is_no_catalog_is_refused(tmp_path, text, told):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert told in str(caught.value)


def test_a_folder_without_a_catalog_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read the catalog"):
        load_catalog_folder(tmp_path / "none", allowed_hosts=HOSTS)


@pytest.mark.parametrize(
    ("photo", "told"),
    [
        ("photos/none.jpg", "cannot be read: No such file"),
        ("photos", "is not a file"),
        (".", "is not a file"),
        ("../outside.jpg", "is not a plain path"),
        ("photos/../photos/1.jpg", "is not a plain path"),
        ("{outside}", "is not a plain path"),
        ("photos\\1.jpg", "is not a plain path"),
        ("photos/1\0.jpg", "is not a plain path"),
        ("photos/link.jpg", "leads out of the folder"),
        ("away/outside.jpg", "leads out of the folder"),
        ("photos/dangling.jpg", "cannot be read"),
    ],
)
def test_a_photo_is_a_file_inside_the_folder(tmp_path, photo, told):
    folder, outside = tmp_path / "shop", tmp_path / "outside.jpg"
    (folder / "photos").mkdir(parents=True)
    outside.write_bytes(b"x")
    (folder / "photos" / "1.jpg").write_bytes(b"x")
    (folder / "photos" / "link.jpg").symlink_to(outside)
    (folder / "photos" / "dangling.jpg").symlink_to(folder / "photos" / "none.jpg")
    (folder / "away").symlink_to(tmp_path)
    message = refusal(folder, {**LEAST, "photos": ["photos/1.jpg", photo.format(outside=outside)]})
    assert "sku '1': key 'photos': " in message
    assert told in message


def test_a_link_that_stays_inside_is_followed(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "1.jpg").write_bytes(b"x")
    (tmp_path / "shop" / "2.jpg").symlink_to("1.jpg")
    (tmp_path / "shop.link").symlink_to(tmp_path / "shop")
    (product,) = load_products(tmp_path / "shop.link", {**LEAST, "photos": ["1.jpg", "2.jpg"]})
    assert product.photos == ("1.jpg", "2.jpg")
