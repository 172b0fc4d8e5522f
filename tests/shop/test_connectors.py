"""Shops on platforms as feeds, against fakes that verify what they are sent: read whole, or an error.

LIVECART_SHOP_SEED is another course of changes of the shop that is read meanwhile.
"""

import contextlib
import json
import logging
import os
import random
import sqlite3

import msgspec
import pytest

from livecart.core.errors import SettingsError
from livecart.shop.connectors.platform_client import AnswerUnclear, PlatformRefused
from livecart.shop.database.store import open_store
from livecart.shop.errors import FeedError
from livecart.shop.repositories import hosts, products
from livecart.shop.schemas.product import Product, sold_as
from livecart.shop.settings import CatalogSettings
from livecart.shop.sync import runs
from livecart.shop.sync.source import NO_VALIDATORS, Page
from livecart.shop.sync.syncer import Syncer
from tests.shop.fake_platforms import FAKES, SECRET, SIGN_SECRET, Sku
from tests.shop.feed_server import Answer


@pytest.fixture(params=FAKES, ids=lambda fake: fake.kind)
def fake(request, monkeypatch, tmp_path):
    monkeypatch.setenv("FAKE_APP_SECRET", SECRET)
    monkeypatch.setenv("FAKE_TOKEN", "access-1")
    monkeypatch.setenv("FAKE_SIGN_SECRET", SIGN_SECRET)
    (tmp_path / "tokens.json").write_text('{"access_token": "access-1", "refresh_token": "refresh-1"}')
    opened = request.param()
    yield opened
    opened.close()


def of_those_with(*attributes):
    """The platforms of which a test makes sense."""
    fakes = [fake for fake in FAKES if all(getattr(fake, attribute) for attribute in attributes)]
    return pytest.mark.parametrize("fake", fakes, ids=lambda fake: fake.kind, indirect=True)


def read(source):
    """What the feed names, and what is bad; the reading comes to its end."""
    pages = list(source.pages(None, NO_VALIDATORS))
    assert pages[-1].next_cursor is None
    patches = {patch.sku: patch for page in pages for patch in page.patches}
    return patches, [bad for page in pages for bad in page.bad], [sku for page in pages for sku in page.bad_skus]


def test_every_product_comes_with_price_stock_link_pictures_and_variants(fake, tmp_path):
    fake.per_page = 2
    first, second, _ = fake.products
    first.skus = [Sku("71", "红色", 5990, 0), Sku("72", "蓝色", 6990, 4, "B-2"), Sku("73", "绿色", 7990, 3)]
    source = fake.source(tmp_path)
    patches, bad, _ = read(source)
    platform = source.platform
    assert (len(patches), bad) == (3, [])
    patch = patches[f"{platform}:{first.item_id}"]
    assert (patch.name, patch.on_sale) == (first.title, True)
    assert [(each.sku, each.name, str(each.price), each.stock) for each in patch.variants] == [
        (f"{platform}:71", "红色", "59.90", 0),
        (f"{platform}:72", "蓝色", "69.90", 4),
        (f"{platform}:73", "绿色", "79.90", 3),
    ]
    plain = patches[f"{platform}:{second.item_id}"]
    assert (str(plain.price), plain.stock, plain.variants) == ("59.90", 7, ())
    assert [*dict.fromkeys(patch.image_urls)][:2] == first.pictures
    assert first.item_id in patch.url or first.item_id[::-1] in patch.url
    assert [(each.platform, each.item_id, each.url) for each in patch.offers] == [(platform, first.item_id, patch.url)]
    assert patch.currency in ("CNY", "USD")
    patches, _, _ = read(fake.source(tmp_path, sku_from="outer_id"))
    variants = next(each.variants for each in patches.values() if each.variants)
    assert "B-2" in [each.sku for each in variants]


