"""A feed into the catalog: whole or not at all, guarded, resumed, dry."""

import threading
import time

import pytest

from livecart.core.errors import SettingsError
from livecart.shop.errors import FeedError
from livecart.shop.repositories import audit, bulk, products
from livecart.shop.schemas.product import ProductChange, ProductPatch
from livecart.shop.sync import runs
from livecart.shop.sync.schedule import SyncSchedule
from livecart.shop.sync.source import Page, Validators
from livecart.shop.sync.syncer import Guard, Syncer
from tests.shop.catalog_stores import patch


class Killed(BaseException):
    """What ends a process, nothing catches."""


class Feed:
    """A source in memory: pages of products, and what goes wrong."""

    name = "shop"

    def __init__(self, *pages, etag=None):
        self.contents = list(pages)
        self.etag = etag
        self.fail_at = None
        self.error = FeedError("feed_silent", cause="the server is gone")
        self.read_pages = []
        self.closed = threading.Event()

    def close(self):
        self.closed.set()

    def pages(self, cursor, validators):
        if self.etag and validators.etag == self.etag:
            yield Page([], unchanged=True)
            return
        for number in range(int(cursor or 0), len(self.contents)):
            if number == self.fail_at:
                raise self.error
            self.read_pages.append(number)
            last = number + 1 == len(self.contents)
            entries = self.contents[number]
            good = [entry for entry in entries if isinstance(entry, ProductPatch)]
            bad = [entry for entry in entries if isinstance(entry, str)]
            skus = [entry.partition(": ")[0] for entry in bad if ": " in entry]
            yield Page(good, None if last else str(number + 1), bad, Validators(self.etag), skus)


def products_of(*numbers, **values):
    return [patch(f"{number:03}", **values) for number in numbers]


def catalog(store):
    with store.read() as session:
        return {product.sku: product for product in products.every(session)}


def on_sale(store):
    return {sku for sku, product in catalog(store).items() if product.on_sale}


def test_takes_in_what_is_new_and_changed_and_takes_off_what_is_gone(store):
    feed = Feed(products_of(1, 2), products_of(3, 4, stock=5))
    first = Syncer(store, feed).sync_once()
    assert (first.outcome, first.run.created, first.run.fetched) == ("done", 4, 4)
    feed.contents = [[*products_of(1), patch("002", name="new name"), *products_of(3, stock=0)]]
    second = Syncer(store, feed).sync_once()
    assert (second.run.created, second.run.changed, second.run.removed) == (0, 2, 1)
    after = catalog(store)
    assert (after["002"].name, after["003"].stock, after["001"].version) == ("new name", 0, 1)
    assert on_sale(store) == {"001", "002", "003"}
    with store.read() as session:
        assert audit.latest(session, name="004", subject="product")[0].who == "sync:shop"
    feed.contents = [products_of(1, 2, 3, 4)]
    Syncer(store, feed).sync_once()
    assert "004" in on_sale(store)


def test_two_bad_entries_of_twenty_stop_no_feed_and_their_products_stay_as_they_are(store):
    feed = Feed(products_of(*range(20), stock=5))
    Syncer(store, feed).sync_once()
    with store.write("alice") as session:
        products.update(session, patch("004", on_sale=False), expected_version=1)
    entries = products_of(*(number for number in range(20) if number not in (3, 4)), stock=6)
    feed.contents = [[*entries, "003: no price", "004: no price", "999: no price", "no sku at all"]]
    done = Syncer(store, feed).sync_once()
    assert (done.outcome, done.run.fetched, done.run.bad, done.run.changed, done.run.removed) == ("done", 18, 4, 18, 0)
    after = catalog(store)
    assert (after["003"].stock, after["003"].on_sale, after["004"].on_sale, after["005"].stock) == (5, True, False, 6)
    assert "999" not in after


def test_what_the_feed_does_not_give_and_what_others_own_stays(store):
    with store.write("alice") as session:
        products.create(session, patch("001", words=("staff's",), stock=1))
        products.create(session, patch("mine"))
        bulk.upsert(session, [patch("theirs")], source="other")
    Syncer(store, Feed([ProductPatch(sku="001", stock=7), ProductPatch(sku="unknown", stock=7)])).sync_once()
    after = catalog(store)
    assert (after["001"].words, after["001"].stock, after["001"].source) == (("staff's",), 7, "shop")
    assert "unknown" not in after
    Syncer(store, Feed(products_of(2))).sync_once()
    assert on_sale(store) == {"mine", "theirs", "002"}
    assert catalog(store)["mine"].source is None


