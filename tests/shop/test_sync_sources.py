"""Feeds over HTTP, as files and as Merchant XML: read to the last digit, refused when they are none."""

import io
import json
import socket
import threading
import time
import tomllib
from contextlib import suppress

import msgspec
import pytest

from livecart.core.errors import SettingsError
from livecart.shop.errors import FeedError
from livecart.shop.settings import CatalogSettings
from livecart.shop.sync import http_fetch
from livecart.shop.sync.http_fetch import Fetcher
from livecart.shop.sync.http_json import HttpJsonSettings, HttpJsonSource, Paging
from livecart.shop.sync.merchant_xml import MerchantXmlSettings, MerchantXmlSource
from livecart.shop.sync.source import NO_VALIDATORS, Validators
from livecart.shop.sync.table_file import TableFileSource
from tests.conftest import ROOT
from tests.shop.catalog_stores import link
from tests.shop.feed_server import Answer, FeedServer, as_json

FIELDS = {"sku": "id", "name": "title", "url": "urls.0.href", "price": "price.amount", "stock": "inventory.available"}


@pytest.fixture
def server():
    opened = FeedServer()
    yield opened
    opened.close()


@pytest.fixture
def json_source(server):
    usual = {"name": "shop", "url": f"{server.url}/products?lang=zh", "items": "data.list", "fields": FIELDS}

    def give(paging=Paging(), **options):  # noqa: B008
        settings = HttpJsonSettings(**usual | {"constants": {"currency": "CNY"}, "paging": paging} | options)
        of_env = settings.headers_from_env
        fetcher = Fetcher(headers={}, headers_from_env=of_env, most_bytes=1_000_000, retries=2, backoff_s=0.01)
        return HttpJsonSource(settings, fetcher=fetcher)

    return give


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


def test_json_is_read_in_the_encoding_that_it_has(json_source, server):
    items = [item(number) | {"title": f"好欢螺柳州螺蛳粉加辣加臭袋装 {number}"} for number in range(5)]
    body = json.dumps({"data": {"list": items}}, ensure_ascii=False).encode("gbk")
    for content_type in ("application/json; charset=gbk", "application/json"):
        server.answer = lambda _, said=content_type: Answer(body, headers={"Content-Type": said})
        (page,) = read(json_source())
        assert page.patches[4].name == "好欢螺柳州螺蛳粉加辣加臭袋装 4"


def test_fields_are_found_by_their_paths_and_numbers_keep_their_digits(json_source, server):
    server.answer = lambda _: Answer(
        b'{"data": {"list": [{"id": 7, "title": " \\u87ba\\u86f3\\u7c89 ", "price": {"amount": 12.90}, '
        b'"urls": [{"href": "https://shop.example.com/7"}], "inventory": {}}, '
        b'{"id": 1001.0, "price": {"amount": 59.699999999999996}, "inventory": {"available": -3.0}},'
        b'{"id": 6.92123E+12}, {"id": 3612345678901234567, "inventory": {"available": true}}]}}'
    )
    (page,) = read(json_source())
    first, second, third = page.patches
    assert (first.sku, first.name, first.url, first.stock) == ("7", "螺蛳粉", "https://shop.example.com/7", None)
    assert (str(first.price), first.currency) == ("12.90", "CNY")
    assert (second.sku, str(second.price), second.stock) == ("1001", "59.7", 0)
    assert (third.sku, third.stock) == ("3612345678901234567", None)
    assert "item 3: sku: 6.92123E+12 has lost digits" in page.bad[0]
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


def test_a_next_page_on_another_server_is_not_asked_for(json_source, server):
    targets = ("https://evil.example.org/steal", "//evil.example.org/x", "http://127.0.0.1:1/x")
    for target in targets:
        server.answer = lambda _, target=target: listed(1, next=target)
        with pytest.raises(FeedError, match="another server"):
            read(json_source(Paging(kind="link", next_path="next")))
    assert len(server.asked) == len(targets)