@of_those_with("has_details")
def test_details_are_asked_for_only_where_the_product_has_changed(fake, tmp_path):
    read(fake.source(tmp_path))
    fake.details.clear()
    changed = fake.products[1]
    changed.sell(fen=4990)
    # Another process.
    patches, _, _ = read(fake.source(tmp_path))
    asked = [changed.item_id] if fake.has_changes else [each.item_id for each in fake.products]
    assert fake.details == asked
    assert str(patches[f"{fake.source(tmp_path).platform}:{changed.item_id}"].price) == "49.90"


@of_those_with("thins")
@pytest.mark.parametrize("forms", [1, 2])
def test_a_stock_that_is_not_told_stays_as_it_is(fake, tmp_path, forms):
    first = fake.products[0]
    first.stock, first.skus = None, [Sku(str(70 + number), f"款式 {number}", 5990, None) for number in range(forms)]
    patches, _, _ = read(fake.source(tmp_path))
    patch = patches[f"{fake.source(tmp_path).platform}:{first.item_id}"]
    assert (patch.stock, patch.variants, str(patch.price)) == (msgspec.UNSET, (), "59.90")


def test_more_forms_than_a_product_may_have_are_summed(fake, tmp_path):
    first = fake.products[0]
    first.skus = [Sku(str(7000 + number), f"款式 {number}", 5990 + number, 2) for number in range(201)]
    patches, _, _ = read(fake.source(tmp_path))
    patch = patches[f"{fake.source(tmp_path).platform}:{first.item_id}"]
    assert (patch.variants, str(patch.price), patch.stock) == ((), "59.90", 402)


def test_details_of_another_version_are_read_anew(fake, tmp_path):
    read(fake.source(tmp_path))
    with sqlite3.connect(tmp_path / "details.sqlite") as file:
        file.execute("UPDATE details SET item = '{\"item_id\": 7}'")
    assert len(read(fake.source(tmp_path))[0]) == 3


@pytest.mark.parametrize("status", [200, 429])
def test_too_many_calls_is_waited_for_and_bounded(fake, tmp_path, status):
    def throttled(_):
        return Answer(json.dumps(fake.throttled()).encode(), status=status)

    fake.faults = [throttled] * 3
    assert len(read(fake.source(tmp_path))[0]) == 3
    fake.faults = [throttled] * 1000
    with pytest.raises(FeedError) as caught:
        read(fake.source(tmp_path))
    assert caught.value.reason == "platform_throttled"
    assert len(fake.faults) > 970


@pytest.mark.parametrize("minutes", [11, -11])
@of_those_with("skew_s")
def test_a_clock_that_is_off_is_told_as_that(fake, tmp_path, minutes):
    with pytest.raises(PlatformRefused) as caught:
        read(fake.source(tmp_path, offset_s=60 * minutes))
    assert caught.value.reason == "platform_refused_clock"
    assert caught.value.params["skew_s"] == 60 * minutes


NOT_UNDERSTOOD = [
    b"",
    b"<html>502</html>",
    b"[]",
    b"null",
    b"{}",
    b'{"data": null}',
    b'{"result": NaN}',
    b"[" * 100_000,
    # What another version may call it.
    b'{"code": 0, "data": {"goods": []}, "errcode": 0, "result": 1}',
    b'{"code": 10000, "data": {"list": [], "total": "0"}}',
    b'{"items_onsale_get_response": {}, "errcode": 0, "product_ids": []}',
]


def test_an_answer_that_is_not_understood_is_an_error_and_no_empty_page(fake, tmp_path):
    read(fake.source(tmp_path))
    for body in NOT_UNDERSTOOD:
        fake.faults = [Answer(body)]
        with pytest.raises(FeedError) as caught:
            read(fake.source(tmp_path))
        assert caught.value.reason in {"feed_not_json", "answer_unknown", "platform_refused"}, body[:80]
    # The next reading is as ever.
    fake.faults = []
    assert len(read(fake.source(tmp_path))[0]) == 3


