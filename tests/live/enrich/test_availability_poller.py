"""When the shop is asked about which products, and for how long its answers hold."""

import asyncio
import logging

import pytest

from livecart.live.decide.availability import WAITING, Offer
from livecart.live.enrich.availability_poller import AvailabilityPoller, every_s
from livecart.live.metrics import LiveMetrics

MAX_AGE_S = 4.0
EVERY_S = every_s(MAX_AGE_S)


class Shop:
    """Answers what a test sets; counts; holds answers back while `gate` is clear."""

    def __init__(self):
        self.now_s = 1000.0
        self.monotonic_s = 0.0
        self.answers = {}
        #: Each question's products.
        self.asked = []
        self.at_once = self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def sells(self, sku, price="1.00"):
        self.answers[sku] = price

    async def ask(self, skus):
        self.asked.append(list(skus))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        # As it stands when asked: the answer may be old when it comes.
        prices, at_s = {sku: self.answers.get(sku) for sku in skus}, self.now_s
        await asyncio.sleep(0)
        await self.gate.wait()
        self.at_once -= 1
        for price in prices.values():
            if isinstance(price, Exception):
                raise price
        return {
            sku: "sold_out"
            if price is None
            else Offer(sku, f"https://shop.example.com/{sku}", price, "CNY", None, at_s)
            for sku, price in prices.items()
        }


class Watched:
    def __init__(self, shop):
        self.metrics = LiveMetrics()
        self.changes = []
        self.shown = set()
        self.rechecks = 0
        self.poller = AvailabilityPoller(
            shop.ask,
            self.metrics,
            max_age_s=MAX_AGE_S,
            clock=lambda: shop.now_s,
            monotonic_s=lambda: shop.monotonic_s,
        )
        self.offer, self.want = self.poller.offer, self.poller.want

    def start(self):
        self.poller.start(self.changes.append, lambda: self.shown, self._recheck)

    def _recheck(self):
        self.rechecks += 1

    def count(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"livecart_live_availability_{name}", labels)


async def settled():
    for _ in range(50):
        await asyncio.sleep(0)


async def next_question():
    await asyncio.sleep(EVERY_S * 1.2)
    await settled()


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
async def watched(shop):
    made = Watched(shop)
    made.start()
    yield made
    await made.poller.close()


async def test_what_is_new_in_sight_is_asked_at_once_together_and_told(shop, watched):
    shop.sells("a")
    assert watched.offer("a") == WAITING
    watched.want(["a", "b", "a"])
    await settled()
    assert (shop.asked, watched.changes) == ([["a", "b"]], [{"a", "b"}])
    assert (watched.offer("a").price, watched.offer("b")) == ("1.00", "sold_out")
    watched.want(["a", "b"])
    await settled()
    assert len(shop.asked) == 1
    assert watched.count("answers_total", answer="offered") == 1


async def test_what_is_in_sight_is_asked_about_in_one_question_again_and_again(shop, watched):
    shop.sells("a")
    watched.shown = {"a", "b"}
    for _ in range(3):
        shop.now_s += EVERY_S
        await next_question()
    assert [sorted(skus) for skus in shop.asked] == [["a", "b"]] * 3
    assert watched.rechecks == 3
    # Nothing is another: nobody was told again.
    assert watched.changes == [{"a", "b"}]
    shop.sells("b")
    shop.now_s += EVERY_S
    await next_question()
    assert watched.changes == [{"a", "b"}, {"b"}]
    assert watched.offer("b").price == "1.00"


async def test_past_its_age_an_answer_is_not_believed(shop, watched):
    shop.sells("a")
    watched.want(["a"])
    await settled()
    shop.gate.clear()
    shop.now_s += MAX_AGE_S
    assert watched.offer("a").confirmed_at_s == 1000.0
    shop.now_s += 0.01
    assert watched.offer("a") == WAITING
    assert watched.poller.last("a").price == "1.00"
    await settled()
    assert shop.asked == [["a"], ["a"]]
    shop.gate.set()
    await settled()
    # Nobody was told "no" meanwhile, but the room waits for it.
    assert watched.changes == [{"a"}, {"a"}]


