"""Feeds over HTTP, as files and as Merchant XML: read to the last digit, refused when they are none."""

from __future__ import annotations

from decimal import Decimal

import pytest

from livecart.catalog.sync.http_fetch import Fetcher
from livecart.catalog.sync.http_json import HttpJsonSettings, HttpJsonSource, Paging
from livecart.catalog.sync.merchant_xml import MerchantXmlSettings, MerchantXmlSource
from livecart.catalog.sync.source import NO_VALIDATORS, Validators
from livecart.catalog.sync.table_file import TableFileSource
from livecart.catalog.values import ProductPatch
from livecart.errors import FeedError, SettingsError
from tests.catalog.catalog_stores import link
from tests.catalog.feed_server import Answer, FeedServer, as_json

FIELDS = {"sku": "id", "name": "title", "url": "urls.0.href", "price": "price.amount", "stock": "inventory.available"}


@pytest.fixture
def server():
    opened = FeedServer()
    yield opened
    opened.close()


@pytest.fixture
def json_source(server):
    opened = []

    def give(paging=None, most_bytes=1_000_000, **options):
        settings = HttpJsonSettings(
            **{
                "name": "shop",
                "url": f"{server.url}/products?lang=zh",
                "items": "data.list",
                "fields": FIELDS,
                "constants": {"currency": "CNY"},
                "paging": paging or Paging(),
                **options,
            }
        )
        fetcher = Fetcher(
            headers=settings.headers,
            headers_from_env=settings.headers_from_env,
            most_bytes=most_bytes,
            retries=2,
            backoff_s=0.01,
        )
        opened.append(HttpJsonSource(settings, fetcher=fetcher))
        return opened[-1]

    yield give
    for source in opened:
        source.close()


def item(number):
    return {
        "id": number,
        "title": f"商品{number}",
        "urls": [{"href": link(str(number))}],
        "price": {"amount": f"{number}.90"},
        "inventory": {"available": number},
    }


def listed(*numbers, **more):
    return as_json({"data": {"list": [item(number) for number in numbers]}, **more})


def skus(pages):
    return [[patch.sku for patch in page.patches] for page in pages]


def read(source, cursor=None, validators=NO_VALIDATORS):
    return list(source.pages(cursor, validators))


def test_fields_are_found_by_their_paths(json_source, server):
    server.answer = lambda _: Answer(
        b'{"data": {"list": [{"id": 7, "title": " \\u87ba\\u86f3\\u7c89 ", "price": {"amount": 12.90}, '
        b'"urls": [{"href": "https://shop.example.com/7"}], "inventory": {}}]}}'
    )
    (page,) = read(json_source())
    assert page.patches == [
        ProductPatch(
            sku="7",
            name="螺蛳粉",
            url="https://shop.example.com/7",
            price=Decimal("12.90"),
            currency="CNY",
            stock=None,
        )
    ]
    assert str(page.patches[0].price) == "12.90"
    assert server.asked[0].query == {"lang": "zh"}


def test_pages_by_number_until_one_is_empty(json_source, server):
    server.answer = lambda request: listed(*{"1": (1, 2), "2": (3,)}.get(request.query["p"], ()))
    source = json_source(Paging(kind="page", parameter="p", size_parameter="n", size=2))
    assert skus(read(source)) == [["1", "2"], ["3"], []]
    assert server.asked[0].query == {"lang": "zh", "p": "1", "n": "2"}
    assert skus(read(source, cursor="2")) == [["3"], []]


def test_pages_by_cursor(json_source, server):
    following = {None: "a&b", "a&b": "c", "c": None}
    server.answer = lambda request: listed(
        len(following) + len(request.query.get("after", "")), next=following[request.query.get("after")]
    )
    source = json_source(Paging(kind="cursor", parameter="after", next_path="next"))
    assert len(read(source)) == 3
    assert [request.query.get("after") for request in server.asked] == [None, "a&b", "c"]