def test_a_redirect_is_told_and_not_followed(json_source, server, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "Bearer s3cret")
    server.answer = lambda _: Answer(status=302, headers={"Location": "https://evil.example.org/?token=1"})
    with pytest.raises(FeedError, match=r"moved to https://evil.example.org/;"):
        read(json_source(headers_from_env={"Authorization": "SHOP_TOKEN"}))
    assert server.asked[0].headers["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("place", ["http://[", "https://feed.example:99999/", "/\xff"])
@pytest.mark.parametrize(("status", "header", "form"), [(302, "Location", "{}"), (200, "Link", '<{}>; rel="next"')])
def test_a_header_that_no_url_can_be_made_of_is_told(json_source, server, place, status, header, form):
    server.answer = lambda _: Answer(listed(1).body, status=status, headers={header: form.format(place)})
    with pytest.raises(FeedError) as caught:
        read(json_source(Paging(kind="link")))
    str(caught.value).encode()


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
    # What cannot be sent again is not kept.
    server.answer = lambda _: Answer(listed(1).body, headers={"ETag": '"\xff"', "Last-Modified": "yesterday"})
    (page,) = read(source)
    assert page.validators == Validators(None, "yesterday")


@pytest.mark.parametrize("waits", [("", "0"), ("21000", "Fri, 31 Dec 2999 23:59:59 GMT")], ids=["short", "long"])
def test_a_busy_server_is_asked_again_and_not_as_late_as_it_says(json_source, server, monkeypatch, waits):
    monkeypatch.setattr(http_fetch, "_MOST_PAUSE_S", 0.05)
    answers = iter([*(Answer(status=503, headers={"Retry-After": wait}) for wait in waits), listed(1)])
    server.answer = lambda _: next(answers)
    assert skus(read(json_source())) == [["1"]]


def test_closing_ends_the_wait_between_two_tries(json_source, server):
    server.answer = lambda _: Answer(status=503, headers={"Retry-After": "20"})
    source = json_source()
    threading.Timer(0.1, source.close).start()
    began_s = time.monotonic()
    with pytest.raises(FeedError):
        read(source)
    assert time.monotonic() - began_s < 5
    with pytest.raises(FeedError, match="does not answer"):
        read(json_source(url="http://127.0.0.1:1/x"))


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_server_that_drips_is_let_go_of(sent):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(sent)
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        fetcher = Fetcher(headers={}, headers_from_env={}, most_bytes=10_000, retries=0, within_s=0.5)
        began_s = time.monotonic()
        with pytest.raises(FeedError, match="does not answer"):
            fetcher.get(f"http://127.0.0.1:{listener.getsockname()[1]}/", io.BytesIO())
        assert time.monotonic() - began_s < 5


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(status=500), "answers 500|does not answer"),
        (Answer(status=403), "answers 403"),
        (Answer(b"<html>"), "no JSON"),
        (Answer(b"[" * 100_000), "no JSON"),
        (as_json({"error": "x"}), "holds no list"),
        (Answer(b" " * 2_000_000), "more than"),
    ],
)
def test_what_is_no_feed_is_refused_without_its_query(json_source, server, answer, told):
    server.answer = lambda _: answer
    with pytest.raises(FeedError, match=told) as caught:
        read(json_source())
    assert "lang" not in str(caught.value)


def test_items_that_are_none_are_told_and_the_others_taken(json_source, server):
    broken = item(2) | {"price": {"amount": "cheap"}}
    server.answer = lambda _: as_json({"data": {"list": [item(1), broken, {}, "x", None]}})
    (page,) = read(json_source())
    assert skus([page]) == [["1"]]
    assert (len(page.bad), page.bad_skus) == (4, ["2"])
    assert "item 2: price" in page.bad[0]