@of_those_with("has_total")
def test_a_list_whose_length_changes_is_read_again_once(fake, tmp_path):
    fake.per_page = 2
    fake.products = fake.made(5)

    def one_goes(times):
        left = [times]

        def change():
            if left[0]:
                left[0] -= 1
                fake.products[0].on_sale = False
                fake.products.append(fake.products.pop(0))

        return change

    fake.on_list = one_goes(1)
    assert len(read(fake.source(tmp_path))[0]) == 4
    fake.products = fake.made(5)
    fake.on_list = one_goes(3)
    with pytest.raises(FeedError) as caught:
        read(fake.source(tmp_path))
    assert caught.value.reason in {"list_moved", "list_item_twice"}


@of_those_with("has_total")
def test_an_id_that_comes_twice_and_an_empty_page_are_errors(fake, tmp_path):
    fake.per_page = 2
    fake.products = fake.made(4)
    listed = fake.page
    fake.page = lambda number, size: (listed(1, size)[0], 4)
    with pytest.raises(FeedError) as caught:
        read(fake.source(tmp_path))
    assert caught.value.reason == "list_item_twice"
    fake.page = lambda number, size: listed(number, size) if number == 1 else ([], 4)
    with pytest.raises(FeedError) as caught:
        read(fake.source(tmp_path))
    assert caught.value.reason in {"list_page_empty", "list_too_short"}
    fake.page = lambda number, size: ([], 4)
    with pytest.raises(FeedError) as caught:
        read(fake.source(tmp_path))
    assert caught.value.reason in {"list_page_empty", "list_too_short"}


@of_those_with("has_details")
def test_a_product_whose_detail_is_refused_stays_as_it_is(fake, tmp_path):
    source = fake.source(tmp_path, sku_from="outer_id")
    read(source)
    bad = fake.products[1]
    bad.sell(stock=1)
    good = fake.answer

    def answer(request):
        before = len(fake.details)
        made = good(request)
        return {"strange": 1} if fake.details[before:] == [bad.item_id] else made

    fake.answer = answer
    patches, reasons, skus = read(fake.source(tmp_path, sku_from="outer_id"))
    assert (len(patches), skus) == (2, [bad.outer_id])
    assert "not understood" in reasons[0]


def test_a_product_that_a_page_skips_stays(fake, tmp_path):
    """One before it goes, and another comes at the end: neither the total nor an id tells."""
    fake.per_page = 2
    fake.products = fake.made(4)
    read(fake.source(tmp_path))
    skipped, coming = fake.products[2], fake.made(5)[4]

    def change():
        fake.on_list = lambda: None
        fake.products[0].on_sale = False
        fake.products.append(coming)

    fake.on_list = change
    patches, _, _ = read(fake.source(tmp_path))
    platform = fake.source(tmp_path).platform
    assert patches[f"{platform}:{skipped.item_id}"].on_sale
    assert f"{platform}:{coming.item_id}" in patches


@of_those_with("has_details")
def test_a_product_that_was_off_sale_when_its_detail_was_read_comes_back(fake, tmp_path):
    read(fake.source(tmp_path))
    product, page = fake.products[1], fake.page
    product.sell(stock=5)

    def gone_after_it_was_listed(number, size):
        found = page(number, size)
        product.on_sale = False
        return found

    fake.page = gone_after_it_was_listed
    sku = f"{fake.source(tmp_path).platform}:{product.item_id}"
    assert not read(fake.source(tmp_path))[0][sku].on_sale
    fake.page, product.on_sale = page, True
    assert read(fake.source(tmp_path))[0][sku].on_sale


def test_a_product_that_is_no_more_is_not_named(fake, tmp_path):
    read(fake.source(tmp_path))
    gone = fake.products.pop(1)
    patches, bad, skus = read(fake.source(tmp_path))
    assert (len(patches), bad, skus) == (2, [], [])
    assert not [sku for sku in patches if sku.endswith(gone.item_id)]


