"""What a card says beside the price: a sale that ends by itself, few left, a coupon, a limit for each buyer."""

from decimal import Decimal

import pytest

from contract.card import Selling
from livecart.server.shop_availability import ShopAvailability
from livecart.shop.admin.product_form import patch_of, posted, values_of
from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.availability.entries import MemoryEntries
from livecart.shop.errors import InvalidValue
from livecart.shop.import_export.folder import export_folder, import_folder
from livecart.shop.import_export.spreadsheet import read_table, write_csv
from livecart.shop.import_export.table_import import import_table
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.schemas.product import ProductPatch
from tests.shop.api_clients import app_of, client_of, token_of
from tests.shop.catalog_stores import add, change, get, link, patch
from tests.shop.test_variants import variant

PRICES = {"price": Decimal("79.00"), "sale_price": Decimal("59.90")}
TERMS = {"coupon": "满 200 减 20", "limit_per_buyer": 2}


@pytest.fixture
def cache(store, clock):
    entries = MemoryEntries(keep_s=60.0, monotonic_s=clock)
    opened = AvailabilityCache(store, entries, max_age_s=60.0, now_s=clock, monotonic_s=clock)
    yield opened
    opened.close()


def said(cache):
    answer = cache.check(["1001"])["1001"]
    return str(answer.price), answer.selling


def test_a_sale_ends_by_itself_also_where_its_answer_was_kept(store, cache, clock):
    ends_at_s = clock() + 10
    add(store, patch(**PRICES, sale_to_s=ends_at_s))
    assert said(cache) == ("59.90", Selling(usual_price="79.00", sale_ends_at_s=ends_at_s))
    clock.pass_s(9.9)
    assert said(cache)[0] == "59.90"
    clock.pass_s(0.1)
    assert (said(cache), cache.stats.misses) == (("79.00", None), 1)
    clock.pass_s(60)
    assert said(cache) == ("79.00", None)
    change(store, "1001", sale_to_s=None, coupon="满减")
    assert said(cache) == ("59.90", Selling(usual_price="79.00", coupon="满减"))
    change(store, "1001", sale_price=Decimal("79.00"))
    assert said(cache) == ("79.00", Selling(coupon="满减"))


@pytest.mark.parametrize(("stock", "left"), [(None, None), (6, None), (5, 5), (1, 1)])
def test_few_left_is_said_only_of_a_count_that_is_low(sqlite_store, clock, stock, left):
    cache = AvailabilityCache(sqlite_store, MemoryEntries(keep_s=1.0, monotonic_s=clock), now_s=clock)
    add(sqlite_store, patch(stock=stock, limit_per_buyer=2))
    assert cache.check(["1001"])["1001"].selling == Selling(stock_left=left, limit_per_buyer=2)
    cache.close()


async def test_a_card_is_offered_with_it(store, cache):
    add(store, patch(**PRICES, **TERMS, stock=3))
    availability = ShopAvailability(cache, refresh_after_s=1.0)
    offer = (await availability.ask(["1001"]))["1001"]
    availability.close()
    assert (offer.price, offer.selling) == ("59.90", Selling(usual_price="79.00", stock_left=3, **TERMS))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"sale_price": Decimal(-1)}, "out_of_range"),
        ({"sale_to_s": float("nan")}, "out_of_range"),
        ({"sale_to_s": 1e12}, "out_of_range"),
        ({"coupon": "满" * 41}, "too_long"),
        ({"coupon": "满\n减"}, "control_characters"),
        ({"limit_per_buyer": 0}, "out_of_range"),
        ({"sale_price": Decimal(1), "variants": (variant(),)}, "of_variants"),
    ],
)
def test_what_cannot_be_said_is_refused(sqlite_store, values, reason):
    with pytest.raises(InvalidValue) as refused:
        add(sqlite_store, patch(**values))
    assert refused.value.reason == reason
    assert refused.value.field in values


def test_variants_end_a_sale_of_the_whole(store):
    add(store, patch(**PRICES, sale_to_s=4e9))
    assert change(store, "1001", variants=(variant(),)).sale_price is None
    assert (get(store, "1001").sale_to_s, str(get(store, "1001").price)) == (None, "59.00")


def test_it_is_written_and_confirmed_through_the_api(service, store):
    client = client_of(app_of(service), token_of(store, "edit"))
    terms = {"sale_price": "59.90", "sale_to_s": 4e9, "coupon": "满 200 减 20", "limit_per_buyer": 2}
    made = client.post(
        "products", json={"sku": "1001", "name": "锅", "url": link("1"), "price": "79.00", **terms}
    ).json()
    assert {name: made[name] for name in terms} == terms
    confirmed = client.post("stock/confirm", json={"skus": ["1001"]}).json()["confirmed"][0]
    assert (confirmed["price"], confirmed["selling"]) == (
        "59.90",
        {"usual_price": "79.00", "sale_ends_at_s": 4e9, "stock_left": None, **TERMS},
    )
    kept = client.patch("products/1001", json={"sale_price": None}, headers={"If-Match": "*"}).json()
    assert (kept["sale_price"], kept["price"]) == (None, "79.00")
    for wrong in ({"sale_price": 5}, {"limit_per_buyer": 0}, {"sale_to_s": -1}):
        assert client.patch("products/1001", json=wrong, headers={"If-Match": "*"}).status_code == 422


def test_it_survives_a_csv_and_a_folder(sqlite_store, tmp_path):
    add(
        sqlite_store,
        patch(**PRICES, sale_to_s=4_000_000_000.5, coupon="=1+1", limit_per_buyer=2),
        patch("2002", price=Decimal("2.000"), sale_price=Decimal("1.299")),
    )
    data = "".join(write_csv([get(sqlite_store, sku) for sku in ("1001", "2002")])).encode()
    for table in (data, data.replace(b"59.90", b"59.9")):
        done = import_table(sqlite_store, read_table(table, "catalog.csv"), who="bob")
        assert (done.unchanged, done.bad_rows) == (2, [])
    blobs = BlobFolder(tmp_path / "blobs")
    with sqlite_store.read() as session:
        export_folder(session, blobs, tmp_path / "out")
    assert import_folder(sqlite_store, blobs, tmp_path / "out", who="bob").upserted.unchanged == 2


def test_a_form_that_is_saved_as_it_was_changes_nothing(sqlite_store):
    add(sqlite_store, patch(**PRICES, **TERMS, sale_to_s=4e9), patch("2", variants=(variant(stock=None),)))
    for sku in ("1001", "2"):
        values = values_of(get(sqlite_store, sku))
        assert patch_of(sku, posted(values), values) == ProductPatch(sku=sku)


def test_a_table_has_columns_for_it():
    table = "货号,售价,活动价,活动结束时间,优惠券,每人限购\n1,79.00,59.90,2096-11-11T20:00+08:00,满减,2\n"
    ((_, row),) = read_table(table.encode(), "t.csv")
    assert row == ProductPatch(
        sku="1", price=Decimal("79.00"), sale_price=Decimal("59.90"), sale_to_s=4_003_473_600.0, coupon="满减",
        limit_per_buyer=2,
    )  # fmt: skip
