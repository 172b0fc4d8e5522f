"""Products: read, create, change, remove, with versions, audit and exact prices, in every database."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from livecart.shop.errors import Conflict, InvalidValue, NotFound
from livecart.shop.repositories import audit, products
from livecart.shop.schemas.product import ProductPatch
from tests.shop.catalog_stores import patch


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


def test_what_was_written_is_read_back(store, clock):
    given = {
        "brand": "好欢螺",
        "words": ("螺蛳粉", "柳州"),
        "labels": ("螺蛳粉",),
        "price": Decimal("12.90"),
        "currency": "CNY",
        "stock": 40,
        "threshold": 0.8,
        "rooms": ("room-2", "room-1"),
    }
    create(store, **given)
    product = get(store)
    assert {name: getattr(product, name) for name in given} == given
    assert (product.version, product.updated_at_s, product.on_sale) == (1, clock(), True)


@pytest.mark.parametrize("text", ["0", "12.90", "12.9", "0.0001", "99999999999999.9999", "0.10", "100"])
def test_a_price_keeps_every_digit(store, text):
    create(store, price=Decimal(text), currency="CNY")
    assert str(get(store).price) == text


def test_skus_differ_by_case_and_accent(store):
    for sku in ("a1", "A1", "á1"):
        create(store, sku=sku, name=f"name of {sku}")
    assert [get(store, sku).name for sku in ("a1", "A1", "á1")] == ["name of a1", "name of A1", "name of á1"]


def test_four_byte_characters_survive(store):
    create(store, name="𠮷野家牛丼 🍜", words=("🍜", "全角　空白"))
    assert get(store).name == "𠮷野家牛丼 🍜"
    assert get(store).words == ("🍜", "全角　空白")


def test_a_patch_changes_only_what_it_gives(store, clock):
    create(store, price=Decimal("5.00"), currency="CNY", rooms=("room-1",))
    clock.pass_s(60)
    with store.write("bob") as session:
        changed = products.update(session, ProductPatch(sku="1001", stock=0), expected_version=1)
    assert changed == get(store)
    assert (changed.stock, changed.price, changed.rooms, changed.version) == (0, Decimal("5.00"), ("room-1",), 2)
    assert changed.updated_at_s == clock()


def test_a_change_to_what_it_is_already_changes_nothing(store):
    before = create(store, stock=3)
    with store.write("bob") as session:
        products.update(session, ProductPatch(sku="1001", stock=3), expected_version=1)
    assert get(store) == before


def test_rooms_none_and_no_rooms_are_two_things(store):
    create(store, sku="everywhere", rooms=None)
    create(store, sku="nowhere", rooms=())
    assert get(store, "everywhere").rooms is None
    assert get(store, "nowhere").rooms == ()


def test_an_edit_of_an_old_version_is_refused_with_both_values(store):
    create(store, stock=3)
    with store.write("bob") as session:
        products.update(session, ProductPatch(sku="1001", stock=2), expected_version=1)
    with pytest.raises(Conflict, match="somebody else") as caught, store.write("carol") as session:
        products.update(session, ProductPatch(sku="1001", stock=9), expected_version=1)
    assert (caught.value.theirs["stock"], caught.value.theirs["version"]) == (2, 2)
    assert caught.value.yours == {"sku": "1001", "stock": 9}
    assert get(store).stock == 2


def test_of_edits_at_the_same_moment_one_wins_and_none_is_lost(store):
    create(store, stock=0)
    start = threading.Barrier(8)

    def take_one(_):
        start.wait()
        while True:
            version = get(store)
            try:
                with store.write("till") as session:
                    products.update(
                        session,
                        ProductPatch(sku="1001", stock=version.stock + 1),
                        expected_version=version.version,
                    )
            except Conflict:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take_one, range(8)))
    assert (get(store).stock, get(store).version) == (8, 9)


def test_a_sku_that_is_taken_tells_who_has_it(store):
    create(store, name="first")
    with pytest.raises(Conflict, match="taken") as caught:
        create(store, name="second")
    assert caught.value.theirs["name"] == "first"


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


def test_what_is_not_there_is_told_by_name(store):
    with pytest.raises(NotFound, match="'7'"):
        get(store, "7")
    with pytest.raises(NotFound, match="'7'"), store.write("bob") as session:
        products.update(session, ProductPatch(sku="7", stock=1), expected_version=None)


def test_the_audit_log_says_who_changed_what(store, clock):
    create(store, who="alice", stock=3)
    with store.write("bob") as session:
        products.update(session, ProductPatch(sku="1001", stock=2, name="新名字"), expected_version=1)
    with store.write("carol") as session:
        products.remove(session, "1001", expected_version=2)
    with store.read() as session:
        deleted, updated, created = audit.latest(session, subject="product", name="1001")
    assert [entry.who for entry in (created, updated, deleted)] == ["alice", "bob", "carol"]
    assert (updated.before, updated.after) == (
        {"name": "好欢螺螺蛳粉 1001", "stock": 3},
        {"name": "新名字", "stock": 2},
    )
    assert created.after["stock"] == 3
    assert deleted.before["name"] == "新名字"
    assert updated.at_s == clock()


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
        ("sku", "x" * 129, "longer"),
        ("name", "  ", "empty"),
        ("name", "half \ud800", "control"),
        ("url", "http://shop.example.com/1", "only https"),
        ("url", "javascript:alert(1)", "only https"),
        ("url", "https://evil.example.org/1", "not an allowed"),
        ("url", "https://shop.example.com/" + "a" * 2048, "longer"),
        ("price", Decimal("-1"), "between 0"),
        ("price", Decimal("NaN"), "between 0"),
        ("price", Decimal("1.00001"), "digits"),
        ("price", Decimal("1e20"), "between 0"),
        ("currency", "元", "capital"),
        ("stock", -1, "between 0"),
        ("threshold", 1.5, "between 0 and 1"),
        ("words", ("",), "empty"),
        ("rooms", ("x" * 129,), "longer"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(sqlite_store, field, value, told):
    with pytest.raises(InvalidValue, match=told) as caught:
        create(sqlite_store, **{"url": "https://shop.example.com/1", field: value})
    assert caught.value.field == field


def test_a_new_product_needs_name_and_link(store):
    with pytest.raises(InvalidValue, match="needs one"), store.write("bob") as session:
        products.create(session, ProductPatch(sku="1"))


def test_listeners_hear_of_commits_and_of_nothing_else(store):
    heard = []
    stop = store.on_change(heard.append)
    create(store, stock=3)
    with pytest.raises(ZeroDivisionError):
        sell_out_then_fail(store)
    with store.write("bob") as session:
        products.update(session, ProductPatch(sku="1001", stock=2), expected_version=1)
    assert [(set(change.skus), change.shows_in_snapshot) for change in heard] == [({"1001"}, True), ({"1001"}, False)]
    stop()
    with store.write("bob") as session:
        products.remove(session, "1001", expected_version=2)
    assert len(heard) == 2


def test_a_listener_that_fails_hides_no_commit(store):
    store.on_change(lambda change: 1 / 0)
    create(store)
    assert get(store).version == 1
    assert store.stats.listener_failures == 1


def test_every_product_in_one_moment(store):
    for number in range(3):
        create(store, sku=f"{number}")
    with store.read(consistent=True) as session:
        every = products.every(session)
        first = next(every)
        create(store, sku="late")
        seen = [first.sku, *(product.sku for product in every)]
    assert seen == ["0", "1", "2"]
