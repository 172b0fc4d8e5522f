"""A product of several variants: price and stock follow from them, and feeds and tables say which rows are one."""

from decimal import Decimal

import pytest

from contract.catalog import Variant
from livecart.shop.availability.product import read_availability
from livecart.shop.database.session import offers_revision, revision
from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export import groups
from livecart.shop.import_export.folder import export_folder, import_folder
from livecart.shop.import_export.spreadsheet import read_table, write_csv
from livecart.shop.import_export.table_import import import_table
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.schemas.product import ProductPatch
from livecart.shop.sync.http_fetch import Fetcher
from livecart.shop.sync.http_json import HttpJsonSettings, HttpJsonSource
from livecart.shop.sync.merchant_xml import MerchantXmlSettings, MerchantXmlSource
from livecart.shop.sync.source import NO_VALIDATORS
from livecart.shop.sync.syncer import Syncer
from tests.shop.api_clients import app_of, client_of, token_of
from tests.shop.catalog_stores import add, allow_shop, change, get, link, patch
from tests.shop.feed_server import Answer, FeedServer, as_json


def variant(sku="R-M", price="59.00", stock=3, **more):
    return Variant(sku=sku, name=more.pop("name", sku), price=price and Decimal(price), stock=stock, **more)


def answer_of(store, sku="1001"):
    with store.read() as session:
        return read_availability(session, [sku], 0.0)[0]


@pytest.mark.parametrize(
    ("variants", "price", "is_from", "stock"),
    [
        ([variant(), variant("R-L", "69.00")], "59.00", True, 6),
        ([variant(), variant("R-L", "59.0")], "59.00", False, 6),
        ([variant(stock=0), variant("R-L", "69.00")], "69.00", False, 3),
        ([variant(stock=0), variant("R-L", "69.00", 0)], "59.00", True, 0),
        ([variant(stock=None), variant("R-L", "69.00", 0)], "59.00", False, None),
        ([variant(price=None), variant("R-L", "69.00")], "69.00", False, 6),
        ([variant(price=None)], "12.90", False, 3),
    ],
)
def test_price_and_stock_are_those_of_the_variants(store, variants, price, is_from, stock):
    add(store, patch(price=Decimal("12.90"), stock=9, variants=tuple(variants)))
    made = get(store, "1001")
    assert (str(made.price), made.is_from_price, made.stock) == (price, is_from, stock)
    assert made.variants == tuple(variants)
    answer = answer_of(store)
    assert (str(answer.price), answer.is_from_price) == (price, is_from)
    assert answer.refusal == ("sold_out" if stock == 0 else None)


def test_a_variants_price_and_stock_change_without_a_snapshot(store):
    add(store, patch(variants=(variant(), variant("R-L", "69.00"))))
    with store.read() as session:
        before = revision(session), offers_revision(session)
    change(store, "1001", variants=(variant(price="49.00"), variant("R-L", "69.00", 0)))
    with store.read() as session:
        after = revision(session), offers_revision(session)
    assert after[0] == before[0]
    assert after[1] > before[1]


def test_price_and_stock_are_not_written_past_the_variants(store):
    add(store, patch(variants=(variant(),)))
    for given in ({"price": Decimal(1)}, {"stock": 1}):
        with pytest.raises(InvalidValue) as refused:
            change(store, "1001", **given)
        assert refused.value.reason == "of_variants"
    assert change(store, "1001", price=Decimal("59.00"), stock=3).version == 1
    assert change(store, "1001", variants=(variant(price=None),)).price is None
    changed = change(store, "1001", variants=(), price=Decimal(5))
    assert (str(changed.price), changed.variants, changed.is_from_price) == ("5", (), False)


@pytest.mark.parametrize(
    ("variants", "reason"),
    [
        ([variant(), variant()], "sku_twice"),
        ([variant("a|b")], "holds_a_bar"),
        ([variant(image_url="http://cdn.example.com/1.jpg")], "variant"),
        ([variant(name=" ")], "variant"),
        ([variant(price="-1")], "variant"),
        ([variant(stock=-1)], "variant"),
        ([variant(str(number)) for number in range(201)], "too_many_entries"),
    ],
)
def test_what_is_no_variant_is_refused(sqlite_store, variants, reason):
    with pytest.raises(InvalidValue) as refused:
        add(sqlite_store, patch(variants=tuple(variants)))
    assert (refused.value.field, refused.value.reason) == ("variants", reason)