def test_an_unchanged_feed_is_left_alone(store):
    feed = Feed(products_of(1), etag='"1"')
    worker = Syncer(store, feed)
    assert worker.sync_once().outcome == "done"
    assert worker.sync_once().outcome == "unchanged"
    assert worker.stats.unchanged == 1
    feed.etag, feed.contents = '"2"', [products_of(1, 2)]
    assert worker.sync_once().run.created == 1


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        ([[]], "empty"),
        ([products_of(*range(60))], "40 of 100"),
        ([[*products_of(*range(100)), *["no price"] * 29]], "no price"),
        ([[*products_of(*range(100)), *products_of(*range(200, 229), url="http://shop.example.com/x")]], "only https"),
    ],
    ids=["empty", "lost", "bad", "bad links"],
)
def test_a_feed_not_to_be_trusted_changes_nothing_and_raises_the_alarm(store, contents, told):
    feed = Feed(products_of(*range(100)))
    worker = Syncer(store, feed)
    worker.sync_once()
    before = catalog(store)
    feed.contents = contents
    refused = worker.sync_once()
    assert refused.outcome == "refused"
    assert told in refused.run.detail
    assert worker.stats.alarms == worker.stats.refused == 1
    assert catalog(store) == before
    feed.contents = [products_of(*range(75))]
    assert worker.sync_once().run.removed == 25
    # A loss may be meant.
    feed.contents = [products_of(1)]
    assert worker.sync_once().outcome == "refused"
    assert Syncer(store, feed, guard=Guard(most_missing_share=1.0)).sync_once().run.removed == 74
    with pytest.raises(SettingsError):
        Guard(most_missing_share=2)


def test_a_feed_that_breaks_off_changes_nothing(store):
    feed = Feed(products_of(1), products_of(2), products_of(3))
    feed.fail_at = 2
    worker = Syncer(store, feed)
    broken = worker.sync_once()
    assert (broken.outcome, broken.run.detail) == ("failed", "does not answer: the server is gone")
    assert worker.stats.alarms == 1
    assert catalog(store) == {}
    feed.fail_at = None
    assert worker.sync_once().run.created == 3
    with store.read() as session:
        assert [run.state for run in runs.latest(session, "shop")] == ["done", "failed"]


def test_killed_while_it_reads_it_goes_on_where_it_was(store, clock):
    feed = Feed(products_of(1), products_of(2), products_of(3))
    feed.fail_at, feed.error = 2, Killed()
    with pytest.raises(Killed):
        Syncer(store, feed).sync_once()
    assert catalog(store) == {}
    feed.fail_at = None
    assert Syncer(store, feed).sync_once().outcome == "busy"
    clock.pass_s(runs.LEASE_S + 1)
    restarted = Syncer(store, feed)
    done = restarted.sync_once()
    assert (done.outcome, done.run.created, restarted.stats.resumed) == ("done", 3, 1)
    assert feed.read_pages == [0, 1, 2]


@pytest.mark.parametrize("kill_at", [1, 3, 5, 7])
def test_killed_while_it_writes_it_ends_as_if_it_never_was(store, clock, monkeypatch, kill_at):
    monkeypatch.setattr("livecart.shop.sync.syncer._BATCH", 3)
    feed = Feed(products_of(*range(10)))
    Syncer(store, feed).sync_once()
    feed.contents = [[*products_of(*range(2, 10), stock=7), *products_of(20, 21)]]
    worker = Syncer(store, feed, guard=Guard(most_missing_share=1))
    steps = []
    real = store.edit

    def edit_or_die(who, work):
        steps.append(1)
        # Beginning, reading and judging are the first three.
        if len(steps) == 3 + kill_at:
            raise Killed
        return real(who, work)

    monkeypatch.setattr(store, "edit", edit_or_die)
    with pytest.raises(Killed):
        worker.sync_once()
    monkeypatch.setattr(store, "edit", real)
    clock.pass_s(runs.LEASE_S + 1)
    done = Syncer(store, feed).sync_once()
    assert (done.outcome, done.run.created, done.run.changed, done.run.removed) == ("done", 2, 8, 2)
    after = catalog(store)
    assert {sku for sku, product in after.items() if product.stock == 7} == {f"{n:03}" for n in range(2, 10)}
    assert on_sale(store) == set(after) - {"000", "001"}


