"""Products in every database: versions, audit, exact prices; many at once, and finding them again."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial

import pytest

from contract.card import PlatformOffer
from contract.catalog import Variant
from livecart.shop.database.session import offers_revision, revision
from livecart.shop.errors import Conflict, InvalidValue
from livecart.shop.repositories import audit, bulk, products, rooms
from livecart.shop.repositories.product_rows import CHUNK
from livecart.shop.repositories.search import search
from livecart.shop.schemas.product import ProductPatch
from livecart.shop.sync import runs
from livecart.shop.sync.source import Page
from tests.shop.catalog_stores import change, patch


def create(store, who="alice", **values):
    with store.write(who) as session:
        return products.create(session, patch(**values))


def sell_out_then_fail(store):
    with store.write("bob") as session:
        products.update(session, ProductPatch(sku="1001", stock=0), expected_version=1)
        1 / 0  # noqa: B018


def get(store, sku="1001"):
    with store.read() as session:
        return products.get(session, sku)


@pytest.mark.parametrize(
    "given",
    [
        {"brand": "好欢螺", "words": ("螺蛳粉", "柳州"), "labels": ("螺蛳粉",), "stock": 40, "threshold": 0.8},
        {"name": "𠮷野家牛丼 🍜", "words": ("🍜", "全角　空白"), "rooms": ("room-2", "room-1")},
        {"rooms": (), "on_sale": False},
        {"rooms": None, "price": None, "currency": "CNY"},
    ],
)
def test_what_was_written_is_read_back(store, clock, given):
    create(store, **given)
    product = get(store)
    assert {name: getattr(product, name) for name in given} == given
    assert (product.version, product.updated_at_s) == (1, clock())


def test_a_price_keeps_every_digit(store):
    texts = ["0", "12.90", "12.9", "0.0001", "99999999999999.9999", "0.10", "100"]
    for text in texts:
        create(store, sku=text, price=Decimal(text))
    assert [str(get(store, text).price) for text in texts] == texts


def test_skus_differ_by_case_and_accent(store):
    for sku in ("a1", "A1", "á1"):
        create(store, sku=sku, name=f"name of {sku}")
    assert [get(store, sku).name for sku in ("a1", "A1", "á1")] == ["name of a1", "name of A1", "name of á1"]


def test_of_edits_at_the_same_moment_one_wins_and_none_is_lost(store):
    create(store, stock=0)
    start = threading.Barrier(8)

    def take_one(_):
        start.wait()
        while True:
            version = get(store)
            try:
                with store.write("till") as session:
                    more = ProductPatch(sku="1001", stock=version.stock + 1)
                    products.update(session, more, expected_version=version.version)
            except Conflict:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take_one, range(8)))
    assert (get(store).stock, get(store).version) == (8, 9)


def test_a_removed_product_is_gone_with_its_rooms(store):
    create(store, rooms=("room-1",))
    with pytest.raises(Conflict), store.write("bob") as session:
        products.remove(session, "1001", expected_version=7)
    with store.write("bob") as session:
        products.remove(session, "1001", expected_version=1)
    with store.read() as session:
        assert products.find(session, "1001") is None
        assert products.count(session) == 0
    create(store, rooms=("room-2",))
    assert get(store).rooms == ("room-2",)


def test_what_fails_leaves_neither_a_change_nor_an_audit_entry(store):
    create(store, stock=3)
    with pytest.raises(ZeroDivisionError):
        sell_out_then_fail(store)
    assert get(store).stock == 3
    with store.read() as session:
        assert [entry.who for entry in audit.latest(session, subject="product")] == ["alice"]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("sku", " 1", "blank"),
        ("sku", "a\nb", "control"),
        ("name", "  ", "empty"),
        ("name", "half \ud800", "control"),
        ("url", "http://shop.example.com/1", "only https"),
        ("url", "https://evil.example.org/1", "not an allowed"),
        ("url", "https://shop.example.com/" + "a" * 2048, "longer"),
        ("price", Decimal("NaN"), "between 0"),
        ("price", Decimal("1.00001"), "digits"),
        ("price", Decimal("1e20"), "between 0"),
        ("currency", "元", "capital"),
        ("stock", -1, "between 0"),
        ("words", ("",), "empty"),
        ("rooms", ("x" * 129,), "longer"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(sqlite_store, field, value, told):
    with pytest.raises(InvalidValue, match=told) as caught:
        create(sqlite_store, **{"url": "https://shop.example.com/1", field: value})
    assert caught.value.field == field


def test_listeners_hear_of_commits_and_of_nothing_else(store):
    heard = []
    stop = store.on_change(heard.append)
    # One that fails hides no commit.
    store.on_change(lambda change: 1 / 0)
    create(store, stock=3)
    with pytest.raises(ZeroDivisionError):
        sell_out_then_fail(store)
    change(store, "1001", stock=2)
    assert [(set(change.skus), change.shows_in_snapshot) for change in heard] == [({"1001"}, True), ({"1001"}, False)]
    stop()
    with store.write("bob") as session:
        products.remove(session, "1001", expected_version=2)
    assert (len(heard), store.stats.listener_failures) == (2, 3)


def test_every_product_in_one_moment(store):
    for number in range(3):
        create(store, sku=f"{number}")
    with store.read(consistent=True) as session:
        every = products.every(session)
        first = next(every)
        create(store, sku="late")
        seen = [first.sku, *(product.sku for product in every)]
    assert seen == ["0", "1", "2"]


def upsert(store, *patches, source=None):
    with store.write("bulk") as session:
        return bulk.upsert(session, patches, source=source)


def test_more_than_a_batch_with_fields_of_each_kind(store):
    patches = [
        patch(f"s{number}", price=Decimal(number) / 100, currency="CNY", rooms=(f"room-{number % 3}",))
        for number in range(CHUNK * 2 + 7)
    ]
    done = bulk.in_batches(partial(store.edit, "bulk"), iter(patches), source="feed")
    assert done.created == len(patches)
    with store.read() as session:
        assert products.count(session) == len(patches)
        last = products.get(session, patches[-1].sku)
        assert len(rooms.listed(session, "room-0")) == len([p for p in patches if p.rooms == ("room-0",)])
    assert (last.price, last.source) == (patches[-1].price, "feed")


def test_one_bad_entry_undoes_them_all_and_is_named(store):
    with pytest.raises(InvalidValue, match="product 2: url: only https"):
        upsert(store, patch("1"), patch("2", url="http://shop.example.com/2"))
    with pytest.raises(InvalidValue, match="product 2: sku: '1' stands twice"):
        upsert(store, patch("1"), patch("1"))
    with pytest.raises(InvalidValue, match="a new product needs one"):
        upsert(store, ProductPatch(sku="9", stock=1))
    with store.read() as session:
        assert products.count(session) == 0


def test_each_change_is_in_the_audit_log(store):
    upsert(store, patch("1", stock=1), patch("2"))
    upsert(store, patch("1", stock=5), patch("2"))
    with store.read() as session:
        entries = audit.latest(session, who="bulk")
    assert [(entry.action, entry.name) for entry in entries] == [("update", "1"), ("create", "2"), ("create", "1")]
    assert (entries[0].before, entries[0].after) == ({"stock": 1}, {"stock": 5})


def test_a_product_whose_every_list_is_long_is_taken_whole_and_cleared(store):
    names = tuple(f"{'w' * 50}{number}" for number in range(280))
    given = {
        "words": names,
        "labels": names,
        "rooms": names,
        "image_urls": tuple(f"https://shop.example.com/{'x' * 1900}{number}" for number in range(8)),
        "offers": tuple(
            PlatformOffer(platform=f"p{number}", item_id="1", url=f"https://shop.example.com/{'x' * 1900}")
            for number in range(7)
        ),
        "variants": tuple(Variant(sku=f"v{number}", name="红色" * 9, stock=1) for number in range(150)),
    }
    with store.write("sync:shop") as session:
        run = runs.begin(session, "shop", "lease")
        runs.keep_page(session, run.id, "lease", Page([patch("1001", **given)]))
        products.create(session, runs.items_after(session, run.id, "", 1)[0][0])
    change(store, "1001", **dict.fromkeys(given, ()))
    with store.read() as session:
        cleared = audit.latest(session, limit=1)[0]
    assert (len(cleared.before["words"]), cleared.after["words"]) == (280, [])


def test_the_revisions_grow_only_by_what_a_snapshot_and_the_offers_show(store):
    def now():
        with store.read() as session:
            return revision(session), offers_revision(session)

    snapshot, offers = now()
    upsert(store, patch("1", stock=9))
    assert now() == (snapshot + 1, offers + 1)
    upsert(store, ProductPatch(sku="1", stock=4))
    assert now() == (snapshot + 1, offers + 1)
    upsert(store, ProductPatch(sku="1", stock=0))
    assert now() == (snapshot + 1, offers + 2)
    upsert(store, ProductPatch(sku="1", words=("新",)))
    assert now() == (snapshot + 2, offers + 3)
    upsert(store, ProductPatch(sku="1", words=("旧",), price=Decimal("1")))
    assert now()[0] == snapshot + 3
    assert now()[1] > offers + 3


@pytest.fixture
def shop(store):
    upsert(
        store,
        patch("1001", name="好欢螺螺蛳粉 300g", brand="好欢螺", words=("柳州",), rooms=("room-1",)),
        patch("1002", name="好欢螺加辣螺蛳粉", brand="好欢螺", stock=0),
        patch("2001", name="Evian 依云矿泉水 100% pure", brand="evian", on_sale=False),
        patch("x_9", name="ＡＢＣ 酱油", rooms=("room-1", "room-2")),
        patch("100", name="一百"),
    )
    return store


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"text": "螺蛳粉"}, ["1001", "1002"]),
        ({"text": "柳州"}, ["1001"]),
        ({"text": "加辣 好欢螺"}, ["1002"]),
        ({"text": "EVIAN"}, ["2001"]),
        ({"text": "abc"}, ["x_9"]),
        ({"text": "100"}, ["100", "1001", "1002", "2001"]),
        ({"text": "100%"}, ["2001"]),
        ({"text": "_"}, ["x_9"]),
        ({"text": "\\"}, []),
        ({"text": "螺蛳粉 " * 3000}, ["1001", "1002"]),
        ({"text": " ".join(map(str, range(3000)))}, []),
        ({"text": " ".join(chr(0x4E00 + number) for number in range(250))}, []),
        ({"room": "room-1 "}, ["1001", "x_9"]),
        ({"brand": "evian "}, ["2001"]),
        ({"brand": "好欢螺", "in_stock": True}, ["1001"]),
        ({"on_sale": False}, ["2001"]),
        ({}, ["1001", "1002", "2001", "x_9", "100"]),
    ],
)
def test_search(shop, asked, found):
    with shop.read() as session:
        assert [product.sku for product in search(session, **asked).products] == found


def test_a_rooms_list_is_set_whole(shop):
    with shop.write("alice") as session:
        rooms.save(session, "room-1", "直播间一")
        rooms.set_list(session, "room-1", ["1002", "x_9"])
    with shop.read() as session:
        assert rooms.listed(session, "room-1") == ["1002", "x_9"]
        left, came, stayed = (products.get(session, sku) for sku in ("1001", "1002", "x_9"))
        assert [room.listed for room in rooms.every(session)] == [2]
    assert (left.rooms, left.version) == ((), 2)
    assert (came.rooms, came.version) == (("room-1",), 2)
    assert (stayed.rooms, stayed.version) == (("room-1", "room-2"), 1)
