"""What a links file may hold."""

import json
from pathlib import Path

import pytest

from recognition.classify.product_links import link_fault, load_links
from recognition.errors import ConfigurationError
from recognition.product import CatalogProduct

HOSTS = ["shop.example.com"]
URL = "https://shop.example.com/item/1"


def test_a_host_that_is_not_allowed_is_named_with_those_that_are():
    fault = link_fault("https://evil.com:8443/", allowed_hosts=HOSTS)
    assert fault == "host 'evil.com:8443' is not in allowed_hosts of model-config.yaml (shop.example.com)"
    assert link_fault(URL, allowed_hosts=HOSTS) is None
    assert link_fault("http://shop.example.com/", allowed_hosts=HOSTS).startswith("only https links")


def load(folder: Path, data, *, allowed=HOSTS) -> list[CatalogProduct]:
    path = folder / "product_links.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data, indent=1), encoding="utf-8")
    return load_links(path, allowed_hosts=allowed)


def test_in_the_plain_form_the_key_is_label_name_and_sku(tmp_path):
    assert load(tmp_path, {"螺蛳粉": URL}) == [CatalogProduct(sku="螺蛳粉", name="螺蛳粉", url=URL, labels=("螺蛳粉",))]


def test_in_the_extended_form_every_field_is_read(tmp_path):
    fields = {"url": URL, "sku": "1001", "name": "好欢螺", "threshold": 0.5, "price": "12.90", "currency": "CNY"}
    lists = {"labels": ["螺蛳粉", "汤"], "rooms": ["room-1"]}
    expected = CatalogProduct(**fields, labels=("螺蛳粉", "汤"), rooms=("room-1",))
    assert load(tmp_path, {"粉": {**fields, **lists}, "b": URL}) == [
        expected,
        CatalogProduct("b", "b", URL, labels=("b",)),
    ]


def test_an_empty_list_of_rooms_is_no_room_and_not_every_room(tmp_path):
    [product] = load(tmp_path, {"粉": {"url": URL, "rooms": []}})
    assert not product.in_room("room-1")


def test_an_empty_object_and_a_byte_order_mark_are_no_mistakes(tmp_path):
    assert load(tmp_path, "\ufeff{}") == []


@pytest.mark.parametrize(
    "value",
    [
        5,
        None,
        [URL],
        {},
        {"url": 5},
        {"url": URL, "colour": "red"},
        {"url": URL, "threshold": 1.5},
        {"url": URL, "threshold": -0.1},
        {"url": URL, "threshold": "0.5"},
        {"url": URL, "price": 12.9},
        {"url": URL, "labels": "马克杯"},
        {"url": URL, "name": "\ud800"},
        {"url": URL, "sku": "\ud800"},
        "https://evil.com/",
        {"url": "http://shop.example.com/"},
    ],
)
def test_a_wrong_entry_is_refused_with_file_line_and_key(tmp_path, value):
    with pytest.raises(ConfigurationError, match=r"product_links\.json: line 3: key 'b'"):
        load(tmp_path, {"a": URL, "b": value})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{\n\n oops}", "line 3: not JSON"),
        ('{\n"a": NaN}', "not JSON"),
        ("[]", "object"),
        ("", "line 1: not JSON"),
        (f'{{"a": "{URL}",\n"b": "{URL}",\n"a": "{URL}"}}', "line 3: key 'a' stands twice"),
        (f'{{"": "{URL}"}}', "line 1: key '': the key is empty"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line_and_the_reason(tmp_path, text, told):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert "product_links.json: " in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize("own", ["A", None, ""])
def test_two_products_with_one_sku_are_refused(tmp_path, own):
    # Without a sku of its own, and that is also null or "", a product has its key for one.
    with pytest.raises(ConfigurationError, match=r"line \d+: key 'B': sku 'A' belongs to 'A' already"):
        load(tmp_path, {"A": {"url": URL, "sku": own}, "B": {"url": URL, "sku": "A"}})


def test_a_missing_file_and_one_that_is_not_utf8_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read product links"):
        load_links(tmp_path / "none.json", allowed_hosts=HOSTS)
    (tmp_path / "gbk.json").write_bytes('{"马克杯": "x"}'.encode("gbk"))
    with pytest.raises(ConfigurationError, match="cannot read product links"):
        load_links(tmp_path / "gbk.json", allowed_hosts=HOSTS)