@pytest.mark.parametrize("in_header", [True, False])
def test_pages_by_link(json_source, server, in_header):
    def answer(request):
        if request.query.get("page") == "2":
            return listed(2)
        following = f"{server.url}/products?page=2"
        if in_header:
            made = listed(1)
            made.headers["Link"] = f'<{following}>; rel="next"'
            return made
        return listed(1, links={"next": "/products?page=2"})

    server.answer = answer
    assert skus(read(json_source(Paging(kind="link", next_path="" if in_header else "links.next")))) == [["1"], ["2"]]


@pytest.mark.parametrize("target", ["https://evil.example.org/steal", "//evil.example.org/x", "http://127.0.0.1:1/x"])
def test_a_next_page_on_another_server_is_not_asked_for(json_source, server, target):
    server.answer = lambda _: listed(1, next=target)
    with pytest.raises(FeedError, match="another server"):
        read(json_source(Paging(kind="link", next_path="next")))
    assert len(server.asked) == 1


def test_a_redirect_is_told_and_not_followed(json_source, server, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "Bearer s3cret")
    server.answer = lambda _: Answer(status=302, headers={"Location": "https://evil.example.org/?token=1"})
    with pytest.raises(FeedError, match=r"moved to https://evil.example.org/;"):
        read(json_source(headers_from_env={"Authorization": "SHOP_TOKEN"}))
    assert server.asked[0].headers["Authorization"] == "Bearer s3cret"


def test_a_token_that_is_not_there_is_told_at_the_start(json_source, monkeypatch):
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    with pytest.raises(SettingsError, match="SHOP_TOKEN"):
        json_source(headers_from_env={"Authorization": "SHOP_TOKEN"})


@pytest.mark.parametrize("paging", [Paging(kind="link", next_path="next"), Paging(kind="page")])
def test_pages_in_a_circle_come_to_an_end(json_source, server, paging):
    server.answer = lambda _: listed(1, next="/products?lang=zh")
    with pytest.raises(FeedError, match=r"circle|same"):
        read(json_source(paging))


def test_an_unchanged_feed_is_not_sent_again(json_source, server):
    def answer(request):
        if request.headers.get("If-None-Match") == '"v1"':
            return Answer(status=304)
        made = listed(1)
        made.headers.update({"ETag": '"v1"', "Last-Modified": "Sat, 24 Nov 2026 10:00:00 GMT"})
        return made

    server.answer = answer
    source = json_source()
    (page,) = read(source)
    assert page.validators == Validators('"v1"', "Sat, 24 Nov 2026 10:00:00 GMT")
    (again,) = read(source, validators=page.validators)
    assert again.unchanged


def test_a_busy_server_is_asked_again(json_source, server):
    answers = iter([Answer(status=503), Answer(status=429, headers={"Retry-After": "0"}), listed(1)])
    server.answer = lambda _: next(answers)
    assert skus(read(json_source())) == [["1"]]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(status=500), "answers 500|does not answer"),
        (Answer(status=403), "answers 403"),
        (Answer(b"<html>"), "no JSON"),
        (Answer(b"[" * 100_000), "no JSON"),
        (as_json({"data": {"list": {}}}), "holds no list"),
        (as_json({"error": "x"}), "holds no list"),
        (Answer(b" " * 2_000_000), "more than"),
    ],
)
def test_what_is_no_feed_is_refused_without_its_query(json_source, server, answer, told):
    server.answer = lambda _: answer
    with pytest.raises(FeedError, match=told) as caught:
        read(json_source())
    assert "lang" not in str(caught.value)


def test_no_server_there_is_told(json_source):
    with pytest.raises(FeedError, match="does not answer"):
        read(json_source(url="http://127.0.0.1:1/x"))


def test_items_that_are_none_are_told_and_the_others_taken(json_source, server):
    broken = item(2) | {"price": {"amount": "cheap"}}
    server.answer = lambda _: as_json({"data": {"list": [item(1), broken, {}, "x", None]}})
    (page,) = read(json_source())
    assert skus([page]) == [["1"]]
    assert len(page.bad) == 4
    assert "item 2: price" in page.bad[0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"fields": {"name": "title"}}, "no path for sku"),
        ({"fields": {"sku": "id", "colour": "c"}}, "unknown field colour"),
        ({"url": "ftp://host/x"}, "https"),
    ],
)
def test_settings_that_make_no_sense_are_refused(json_source, options, told):
    with pytest.raises(SettingsError, match=told):
        json_source(**options)