def test_the_later_of_two_entries_that_spell_a_sku_differently_is_refused_in_every_feed(
    json_source, xml_source, server, tmp_path
):
    server.answer = lambda _: as_json({"data": {"list": [item(1001), item(1001) | {"id": "1001.0"}]}})
    of_json = read(json_source())
    server.answer = lambda _: Answer(XML.replace("<g:id>1002<", "<g:id>１００１<").encode())
    of_xml = read(xml_source)
    path = tmp_path / "feed.csv"
    path.write_text("sku,stock\n" + "1001,1\n" + "".join(f"x{number},1\n" for number in range(1500)) + "1001.0,2\n")
    of_table = read(TableFileSource("file", path))
    for pages, place in ((of_json, "item 2"), (of_xml, "item 2"), (of_table, "row 1503")):
        assert f"{place}: sku: '1001' stands twice" in pages[-1].bad[0]
        assert sum(patch.sku == "1001" for page in pages for patch in page.patches) == 1
        # The one that was taken is written.
        assert "1001" not in pages[-1].bad_skus


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"fields": {"name": "title"}}, "no path for sku"),
        ({"fields": {"sku": "id", "colour": "c"}}, "unknown field colour"),
        ({"url": "ftp://host/x"}, "https"),
        ({"headers_from_env": {"Authorization": "NOT_SET"}}, "NOT_SET"),
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
    assert (str(first.price), str(first.sale_price), first.sale_to_s) == ("15.00", "12.90", None)
    assert (first.currency, first.stock, first.brand) == ("CNY", None, "好欢螺")
    assert (second.url, str(second.price), second.currency) == ("https://shop.example.com/2", "9.9", None)
    assert second.stock == 0
    assert len(page.bad) == 1
    assert "item 3: price" in page.bad[0]
    server.answer = lambda _: Answer(ATOM.encode())
    (entry,) = read(xml_source)[0].patches
    assert (entry.url, str(entry.price), entry.currency) == ("https://shop.example.com/7", "1.50", "CNY")


@pytest.mark.parametrize("encoding", ["GBK", "Big5", "utf-16"])
def test_merchant_xml_in_the_encoding_that_it_declares(xml_source, server, encoding):
    name = "珍珠奶茶" if encoding == "Big5" else "好欢螺螺蛳粉"
    title = f"<title><![CDATA[{name}]]></title>"
    text = f'<?xml version="1.0" encoding="{encoding}"?><rss><item><id>1</id>{title}</item></rss>'
    server.answer = lambda _: Answer(text.encode(encoding))
    (page,) = read(xml_source)
    assert page.patches[0].name == name


def test_price_availability_and_dates_of_a_sale(xml_source, server, tmp_path):
    texts = {
        "<g:price>1,299.00 CNY</g:price>": ("1299.00", None),
        "<g:price>15 CNY</g:price><g:sale_price>18 CNY</g:sale_price>": ("15", None),
        "<g:sale_price>12.9 CNY</g:sale_price>": ("12.9", None),
        "<g:price>15</g:price><g:availability>Out of Stock</g:availability>": ("15", 0),
        "<g:price>15</g:price><g:availability>limited_availability</g:availability>": ("15", None),
    }
    dated = "<g:price>15</g:price><g:sale_price>9</g:sale_price><g:sale_price_effective_date>"
    dated += "2020-01-01T00:00+0800/2020-01-31T23:59+0800</g:sale_price_effective_date>"

    def feed(*texts):
        items = "".join(f"<item><g:id>{number}</g:id>{text}</item>" for number, text in enumerate(texts))
        body = (XML[: XML.index("<item>")] + items + "</channel></rss>").encode()
        server.answer = lambda _: Answer(body, headers={"ETag": '"v1"'})
        return read(xml_source)[0]

    page = feed(*texts)
    assert [(str(patch.price), patch.stock) for patch in page.patches] == list(texts.values())
    assert page.validators.etag == '"v1"'
    # What depends on the day is read again each time, of a table too.
    page = feed(dated)
    assert (str(page.patches[0].price), page.validators) == ("15", NO_VALIDATORS)
    path = tmp_path / "feed.csv"
    path.write_text("sku,price,sale price,Date sale price starts\n1,15,9,2020-01-01\n")
    (page,) = read(TableFileSource("file", path))
    patch = page.patches[0]
    assert (str(patch.price), str(patch.sale_price), page.validators) == ("15", "9", NO_VALIDATORS)


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