@of_those_with("skew_s")
def test_each_try_is_signed_anew(fake, tmp_path):
    def away_for_an_hour(_):
        fake.now_s += 3600
        return Answer(status=503)

    fake.faults = [away_for_an_hour]
    assert len(fake.source(tmp_path).list_page(None).entries) == 3
    fake.faults = [away_for_an_hour, lambda _: fake.throttled(), away_for_an_hour]
    assert len(fake.source(tmp_path).list_page(None).entries) == 3


@of_those_with("has_details")
def test_details_that_are_all_refused_end_the_reading(fake, tmp_path):
    fake.products = fake.made(40)
    good = fake.answer

    def answer(request):
        before = len(fake.details)
        made = good(request)
        return {"strange": 1} if len(fake.details) > before else made

    fake.answer = answer
    with pytest.raises(AnswerUnclear):
        read(fake.source(tmp_path))
    assert len(fake.details) == 20


def test_a_sku_is_the_shops_own_id_where_no_other_product_has_it(fake, tmp_path):
    first, second, third = fake.products
    for product, outer_id in zip(fake.products, ["A-1", "B 1", "A-1"], strict=True):
        product.outer_id = outer_id
        product.skus[0].outer_id = outer_id
    patches, _, _ = read(fake.source(tmp_path, sku_from="outer_id"))
    platform = fake.source(tmp_path).platform
    assert set(patches) == {"B 1", f"{platform}:{first.item_id}", f"{platform}:{third.item_id}"}
    second.outer_id = second.skus[0].outer_id = "7\x1b[2J"
    second.sell()
    patches, _, _ = read(fake.source(tmp_path, sku_from="outer_id"))
    assert f"{platform}:{second.item_id}" in patches


