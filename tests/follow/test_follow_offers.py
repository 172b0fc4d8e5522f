"""Price and stock beside a followed snapshot: read again by themselves, and what a missing or broken file changes."""

import json
from pathlib import Path

import pytest

from contract.offers import NO_OFFERS, OFFERS_FILE, ProductOffer
from follow.offers import OffersFollower, offers_beside
from tests.follow.follower_worker import POLL_S, eventually


def offers_bytes(revision=1, **products) -> bytes:
    given = {sku: [price, "CNY", price is None] for sku, price in products.items()}
    return json.dumps({"schema": 1, "revision": revision, "products": given}).encode()


def put(folder: Path, data: bytes) -> None:
    part = folder / "new.part"
    part.write_bytes(data)
    part.replace(folder / OFFERS_FILE)


class Worker:
    """An archive's worker as far as the offers are concerned."""

    def __init__(self, source, cache_folder):
        self.taken, self.events = [], []
        self.follower = OffersFollower(
            str(source),
            cache_folder=cache_folder,
            on_offers=self.taken.append,
            on_event=lambda outcome, message: self.events.append((outcome, message)),
            poll_s=POLL_S,
        )
        self.follower.start()

    def price(self, sku):
        return self.taken[-1].products[sku].price if self.taken else None


@pytest.fixture
def worker(path, tmp_path):
    opened = []

    def open_worker(source=path):
        opened.append(Worker(source, tmp_path / "cache"))
        return opened[-1]

    yield open_worker
    for each in opened:
        each.follower.close()


def test_a_start_has_them_and_each_edit_is_taken_over(path, worker):
    put(path.parent, offers_bytes(1, a="12.90"))
    started = worker()
    assert started.taken[0].products == {"a": ProductOffer("12.90", "CNY", is_sold_out=False)}
    put(path.parent, offers_bytes(2, a=None))
    eventually(lambda: started.taken[-1].revision == 2)
    assert started.taken[-1].products["a"].is_sold_out
    assert (len(started.taken), started.events) == (2, [])


def test_a_file_that_comes_later_and_goes_again(path, worker):
    started = worker()
    put(path.parent, offers_bytes(a="1"))
    eventually(lambda: started.price("a") == "1")
    (path.parent / OFFERS_FILE).unlink()
    eventually(lambda: started.taken[-1] == NO_OFFERS)
    started.follower.close()
    assert worker().taken == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"schema": 2, "revision": 1, "products": {}}',
        b'{"schema": 1, "revision": 1, "products": {"a": ["12.90"]}}',
        b'{"schema": 1, "revision": 1, "products": {"a": ["<b>1</b>", "CNY", false]}}',
        b'{"schema": 1, "revision": 1, "products": {"a": ["1", "yuan", false]}}',
    ],
)
def test_a_file_that_is_none_changes_nothing_and_is_said_once(path, worker, data):
    put(path.parent, offers_bytes(a="1"))
    started = worker()
    put(path.parent, data)
    eventually(lambda: started.events != [])
    put(path.parent, offers_bytes(2, a="2"))
    eventually(lambda: started.price("a") == "2")
    # It is told after the new prices have been taken over.
    eventually(lambda: [outcome for outcome, _ in started.events] == ["refused", "reachable"])
    assert len(started.taken) == 2


def test_behind_a_link_they_are_asked_for_with_validators(shop, worker, quick):
    shop.body = offers_bytes(a="1")
    started = worker(f"{shop.url}/catalog/snapshot")
    assert started.price("a") == "1"
    eventually(lambda: len(shop.requests) >= 3)
    assert "if-none-match" in shop.requests[-1]
    shop.body = offers_bytes(2, a="2")
    eventually(lambda: started.price("a") == "2")
    assert len(started.taken) == 2


def test_while_the_server_is_away_the_last_ones_count_also_after_a_start(shop, worker, quick):
    shop.body = offers_bytes(a="1")
    source = f"{shop.url}/catalog/snapshot"
    first = worker(source)
    shop.status = 503
    eventually(lambda: first.events != [])
    assert [outcome for outcome, _ in first.events] == ["unreachable"]
    again = worker(source)
    assert again.price("a") == first.price("a") == "1"
    shop.status = 404
    eventually(lambda: again.taken[-1] == NO_OFFERS)


@pytest.mark.parametrize(
    ("source", "beside"),
    [
        ("/srv/shop/published/catalog.snapshot", "/srv/shop/published/offers.json"),
        (
            "https://archive:lc_x@shop.example.com/catalog/snapshot",
            "https://archive:lc_x@shop.example.com/catalog/offers.json",
        ),
        ("https://shop.example.com/my.snapshot?key=a", "https://shop.example.com/offers.json?key=a"),
    ],
)
def test_they_lie_beside_the_snapshot(source, beside):
    assert offers_beside(source) == beside