def test_a_till_counts_a_variant_through_the_api(service, store):
    client = client_of(app_of(service), token_of(store, "edit"))
    body = {"sku": "1001", "name": "连衣裙", "url": link("1001"), "currency": "CNY"}
    listed = [
        {"sku": "R-M", "name": "红色 M", "price": "59.00", "stock": 3},
        {"sku": "R-L", "name": "红色 L", "price": "69.00"},
    ]
    made = client.post("products", json=body | {"variants": listed}).json()
    assert (made["price"], made["is_from_price"], made["stock"]) == ("59.00", True, None)
    assert made["variants"] == listed
    changed = client.put("stock/1001", json={"stock": 0, "variant": "R-M"}).json()
    assert (changed["price"], changed["variants"][0]["stock"]) == ("69.00", 0)
    confirmed = client.post("stock/confirm", json={"skus": ["1001"]}).json()["confirmed"][0]
    assert (confirmed["price"], confirmed["is_from_price"]) == ("69.00", False)
    for body, status, reason in (
        ({"stock": 1, "variant": "R-S"}, 404, "no_variant"),
        ({"stock": 1}, 422, "of_variants"),
    ):
        refused = client.put("stock/1001", json=body)
        assert (refused.status_code, refused.json()["error"]["reason"]) == (status, reason)
    assert client.put("stock/2002", json={"stock": 1, "variant": "R-S"}).status_code == 404


NAMED = (
    variant("=1+1", "1.299", name="红|蓝 &amp; M", image_url="https://cdn.example.com/a?b=1&c=2"),
    variant("001", None, None, name="https://x"),
)


def test_variants_survive_a_csv_and_a_folder(sqlite_store, tmp_path):
    add(sqlite_store, patch(variants=NAMED), patch("2002", on_sale=False, variants=(variant(),)))
    kept = [get(sqlite_store, sku) for sku in ("1001", "2002")]
    data = "".join(write_csv(kept)).encode()
    assert [row.variants for _, row in read_table(data, "catalog.csv")] == [NAMED, (variant(),)]
    assert import_table(sqlite_store, read_table(data, "catalog.csv"), who="bob").unchanged == 2
    blobs = BlobFolder(tmp_path / "blobs")
    with sqlite_store.read() as session:
        export_folder(session, blobs, tmp_path / "out")
    done = import_folder(sqlite_store, blobs, tmp_path / "out", who="bob")
    # What is off sale is sold out in a folder, and nothing of it may come back on sale.
    assert (done.upserted.unchanged, done.upserted.changed) == (1, 1)
    assert get(sqlite_store, "1001").variants == NAMED
    assert get(sqlite_store, "2002").stock == 0


TABLE = """商品组,货号,名称,链接,颜色,尺码,价格,库存,在售,图片
P1,P1-RM,连衣裙 红色 M,https://shop.example.com/p1,红色,M,¥59.00,3,是,https://cdn.example.com/r.jpg
,2002,好欢螺螺蛳粉,https://shop.example.com/2,,,12.90,5,是,
P1,P1-RL,连衣裙 红色 L,https://shop.example.com/p1,红色,L,¥69.00,4,是,https://cdn.example.com/r.jpg
P1,P1-RX,连衣裙 红色 XL,https://shop.example.com/p1,红色,XL,贵,4,是,
P1,P1-RS,连衣裙 红色 S,https://shop.example.com/p1,红色,S,49,4,否,https://cdn.example.com/s.jpg
P1,P1-RM,连衣裙 红色 M,https://shop.example.com/p1,红色,M,1,1,是,
P1,P1-US,连衣裙 红色 US,https://shop.example.com/p1,红色,US,US$9,1,是,
"""


def test_rows_of_one_group_are_one_product():
    rows = [row for _, row in read_table(TABLE.encode(), "t.csv")]
    single, *bad, product = rows
    assert [(each.reason, each.sku) for each in bad] == [
        ("not_a_price", "P1"),
        ("sku_twice", "P1"),
        ("group_currency_differs", "P1"),
    ]
    assert (single.sku, single.variants) == ("2002", ProductPatch(sku="-").variants)
    assert (product.sku, product.name, product.currency, product.on_sale) == ("P1", "连衣裙 红色", "CNY", True)
    assert product.image_urls == ("https://cdn.example.com/r.jpg", "https://cdn.example.com/s.jpg")
    assert [(each.sku, each.name, str(each.price), each.stock) for each in product.variants] == [
        ("P1-RM", "M", "59.00", 3),
        ("P1-RL", "L", "69.00", 4),
        ("P1-RS", "S", "49", 0),
    ]


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["T-shirt - Light green", "T-shirt - Light grey"], "T-shirt - Light"),
        (["Shirt Black", "Shirt Blue"], "Shirt"),
        (["Shirt", "Shirt XL"], "Shirt"),
        (["连衣裙红色", "连衣裙蓝色"], "连衣裙"),
        (["连衣裙（红白）", "连衣裙（红黑）", "连衣裙（蓝）"], "连衣裙"),
        (["红色连衣裙", "红白连衣裙"], "红色连衣裙"),
        (["Red shirt", "Blue shirt", "Blue shirt M"], "Red shirt"),
        (["杯子", "杯子"], "杯子"),
    ],
)
def test_a_group_is_called_what_its_names_begin_with(names, name):
    rows = "".join(f"G,{number},{each}\n" for number, each in enumerate(names))
    ((_, product),) = read_table(f"商品组,货号,名称\n{rows}".encode(), "t.csv")
    assert product.name == name