def test_nothing_that_is_said_holds_a_secret(fake, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    hidden = [SECRET, fake.access, *([fake.refresh] if fake.renews else [])]
    # So that a message is cut within one.
    echo = fake.error(*fake.refusal(" ".join(hidden * 200)))
    answers = [
        lambda request: Answer(json.dumps(echo).encode()),
        lambda request: Answer(status=302, headers={"Location": f"/there?{request.query}{hidden}"}),
        lambda request: Answer(json.dumps(hidden).encode(), status=500),
        lambda request: Answer(json.dumps({each: each for each in hidden}).encode()),
    ]
    said = []
    source = fake.source(tmp_path)
    read(source)
    for fake.server.answer in answers:
        with pytest.raises(FeedError) as caught:
            read(source)
        said += [str(caught.value), repr(caught.value), repr(caught.value.params)]
    said = "\n".join([*said, caplog.text])
    assert not [secret for secret in hidden if secret in said]


@pytest.mark.parametrize("named", ["app-s3cret", "env:", "env:LIVECART_NOT_SET", "file:/not/there", "file:"])
def test_a_secret_is_named_and_not_written(fake, tmp_path, named):
    with pytest.raises(SettingsError) as caught:
        fake.source(tmp_path, **{fake.secrets[0]: named})
    assert "app-s3cret" not in str(caught.value)


def test_two_feeds_have_not_the_same_folder(fake, tmp_path):
    feed = fake.feed(tmp_path)
    with pytest.raises(SettingsError, match="folder"):
        CatalogSettings(feeds=(feed, msgspec.structs.replace(feed, name="other")))


def test_a_secret_may_be_in_a_file(fake, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    assert len(read(fake.source(tmp_path, **{fake.secrets[0]: f"file:{secret}"}))[0]) == 3


def test_a_look_at_a_shop_tells_clock_fields_and_first_product(fake, tmp_path):
    checked = fake.source(tmp_path, offset_s=3).check()
    assert (checked.skew_s, checked.problem, checked.first.name) == (3, None, fake.products[0].title)
    assert checked.total == (3 if fake.has_total else None)
    assert checked.fields["list"]
    assert not (tmp_path / "details.sqlite").exists()


def test_a_shop_that_changes_while_it_is_paged_loses_no_product(fake, tmp_path):
    """Products that are on sale all the time stay so, whatever else comes and goes; at rest the catalog is the shop."""
    chosen = random.Random(int(os.environ.get("LIVECART_SHOP_SEED", "0")))
    fake.per_page = 2
    fake.products = fake.made(9)
    steady = set(chosen.sample([each.item_id for each in fake.products], 5))
    store = open_store(f"sqlite:///{tmp_path}/catalog.db")
    store.upgrade()
    with store.write("setup") as session:
        for host in ("item.taobao.com", "www.tiktok.com", *fake.link_hosts):
            hosts.allow(session, host)
    number = [0]

    def change():
        if chosen.random() < 0.6:
            leaving = [each for each in fake.products if each.item_id not in steady and each.on_sale]
            coming = [each for each in fake.products if not each.on_sale]
            if leaving and chosen.random() < 0.8:
                chosen.choice(leaving).on_sale = False
            if coming and chosen.random() < 0.8:
                # As most lists have it: what was changed last is at an end.
                each = chosen.choice(coming)
                each.on_sale = True
                fake.products.remove(each)
                fake.products.insert(chosen.choice([0, len(fake.products)]), each)
        number[0] += 1

    platform = fake.source(tmp_path).platform
    assert Syncer(store, fake.source(tmp_path)).sync_once().outcome == "done"
    for _ in range(5):
        fake.on_list = change
        Syncer(store, fake.source(tmp_path)).sync_once()
        with store.read() as session:
            on_sale = {each.sku for each in products.every(session) if each.on_sale}
        assert {f"{platform}:{item_id}" for item_id in steady} <= on_sale
    fake.on_list = lambda: None
    Syncer(store, fake.source(tmp_path)).sync_once()
    assert Syncer(store, fake.source(tmp_path)).sync_once().outcome == "done"
    with store.read() as session:
        on_sale = {each.sku for each in products.every(session) if each.on_sale}
    assert on_sale == {f"{platform}:{each.item_id}" for each in fake.products if each.on_sale}
    assert number[0] > 15
    store.close()


@of_those_with("has_details", "has_changes")
def test_a_reading_that_is_stopped_goes_on_with_the_details_that_it_has(fake, tmp_path):
    fake.products = fake.made(30)
    source = fake.source(tmp_path)
    for page in source.pages(None, NO_VALIDATORS):
        if len(fake.details) >= 10:
            break
        assert page.next_cursor is not None
    source.close()
    with pytest.raises(FeedError):
        read(source)
    patches, _, _ = read(fake.source(tmp_path))
    assert (len(patches), len(fake.details)) == (30, 30)


def after_parsing(fake, change):
    """Answers as `change` makes them, in place."""
    good = fake.answer

    def answer(request):
        made = good(request)
        if not isinstance(made, Answer):
            change(made)
        return Answer(json.dumps(made).encode()) if not isinstance(made, Answer) else made

    fake.answer = answer


def test_half_a_character_in_a_title_costs_no_product(fake, tmp_path):
    """As of a title that was cut within an emoji."""
    fake.products[1].title = "螺蛳粉 \ud83c"
    after_parsing(fake, lambda made: None)
    patches, bad, _ = read(fake.source(tmp_path))
    assert bad == []
    assert patches[f"{fake.source(tmp_path).platform}:{fake.products[1].item_id}"].name == "螺蛳粉 ?"


@pytest.mark.parametrize("name", ["code", "errcode"])
def test_a_value_that_no_answer_may_hold_is_an_error_of_the_feed(fake, tmp_path, name):
    given = []
    after_parsing(fake, lambda made: name in made and made.update({name: given[0]}))
    for given[:] in [[[]], [{"a": 1}], [10**30], ["\ud83d"]]:
        with contextlib.suppress(FeedError):
            assert len(read(fake.source(tmp_path))[0]) == 3


@pytest.mark.parametrize("fake", [fake for fake in FAKES if fake.kind == "shopify"], indirect=True)
def test_a_list_that_goes_on_and_does_not_say_where_is_no_whole_list(fake, tmp_path):
    def change(made):
        if "products" in made.get("data", {}):
            made["data"]["products"]["pageInfo"] = {"hasNextPage": True, "endCursor": None}

    after_parsing(fake, change)
    with pytest.raises(AnswerUnclear):
        read(fake.source(tmp_path))


def test_less_than_none_of_it_is_none(fake, tmp_path):
    """As platforms say of what was oversold; a product that "stays as it is" would stay on its cards."""
    first, second, _ = fake.products
    first.skus = [Sku("71", "红色", 5990, -3), Sku("72", "蓝色", 6990, 2)]
    second.sell(stock=-1)
    patches, bad, _ = read(fake.source(tmp_path))
    assert bad == []
    platform = fake.source(tmp_path).platform
    stocks = [
        sold_as(Product(**patches[f"{platform}:{each.item_id}"].given(), sku="1")).stock for each in (first, second)
    ]
    # Shopify says of what may be ordered with none left that it is not counted.
    assert stocks in ([2, 0], [None, None])


@of_those_with("has_details", "has_changes")
def test_a_clock_that_was_ahead_does_not_keep_a_detail(fake, tmp_path):
    read(fake.source(tmp_path, offset_s=20))
    fake.details.clear()
    read(fake.source(tmp_path))
    assert fake.details == [each.item_id for each in fake.products]


def test_a_reading_tells_that_it_is_alive_while_details_are_refused_and_not_once_a_product(fake, tmp_path):
    fake.products = fake.made(40)
    pages = list(fake.source(tmp_path).pages(None, NO_VALIDATORS))
    assert len(pages) < 12
    for each in fake.products[1:]:
        each.on_sale = False
    good, asked = fake.answer, []

    def answer(request):
        before = len(fake.details)
        made = good(request)
        asked.append(len(fake.details) > before)
        return fake.error(*fake.refusal("gone")) if asked[-1] and len(fake.products) == 40 else made

    fake.answer = answer
    longest = since = 0
    for _ in fake.source(tmp_path).pages(None, NO_VALIDATORS):
        longest, since = max(longest, len(asked) - since), len(asked)
    assert longest < 25


@of_those_with("has_details")
def test_the_detail_of_another_product_is_not_taken(fake, tmp_path):
    read(fake.source(tmp_path))
    first, second, _ = fake.products
    first.sell(fen=1)
    named = fake.named
    fake.named = lambda item_id: named(item_id if item_id != first.item_id else second.item_id)
    patches, bad, skus = read(fake.source(tmp_path))
    assert (len(patches), len(bad), skus) == (2, 1, [f"{fake.source(tmp_path).platform}:{first.item_id}"])


def test_names_of_fields_do_not_reach_the_terminal_as_they_are(fake, tmp_path):
    def add(part):
        if isinstance(part, dict):
            for each in [*part.values()]:
                add(each)
            part["\x1b[2J" * 100] = 1
        elif isinstance(part, list):
            for each in part:
                add(each)

    after_parsing(fake, add)
    names = [name for listed in fake.source(tmp_path).check().fields.values() for name in listed]
    assert names
    assert not [name for name in names if "\x1b" in name or len(name) > 64]


@pytest.mark.parametrize("cursor", ["reading", None])
def test_what_a_reading_kept_before_it_was_cut_off_does_not_count(fake, tmp_path, sqlite_store, cursor):
    source = fake.source(tmp_path)
    with sqlite_store.write("setup") as session:
        for host in ("item.taobao.com", "www.tiktok.com", *fake.link_hosts):
            hosts.allow(session, host)
        page = list(source.pages(None, NO_VALIDATORS))[-1]
        run = runs.begin(session, source.name, "killed")
        runs.keep_page(session, run.id, "killed", Page(page.patches, cursor))
        runs.hold(session, run.id, "killed").lease_until_s = 0.0
    gone = fake.products.pop(0)
    assert Syncer(sqlite_store, source).sync_once().run.fetched == 2
    with sqlite_store.read() as session:
        assert gone.item_id not in "".join(each.sku for each in products.every(session))
