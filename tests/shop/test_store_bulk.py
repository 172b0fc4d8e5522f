"""Many products at once, and finding them again."""

from decimal import Decimal
from functools import partial

import pytest

from livecart.shop.database.session import offers_revision, revision
from livecart.shop.errors import InvalidValue
from livecart.shop.repositories import audit, bulk, products, rooms
from livecart.shop.repositories.product_rows import CHUNK
from livecart.shop.repositories.search import search
from livecart.shop.schemas.product import ProductPatch
from tests.shop.catalog_stores import link, patch


def upsert(store, *patches, source=None):
    with store.write("bulk") as session:
        return bulk.upsert(session, patches, source=source)


def test_creates_changes_and_leaves(store):
    assert upsert(store, patch("1", stock=1), patch("2", rooms=("room-1",)), patch("3")) == bulk.Upserted(3, 0, 0)
    done = upsert(store, ProductPatch(sku="1", stock=0), patch("2", rooms=("room-2",)), patch("3"), patch("4"))
    assert done == bulk.Upserted(created=1, changed=2, unchanged=1)
    with store.read() as session:
        one, two, three, four = (products.get(session, sku) for sku in "1234")
    assert (one.stock, one.version) == (0, 2)
    assert (two.rooms, two.version) == (("room-2",), 2)
    assert (three.version, four.version) == (1, 1)


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
        ({"text": "x_"}, ["x_9"]),
        ({"text": "_"}, ["x_9"]),
        ({"text": "\\"}, []),
        ({"text": "' OR 1=1"}, []),
        ({"text": "螺蛳粉 " * 3000}, ["1001", "1002"]),
        ({"text": " ".join(map(str, range(3000)))}, []),
        ({"text": " ".join(chr(0x4E00 + number) for number in range(250))}, []),
        ({"room": "room-1"}, ["1001", "x_9"]),
        ({"room": "room-1 "}, ["1001", "x_9"]),
        ({"brand": "evian "}, ["2001"]),
        ({"brand": "好欢螺", "in_stock": True}, ["1001"]),
        ({"in_stock": False}, ["1002"]),
        ({"on_sale": False}, ["2001"]),
        ({}, ["1001", "1002", "2001", "x_9", "100"]),
    ],
)
def test_search(shop, asked, found):
    with shop.read() as session:
        assert [product.sku for product in search(session, **asked).products] == found


def test_pages_hold_each_product_once(shop):
    seen, cursor = [], None
    with shop.read() as session:
        while True:
            page = search(session, "100", cursor=cursor, limit=1)
            seen += [product.sku for product in page.products]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert seen == ["100", "1001", "1002", "2001"]


def test_a_page_out_of_bounds_is_refused(shop):
    with shop.read() as session, pytest.raises(InvalidValue, match="limit"):
        search(session, limit=0)


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


def test_a_link_of_another_host_comes_in_once_it_is_allowed(shop):
    from livecart.shop.repositories import hosts

    other = patch("7", url=link("7", "m.例子.中国"))
    with pytest.raises(InvalidValue, match="not an allowed"):
        upsert(shop, other)
    with shop.write("alice") as session:
        assert hosts.allow(session, "*.例子.中国") == "*.xn--fsqu00a.xn--fiqs8s"
    assert upsert(shop, other).created == 1