async def test_while_a_question_is_under_way_standing_cards_are_still_looked_at(shop, watched):
    shop.gate.clear()
    watched.want(["a"])
    await next_question()
    watched.want(["a", "b"])
    await next_question()
    assert (shop.asked, watched.rechecks >= 2) == ([["a"]], True)
    shop.gate.set()
    await settled()
    assert (shop.asked, shop.most_at_once) == ([["a"], ["b"]], 1)


async def test_an_edit_is_asked_about_at_once_also_while_an_older_answer_is_on_its_way(shop, watched):
    shop.sells("a")
    shop.gate.clear()
    watched.want(["a"])
    await settled()
    shop.sells("a", "2.00")
    watched.poller.changed(["a", "never seen"])
    shop.gate.set()
    await settled()
    assert (watched.offer("a").price, shop.asked) == ("2.00", [["a"], ["a"]])
    shop.answers.pop("a")
    watched.poller.changed(["a"])
    await settled()
    assert watched.offer("a") == "sold_out"
    assert watched.changes == [{"a"}] * 3


async def test_when_the_list_of_hosts_changes_everything_seen_lately_is_asked_again(shop, watched):
    shop.sells("a")
    watched.want(["long ago"])
    await settled()
    shop.now_s += MAX_AGE_S + 1
    watched.want(["a"])
    await settled()
    watched.poller.all_changed()
    await settled()
    assert shop.asked == [["long ago"], ["a"], ["a"]]


async def test_questions_are_bounded_and_the_oldest_goes_first(shop, watched, monkeypatch):
    monkeypatch.setattr("livecart.live.enrich.availability_poller._MOST_WAITING", 10)
    shop.gate.clear()
    watched.want(["x"])
    await settled()
    watched.want([str(number) for number in range(15)])
    assert watched.count("waiting") == 10
    assert watched.count("dropped_total") == 5
    shop.gate.set()
    await settled()
    assert shop.asked == [["x"], [*map(str, range(5, 15))]]


async def test_what_is_known_is_bounded(shop, monkeypatch):
    monkeypatch.setattr("livecart.live.enrich.availability_poller._MOST_KNOWN", 5)
    watched = Watched(shop)
    watched.start()
    watched.want([str(number) for number in range(8)])
    await settled()
    assert watched.offer("0") == WAITING
    assert watched.offer("7") == "sold_out"
    await watched.poller.close()


async def test_a_product_at_which_the_question_fails_is_counted_and_no_card_and_costs_no_other_its_card(
    shop, watched, caplog
):
    for sku in "bcde":
        shop.sells(sku)
    shop.answers["a"] = ZeroDivisionError("a bug")
    with caplog.at_level(logging.ERROR):
        watched.want(["b", "c", "a", "d", "e"])
        await settled()
    assert watched.offer("a") == "failed"
    assert {watched.offer(sku).price for sku in "bcde"} == {"1.00"}
    assert "product a: the catalog cannot be asked" in caplog.text
    failures = watched.metrics.registry.get_sample_value(
        "livecart_live_background_failures_total", {"where": "availability"}
    )
    assert failures == 1


@pytest.mark.parametrize("sold", [True, False])
async def test_a_clock_that_is_set_back_makes_no_answer_last(watched, shop, sold):
    if sold:
        shop.sells("1")
    watched.want(["1"])
    await settled()
    shop.now_s -= 3600.0
    # No card goes because of the clock alone.
    assert (watched.offer("1") == "sold_out") is not sold
    await settled()
    assert shop.asked == [["1"]]
    shop.gate.clear()
    shop.monotonic_s += MAX_AGE_S + 0.1
    assert watched.offer("1") == WAITING
    await settled()
    assert shop.asked == [["1"], ["1"]]
    shop.gate.set()