XML = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>店</title>
<item><title>plain</title><g:title>好欢螺 &amp; 螺蛳粉</g:title><g:id>1001</g:id><link>https://shop.example.com/1</link>
  <g:price>15.00 CNY</g:price><g:sale_price>12.90 CNY</g:sale_price><g:availability>in_stock</g:availability>
  <g:brand>好欢螺</g:brand><g:shipping><g:country>CN</g:country><g:price>1 CNY</g:price></g:shipping></item>
<item><g:id>1002</g:id><title>二</title><g:link>https://shop.example.com/2</g:link><g:price>9.9</g:price>
  <g:availability>out of stock</g:availability></item>
<item><g:id>1003</g:id><title>三</title><link>https://shop.example.com/3</link><g:price>free</g:price></item>
</channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><entry>
<g:id>7</g:id><title>七</title><link href="https://shop.example.com/7"/><g:price>CNY 1.50</g:price></entry></feed>"""


@pytest.fixture
def xml_source(server):
    fetcher = Fetcher(headers={}, headers_from_env={}, most_bytes=1_000_000, retries=0)
    source = MerchantXmlSource(MerchantXmlSettings(name="feed", url=f"{server.url}/feed.xml?key=1"), fetcher=fetcher)
    yield source
    source.close()


def test_merchant_xml(xml_source, server):
    server.answer = lambda _: Answer(XML.encode())
    (page,) = read(xml_source)
    first, second = page.patches
    assert (first.sku, first.name, first.url) == ("1001", "好欢螺 & 螺蛳粉", "https://shop.example.com/1")
    assert (str(first.price), first.currency, first.stock, first.brand) == ("12.90", "CNY", None, "好欢螺")
    assert (second.url, str(second.price), second.currency, second.stock) == (
        "https://shop.example.com/2",
        "9.9",
        None,
        0,
    )
    assert len(page.bad) == 1
    assert "item 3: price" in page.bad[0]


def test_merchant_atom(xml_source, server):
    server.answer = lambda _: Answer(ATOM.encode())
    (page,) = read(xml_source)
    assert (page.patches[0].url, str(page.patches[0].price), page.patches[0].currency) == (
        "https://shop.example.com/7",
        "1.50",
        "CNY",
    )


def test_a_large_xml_comes_in_pages_and_goes_on_behind_a_cursor(xml_source, server):
    items = "".join(
        f"<item><g:id>{number}</g:id><title>t</title><link>{link(str(number))}</link></item>" for number in range(2500)
    )
    server.answer = lambda _: Answer(
        f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{items}</channel></rss>'.encode()
    )
    pages = read(xml_source)
    assert [len(page.patches) for page in pages] == [1000, 1000, 500]
    rest = read(xml_source, cursor=pages[1].next_cursor)
    assert skus(rest) == skus(pages[2:])


@pytest.mark.parametrize(
    "body",
    [
        b"no xml",
        XML.encode()[:400],
        b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss><channel><item>&b;</item></channel></rss>',
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><item><title>&x;</title></item></rss>',
    ],
    ids=["text", "cut", "entities", "external"],
)
def test_xml_that_is_none_or_means_harm_is_refused(xml_source, server, body):
    server.answer = lambda _: Answer(body)
    with pytest.raises(FeedError, match="no such XML"):
        read(xml_source)


def test_a_file_is_read_when_it_was_replaced(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_text("sku,stock\n" + "".join(f"{number},1\n" for number in range(1500)) + "x,many\n")
    source = TableFileSource("file", path)
    first, second = read(source)
    assert (len(first.patches), len(second.patches), len(second.bad)) == (1000, 500, 1)
    assert skus(read(source, cursor=first.next_cursor)) == skus([second])
    (again,) = read(source, validators=second.validators)
    assert again.unchanged
    path.write_text("sku,stock\n1,2\n")
    assert skus(read(source, validators=second.validators)) == [["1"]]
    with pytest.raises(FeedError, match="replaced"):
        read(source, cursor=first.next_cursor)
    path.unlink()
    with pytest.raises(FeedError, match="cannot be read"):
        read(source)