def test_who_was_silent_for_too_long_stops_when_another_took_over(store, clock):
    feed = Feed(products_of(1), products_of(2))
    slow, fast = Syncer(store, feed), Syncer(store, feed)
    real = feed.pages

    def pages_with_a_long_pause(cursor, validators):
        for number, page in enumerate(real(cursor, validators)):
            if number == 1:
                clock.pass_s(runs.LEASE_S + 1)
                feed.pages = real
                assert fast.sync_once().outcome == "done"
            yield page

    feed.pages = pages_with_a_long_pause
    assert slow.sync_once().outcome == "busy"
    assert on_sale(store) == {"001", "002"}


def test_a_dry_run_says_what_would_change_and_changes_nothing(store):
    feed = Feed(products_of(*range(20)))
    Syncer(store, feed).sync_once()
    before = catalog(store)
    feed.contents = [[*products_of(*range(1, 20)), patch("002", stock=1), patch("new"), "bad"]]
    worker = Syncer(store, feed)
    dry = worker.sync_once(dry_run=True)
    found = dry.difference
    assert (dry.outcome, found.created, found.changed, found.removed, found.bad) == ("dry", 1, 1, 1, 1)
    assert (found.created_skus, found.removed_skus) == (["new"], ["000"])
    assert found.changes == [ProductChange("002", {"stock": None}, {"stock": 1})]
    assert found.refused is None
    assert catalog(store) == before
    feed.contents = [[]]
    assert "empty" in worker.sync_once(dry_run=True).difference.refused
    assert worker.stats.alarms == 0


def test_feeds_are_read_again_and_again_and_a_broken_one_stops_no_other(sqlite_store):
    good, bad = Feed(products_of(1)), Feed(products_of(2))
    bad.fail_at, bad.error = 0, RuntimeError("a fault of ours")
    enough = threading.Event()
    real = good.pages

    def counted(cursor, validators):
        if len(good.read_pages) >= 3:
            enough.set()
        yield from real(cursor, validators)

    good.pages = counted
    bad.name = "bad"
    schedule = SyncSchedule([(Syncer(sqlite_store, good), 0.01), (Syncer(sqlite_store, bad), 0.01)])
    schedule.start()
    assert enough.wait(20)
    deadline = time.monotonic() + 10
    while not schedule.stats.crashes and time.monotonic() < deadline:
        time.sleep(0.01)
    assert schedule.stop()
    assert schedule.stats.crashes >= 1
    assert on_sale(sqlite_store) == {"001"}


def test_a_reading_that_is_stopped_goes_on_at_the_next_start(sqlite_store):
    feed = Feed(products_of(1), products_of(2), products_of(3))
    has_read, real = threading.Event(), feed.pages

    def waiting(cursor, validators):
        for page in real(cursor, validators):
            yield page
            has_read.set()
            assert feed.closed.wait(20)

    feed.pages = waiting
    worker = Syncer(sqlite_store, feed)
    schedule = SyncSchedule([(worker, 60.0)])
    schedule.start()
    assert has_read.wait(20)
    assert schedule.stop()
    assert (on_sale(sqlite_store), worker.stats.alarms) == (set(), 0)
    again = Syncer(sqlite_store, feed)
    assert again.sync_once().outcome == "done"
    assert again.stats.resumed == 1
    assert feed.read_pages == [0, 1, 1, 2]
    assert on_sale(sqlite_store) == {"001", "002", "003"}


def test_a_feed_that_takes_too_long_changes_nothing(sqlite_store, monkeypatch):
    monkeypatch.setattr("livecart.shop.sync.syncer._READ_WITHIN_S", -1.0)
    synced = Syncer(sqlite_store, Feed(products_of(1))).sync_once()
    assert (synced.outcome, on_sale(sqlite_store)) == ("failed", set())
    assert "not read to its end" in synced.run.detail