def test_a_file_of_too_many_grouped_rows_is_refused(monkeypatch):
    monkeypatch.setattr(groups, "MOST_GROUPED", 2)
    rows = "".join(f"G{number},{number},杯子\n" for number in range(3))
    with pytest.raises(FeedError, match="more than 2 entries"):
        list(read_table(f"商品组,货号,名称\n{rows}".encode(), "t.csv"))


@pytest.fixture
def server():
    opened = FeedServer()
    yield opened
    opened.close()


def item(number, group="", **more):
    told = {
        "id": number, "item_group_id": group, "title": f"Dress {more.get('color', '')}".strip(), "link": link(number),
        "price": "59.00 CNY", "availability": "in stock", "gender": "female", **more,
    }  # fmt: skip
    return "<item>" + "".join(f"<g:{name}>{value}</g:{name}>" for name, value in told.items() if value) + "</item>"


def feed(*items):
    return f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{"".join(items)}</channel></rss>'.encode()


def merchant(server):
    fetcher = Fetcher(headers={}, headers_from_env={}, most_bytes=10_000_000, retries=0, backoff_s=0.01)
    return MerchantXmlSource(MerchantXmlSettings(name="m", url=f"{server.url}/feed.xml"), fetcher=fetcher)


def test_items_of_a_merchant_group_join_wherever_they_stand(server, sqlite_store):
    allow_shop(sqlite_store)
    single = [item(f"s{number}") for number in range(1100)]
    red = item("r", "G", color="red", image_link="https://cdn.example.com/r.jpg")
    blue = item("b", "G", color="blue", price="69.00 CNY", image_link="https://cdn.example.com/b.jpg")
    server.answer = lambda _: Answer(feed(red, *single, blue))
    source = merchant(server)
    pages = list(source.pages(None, NO_VALIDATORS))
    assert [len(page.patches) for page in pages] == [999, 102]
    (rest,) = source.pages(pages[0].next_cursor, NO_VALIDATORS)
    assert rest.patches == pages[1].patches
    Syncer(sqlite_store, source).sync_once()
    made = get(sqlite_store, "G")
    assert (made.name, str(made.price), made.is_from_price, made.stock) == ("Dress", "59.00", True, None)
    assert [(each.sku, each.name) for each in made.variants] == [("r", "red"), ("b", "blue")]
    assert made.image_urls == ("https://cdn.example.com/r.jpg", "https://cdn.example.com/b.jpg")
    # A group of which no item is good stays as it is; a bad item of a group does not.
    server.answer = lambda _: Answer(feed(*single, item("b", "G", color="blue", price="dear")))
    assert Syncer(sqlite_store, source).sync_once().outcome == "done"
    assert get(sqlite_store, "G").on_sale
    sold_out = item("b", "G", color="blue", availability="out of stock")
    server.answer = lambda _: Answer(feed(*single, sold_out))
    assert Syncer(sqlite_store, source).sync_once().outcome == "done"
    assert answer_of(sqlite_store, "G").refusal == "sold_out"


def test_a_json_feed_lists_variants_in_a_product(server, sqlite_store):
    allow_shop(sqlite_store)
    settings = HttpJsonSettings(
        name="j", url=f"{server.url}/products",
        fields={"sku": "id", "name": "title", "url": "href", "stock": "count"},
        variants="skus", variant_fields={"sku": "id", "name": "spec.text", "price": "price", "stock": "left"},
    )  # fmt: skip
    listed = [
        {"id": 11, "spec": {"text": "红 M"}, "price": "¥59.90", "left": "有货"},
        {"id": 12, "spec": {}, "price": 49.5, "left": 0},
    ]
    products = [
        {"id": "1", "title": "连衣裙", "href": link("1"), "count": 7, "skus": listed},
        {"id": "2", "title": "杯子", "href": link("2"), "count": 7},
        {"id": "3", "title": "帽子", "href": link("3"), "skus": [{"id": "31", "price": "dear"}]},
        {"id": "4", "title": "帽子", "href": link("4"), "skus": {"total": 2}},
        {"id": "5", "title": "帽子", "href": link("5"), "skus": ["51"]},
    ]
    server.answer = lambda _: as_json(products)
    source = HttpJsonSource(settings)
    (page,) = source.pages(None, NO_VALIDATORS)
    assert "item 3: variants: variant '31': 'dear' is no decimal number" in page.bad[0]
    assert "item 5: variants: variant 'None': is missing" in page.bad[2]
    assert page.bad_skus == ["3", "4", "5"]
    Syncer(sqlite_store, HttpJsonSource(settings)).sync_once(dry_run=True)
    first, second = page.patches
    assert [(each.sku, each.name, str(each.price), each.stock) for each in first.variants] == [
        ("11", "红 M", "59.90", None),
        ("12", "12", "49.5", 0),
    ]
    assert (first.currency, second.variants, second.stock) == ("CNY", (), 7)
