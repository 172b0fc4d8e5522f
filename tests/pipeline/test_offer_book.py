"""What the shop is asked, when, and how often."""

from __future__ import annotations

import asyncio
import logging

import pytest

from livecart.pipeline.decision.offers import WAITING, Offer
from livecart.pipeline.metrics import LiveMetrics
from livecart.pipeline.offer_book import OfferBook

MAX_AGE_S = 4.0


class Shop:
    """Answers what a test sets; counts; holds answers back while `gate` is clear."""

    def __init__(self):
        self.now_s = 1000.0
        self.monotonic_s = 0.0
        self.answers = {}
        self.asked = []
        self.at_once = self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def sells(self, sku, price="1.00"):
        self.answers[sku] = price

    async def ask(self, sku):
        self.asked.append(sku)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        # As it stands when asked: the answer may be old when it comes.
        price, at_s = self.answers.get(sku), self.now_s
        await asyncio.sleep(0)
        await self.gate.wait()
        self.at_once -= 1
        if isinstance(price, Exception):
            raise price
        if price is None:
            return "sold_out"
        return Offer(sku, f"https://shop.example.com/{sku}", price, "CNY", None, at_s)


class Watched:
    def __init__(self, shop):
        self.metrics = LiveMetrics()
        self.changes = []
        self.shown = set()
        self.rechecks = 0
        self.book = OfferBook(
            shop.ask,
            self.metrics,
            max_age_s=MAX_AGE_S,
            at_once=3,
            clock=lambda: shop.now_s,
            monotonic_s=lambda: shop.monotonic_s,
        )

    def start(self):
        self.book.start(self.changes.extend, lambda: self.shown, self._recheck)

    def _recheck(self):
        self.rechecks += 1

    def count(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"livecart_live_offer_{name}", labels)


async def settled():
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
async def watched(shop):
    made = Watched(shop)
    made.start()
    yield made
    await made.book.close()


async def test_what_is_wanted_is_asked_once_and_told(shop, watched):
    shop.sells("a")
    assert watched.book.offer("a") == WAITING
    watched.book.want(["a", "a"])
    await settled()
    assert (shop.asked, watched.changes) == (["a"], ["a"])
    assert watched.book.offer("a").price == "1.00"
    watched.book.want(["a"])
    await settled()
    assert shop.asked == ["a"]
    assert watched.count("answers_total", answer="offered") == 1


async def test_at_half_its_age_it_is_asked_again_and_past_it_not_believed(shop, watched):
    shop.sells("a")
    watched.book.want(["a"])
    await settled()
    shop.now_s += MAX_AGE_S / 2
    shop.gate.clear()
    assert watched.book.offer("a").confirmed_at_s == 1000.0
    await settled()
    assert len(shop.asked) == 2
    shop.now_s += MAX_AGE_S / 2 + 0.01
    assert watched.book.offer("a") == WAITING
    assert watched.book.last("a").price == "1.00"
    shop.gate.set()
    await settled()
    # Nobody was told "no" meanwhile, but the room waits for it.
    assert watched.changes == ["a", "a"]


async def test_a_refusal_is_asked_about_again_every_second_it_is_wanted(shop, watched):
    watched.book.want(["a"])
    await settled()
    assert watched.book.offer("a") == "sold_out"
    shop.now_s += 0.5
    watched.book.want(["a"])
    await settled()
    assert len(shop.asked) == 1
    shop.sells("a")
    shop.now_s += 0.6
    watched.book.want(["a"])
    await settled()
    assert watched.changes == ["a", "a"]
    assert watched.book.offer("a").price == "1.00"


async def test_an_edit_is_asked_about_at_once_also_while_an_older_answer_is_on_its_way(shop, watched):
    shop.sells("a")
    shop.gate.clear()
    watched.book.want(["a"])
    await settled()
    shop.sells("a", "2.00")
    watched.book.changed(["a", "never seen"])
    shop.gate.set()
    await settled()
    assert (watched.book.offer("a").price, shop.asked) == ("2.00", ["a", "a"])
    shop.answers.pop("a")
    watched.book.changed(["a"])
    await settled()
    assert watched.book.offer("a") == "sold_out"
    assert watched.changes == ["a", "a", "a"]


async def test_when_the_list_of_hosts_changes_everything_wanted_is_asked_again(shop, watched):
    shop.sells("a")
    watched.book.want(["a"])
    await settled()
    watched.book.all_changed()
    watched.book.want(["a"])
    await settled()
    assert len(shop.asked) == 2


async def test_questions_are_bounded_and_the_oldest_goes_first(shop, watched, monkeypatch):
    monkeypatch.setattr("livecart.pipeline.offer_book._MOST_WAITING", 10)
    shop.gate.clear()
    watched.book.want(["x", "y", "z"])
    await settled()
    watched.book.want([str(number) for number in range(15)])
    assert watched.count("questions_waiting") == 13
    assert watched.count("questions_dropped_total") == 5
    shop.gate.set()
    await settled()
    assert shop.asked == ["x", "y", "z", *map(str, range(5, 15))]
    assert shop.most_at_once == 3


async def test_what_is_known_is_bounded(shop, watched, monkeypatch):
    monkeypatch.setattr("livecart.pipeline.offer_book._MOST_KNOWN", 5)
    watched.book.want([str(number) for number in range(8)])
    await settled()
    assert [watched.book.last(str(number)) for number in range(8)] == [None] * 8
    assert watched.book.offer("0") == WAITING
    assert watched.book.offer("7") == "sold_out"


async def test_a_question_that_fails_is_counted_and_no_card(shop, watched, caplog):
    shop.answers["a"] = ZeroDivisionError("a bug")
    with caplog.at_level(logging.ERROR):
        watched.book.want(["a", "b"])
        await settled()
    assert watched.book.offer("a") == "failed"
    assert watched.book.offer("b") == "sold_out"
    assert "product a: the catalog cannot be asked" in caplog.text
    failures = watched.metrics.registry.get_sample_value("livecart_live_background_failures_total", {"where": "offers"})
    assert failures == 1


async def test_cards_that_stand_are_asked_about_and_rooms_look_at_them(shop, watched):
    shop.sells("a")
    watched.shown = {"a"}
    for _ in range(3):
        shop.now_s += MAX_AGE_S / 2
        await asyncio.sleep(0.55)
    assert len(shop.asked) >= 3
    assert watched.rechecks >= 3


@pytest.mark.parametrize("sold", [True, False])
async def test_a_clock_that_is_set_back_makes_no_answer_last(watched, shop, sold):
    if sold:
        shop.sells("1")
    watched.book.want(["1"])
    await settled()
    shop.now_s -= 3600.0
    # No card goes because of the clock alone.
    assert (watched.book.offer("1") == "sold_out") is not sold
    await settled()
    assert shop.asked == ["1"]
    shop.monotonic_s += MAX_AGE_S / 2
    watched.book.want(["1"])
    await settled()
    assert shop.asked == ["1", "1"]
    shop.gate.clear()
    shop.monotonic_s += MAX_AGE_S + 0.1
    assert watched.book.offer("1") == WAITING
    shop.gate.set()