def test_the_time_that_nested_xml_takes_grows_with_its_depth_alone(xml_source, server):
    def read_s(depth):
        nested = b"<a>" * depth + b"</a>" * depth
        server.answer = lambda _: Answer(b"<rss><channel>" + nested + b"<item><id>1</id></item></channel></rss>")
        began_s = time.process_time()
        read(xml_source)
        return time.process_time() - began_s

    read_s(10)
    # Half a second on an idle core; if each level cost as much as all above it, minutes.
    assert read_s(100_000) < 20.0


@pytest.mark.parametrize(
    "large",
    [b"<item>" + b"<a>%b</a>" % (b"x" * 100) * 11_000 + b"</item>", b"<x><a>" + b"x" * 1_200_000 + b"</a></x>"],
    ids=["item", "text beside"],
)
def test_an_item_of_more_than_a_mebibyte_is_refused(server, large):
    fetcher = Fetcher(headers={}, headers_from_env={}, most_bytes=10_000_000)
    source = MerchantXmlSource(MerchantXmlSettings(name="feed", url=f"{server.url}/feed.xml"), fetcher=fetcher)
    server.answer = lambda _: Answer(b"<rss><channel>" + large + b"</channel></rss>")
    with pytest.raises(FeedError, match="no such XML"):
        read(source)
    source.close()


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


def test_woocommerce_is_read_by_the_example(server, monkeypatch):
    """Answers as of https://woocommerce.github.io/woocommerce-rest-api-docs/#list-all-products."""
    monkeypatch.setenv("WOO_KEYS", "Basic Y2tfMTpjc18y")
    text = (ROOT / "examples" / "woocommerce.toml").read_text(encoding="utf-8")
    (feed,) = msgspec.convert(tomllib.loads(text)["catalog"], CatalogSettings).feeds
    product = {
        "id": 799,
        "name": "Ship Your Idea",
        "permalink": "https://shop.example.com/product/ship-your-idea/",
        "status": "publish",
        "sku": "",
        "price": "21.99",
        "regular_price": "24.99",
        "manage_stock": True,
        "stock_quantity": 4,
        "stock_status": "instock",
        "images": [{"id": 795, "src": "https://shop.example.com/ship-1.jpg", "alt": ""}],
        "variations": [],
    }
    uncounted = product | {"id": 794, "stock_quantity": None, "manage_stock": False, "images": []}

    def answer(request):
        if request.query.get("page") == "2":
            return as_json([uncounted])
        made = as_json([product])
        made.headers["Link"] = f'<{server.url}{request.path}?page=2&per_page=100>; rel="next"'
        return made

    server.answer = answer
    url = feed.url.replace("https://shop.example.com", server.url)
    first, second = read(msgspec.structs.replace(feed, url=url).source())
    (patch,), (other,) = first.patches, second.patches
    assert (patch.sku, str(patch.price), patch.currency, patch.stock) == ("799", "21.99", "CNY", 4)
    assert (patch.image_urls, patch.url) == (("https://shop.example.com/ship-1.jpg",), product["permalink"])
    assert (other.sku, other.stock) == ("794", None)
    asked = server.asked[0]
    assert (asked.path, asked.headers["Authorization"]) == ("/wp-json/wc/v3/products", "Basic Y2tfMTpjc18y")
    assert asked.query == {"per_page": "100", "status": "publish", "stock_status": "instock"}
