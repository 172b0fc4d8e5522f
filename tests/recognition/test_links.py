"""Where a purchase link may lead, and what a links file may hold."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.errors import ConfigurationError
from recognition.links import LinkedProduct, check_url, load_links

HOSTS = ["shop.example.com"]
URL = "https://shop.example.com/item/1"


def refused(url: str, allowed: list[str]) -> bool:
    return check_url(url, allowed_hosts=allowed) is not None


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        (URL, HOSTS),
        ("https://shop.example.com", HOSTS),
        ("https://shop.example.com/商品?名=螺蛳粉&b=%20#x@y", HOSTS),
        ("HTTPS://SHOP.Example.COM/item", HOSTS),
        (URL, ["SHOP.EXAMPLE.COM"]),
        ("https://shop.example.com./item", HOSTS),
        ("https://shop.example.com:443/item", HOSTS),
        ("https://shop.example.com:8443/item", ["shop.example.com:8443"]),
        ("https://a.example.com/item", ["*.example.com"]),
        ("https://a.b.example.com/item", ["*.example.com"]),
        ("https://a.example.com:8443/item", ["*.example.com:8443"]),
        ("https://例子.中国/item", ["例子.中国"]),
        ("https://例子.中国/item", ["xn--fsqu00a.xn--fiqs8s"]),
        ("https://xn--fsqu00a.xn--fiqs8s/item", ["例子.中国"]),
        ("https://店.例子.中国/item", ["*.例子.中国"]),
        (URL, ["other.example.com", "shop.example.com"]),
    ],
)
def test_an_https_link_to_an_allowed_host_may_be_shown(url, allowed):
    assert check_url(url, allowed_hosts=allowed) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "item/1",
        "/item/1",
        "//shop.example.com/item",
        "http://shop.example.com/item",
        "ftp://shop.example.com/item",
        "javascript:alert(1)",
        "javascript://shop.example.com/%0aalert(1)",
        "data:text/html,hi",
        "https:",
        "https://",
        "https:///item",
        "https:/shop.example.com/item",
        "https:shop.example.com/item",
        "https://?shop.example.com",
        "https://[::1",
        "https://[::1]/",
        "https://shop.example.com:99999/",
        "https://shop.example.com:port/",
        "https://shop.example.com:-1/",
    ],
)
def test_what_is_no_whole_https_link_may_not_be_shown(url):
    assert refused(url, HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.com@evil.com/",
        "https://shop.example.com:443@evil.com/",
        "https://user@shop.example.com/",
        "https://:secret@shop.example.com/",
        "https://@shop.example.com/",
        "https://evil.com\\@shop.example.com/",
        "https:\\\\shop.example.com/",
        "https://evil.com\\.shop.example.com/",
        "https://shop.example.com\\item",
        "https://shop.example.com/a\\b",
        "https://shop.exa\tmple.com/",
        "https://shop.example.com/a\nb",
        "java\nscript:alert(1)",
        " https://shop.example.com/",
        "https://shop.example.com/a b",
        "https://shop.example.com/\0",
        "https://shop.example.com/\x7f",
        "https://shop.example.com/\u202egpj",
        "https://shop.example.com/\u200b",
        "https://shop.example.com/\ud800",
        "https://shop.example.com\u3000/",
    ],
)
def test_a_link_that_reads_otherwise_than_it_opens_may_not_be_shown(url):
    assert refused(url, HOSTS)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://evil.com/", HOSTS),
        (URL, []),
        ("https://shop.example.com.evil.com/", HOSTS),
        ("https://evilshop.example.com/", HOSTS),
        ("https://a.shop.example.com/", HOSTS),
        ("https://shop.example.com:8443/", HOSTS),
        ("https://shop.example.com:80/", HOSTS),
        ("https://shop.example.com:0/", HOSTS),
        ("https://shop.example.com/", ["shop.example.com:8443"]),
        ("https://example.com/", ["*.example.com"]),
        ("https://evilexample.com/", ["*.example.com"]),
        ("https://a.example.com.evil.com/", ["*.example.com"]),
        ("https://.example.com/", ["*.example.com"]),
        ("https://a.example.com:8443/", ["*.example.com"]),
        ("https://shop.example.com。evil.com/", HOSTS),
        ("https://shop.example.com。evil.com/", ["*.example.com"]),
        ("https://shop.еxample.com/", HOSTS),  # a Cyrillic е
        ("https://evil.com%2f.example.com/", ["*.example.com"]),
        ("https://evil.com%00.example.com/", ["*.example.com"]),
        ('https://a"onclick=.example.com/', ["*.example.com"]),
        ("https://" + "a" * 64 + ".example.com/", ["*.example.com"]),
        ("https://evil.com/?https://shop.example.com/", HOSTS),
        ("https://evil.com#@shop.example.com/", HOSTS),
        ("https://evil.com/shop.example.com", ["*"]),
        ("https://evil.com/", ["*."]),
    ],
)
def test_a_link_to_a_host_that_is_not_allowed_may_not_be_shown(url, allowed):
    assert refused(url, allowed)


def test_the_refusal_names_the_host_and_those_that_are_allowed():
    reason = check_url("https://evil.com:8443/", allowed_hosts=HOSTS)
    assert "evil.com:8443" in reason
    assert "shop.example.com" in reason


_SYNTAX = st.sampled_from([*"/@:?#\\[].*² ", "https:", "http:", "//", ":443", ":0", "%2e", "。", "\t", "\u00ad"])
_HOSTS = st.sampled_from(["shop.example.com", "example.org", "evil.com", "例子", "ⓢ", "ﬀ", "ß"])


@given(st.text(max_size=40) | st.lists(_SYNTAX | _HOSTS, max_size=8).map("".join))
def test_any_text_is_judged_and_what_may_be_shown_leads_to_an_allowed_host(url):
    allowed = ["shop.example.com", "*.example.org"]
    if check_url(url, allowed_hosts=allowed) is None:
        parts = urlsplit(url)
        assert parts.scheme == "https"
        assert parts.username is None
        assert parts.port in (None, 443)
        host = parts.hostname.encode("idna").decode().removesuffix(".").lower()
        assert host == "shop.example.com" or host.endswith(".example.org")


def load(folder: Path, data, *, allowed=HOSTS) -> list[LinkedProduct]:
    path = folder / "product_links.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data, indent=1), encoding="utf-8")
    return load_links(path, allowed_hosts=allowed)


def test_in_the_plain_form_the_key_is_label_name_and_sku(tmp_path):
    assert load(tmp_path, {"螺蛳粉": URL}) == [LinkedProduct(sku="螺蛳粉", name="螺蛳粉", url=URL, labels=("螺蛳粉",))]


def test_in_the_extended_form_every_field_is_read(tmp_path):
    fields = {
        "url": URL,
        "sku": "1001",
        "name": "好欢螺螺蛳粉",
        "labels": ["螺蛳粉", "汤"],
        "threshold": 0.5,
        "price": "12.90",
        "currency": "CNY",
        "rooms": ["room-1"],
    }
    assert load(tmp_path, {"粉": fields}) == [
        LinkedProduct(
            sku="1001",
            name="好欢螺螺蛳粉",
            url=URL,
            labels=("螺蛳粉", "汤"),
            threshold=0.5,
            price="12.90",
            currency="CNY",
            rooms=frozenset({"room-1"}),
        )
    ]


def test_an_empty_list_of_rooms_is_no_room_and_not_every_room(tmp_path):
    [product] = load(tmp_path, {"粉": {"url": URL, "rooms": []}})
    assert not product.in_room("room-1")


def test_both_forms_stand_in_one_file_in_its_order(tmp_path):
    products = load(tmp_path, {"b": {"url": URL}, "a": URL})
    assert [product.sku for product in products] == ["b", "a"]


def test_an_empty_object_and_a_byte_order_mark_are_no_mistakes(tmp_path):
    assert load(tmp_path, "\ufeff{}") == []


@pytest.mark.parametrize(
    ("rooms", "room", "shown"),
    [
        (None, None, True),
        (None, "a", True),
        (frozenset({"a"}), None, True),
        (frozenset({"a"}), "a", True),
        (frozenset({"a"}), "b", False),
        (frozenset(), "b", False),
    ],
)
def test_a_product_is_shown_in_its_rooms_and_without_rooms_everywhere(rooms, room, shown):
    assert LinkedProduct(sku="1", name="x", url=URL, labels=("x",), rooms=rooms).in_room(room) is shown


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


def test_a_field_given_twice_is_refused_with_its_own_line(tmp_path):
    text = f'{{"a": {{"url": "{URL}"}},\n"b": {{"url": "{URL}",\n"url": "{URL}/2"}}}}'
    with pytest.raises(ConfigurationError, match=r"line 3: key 'url' stands twice"):
        load(tmp_path, text)


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


@pytest.mark.parametrize("host", ["stra\u00dfe.de", "\u03c2.example.com", "a\u200db.example.com"])
def test_hosts_that_browsers_and_python_read_differently_are_refused(host):
    allowed = ["strasse.de", "*.example.com", host]
    assert check_url(f"https://{host}/1", allowed_hosts=allowed) is not None


@pytest.mark.parametrize("sign", ['"', "'", "<", ">", "`"])
def test_links_that_could_break_out_of_an_attribute_are_refused(sign):
    assert check_url(f"https://shop.example.com/{sign}", allowed_hosts=["shop.example.com"]) is not None
