"""A card needs the shop's word, and stands no longer than that."""

from dataclasses import replace

import pytest

from livecart.live.decide.availability import WAITING, Offer
from tests.live.room_driver import BESIDE, Driver, product

CARD_A = [("card", "A")]
OFFER = Offer("新名字", "https://shop.example.com/new", "9.90", "CNY", "/catalog/photos/a.jpg", 1.0)


class Shop:
    """Says of every product what a test sets."""

    def __init__(self, **answers):
        self.answers = answers
        self.known = {}
        self.refusals = []

    def offer(self, sku):
        answer = self.answers.get(sku, WAITING)
        if isinstance(answer, Offer):
            self.known[sku] = answer
        return answer

    def last(self, sku):
        return self.known.get(sku)

    def refused(self, reason):
        self.refusals.append(reason)


def room_with(**answers):
    shop = Shop(**answers)
    return Driver(availability=shop), shop


def test_the_card_has_the_shops_link_price_and_photo():
    room, _ = room_with(A=OFFER)
    assert room.show(0, 1, product("A")) == CARD_A
    card = room.events[0]
    assert (card.name, card.url, card.price, card.image_url) == (OFFER.name, OFFER.url, "9.90", OFFER.image_url)
    room.show(2, 6, product("A", BESIDE))
    assert {event.url for event in room.events} == {OFFER.url}


@pytest.mark.parametrize("reason", ["unknown", "sold_out", "off_sale", "link", "not_known", "failed"])
def test_without_the_shops_word_there_is_no_card_and_it_is_counted_once(reason):
    room, shop = room_with(A=reason)
    assert room.show(0, 10, product("A")) == []
    assert shop.refusals == [reason]
    assert [event.event_id for event in room.events] == []


def test_what_the_shop_does_not_sell_takes_no_other_cards_place():
    room, _ = room_with(A=OFFER, B="sold_out")
    room.show(0, 2, product("A"))
    # A is put away for B: its card goes as any card out of sight, not because B came.
    events = room.show(3, 9, product("B"))
    assert events == [("withdraw", "A", "gone")]


def test_the_answer_that_comes_late_brings_the_card_without_another_look():
    room, shop = room_with()
    assert room.show(0, 1, product("A")) == []
    assert shop.refusals == []
    shop.answers["A"] = OFFER
    assert room.call("on_availability", ["A"]) == CARD_A


def test_a_card_goes_when_its_product_sells_out_and_comes_back_with_its_stock():
    room, shop = room_with(A=OFFER)
    room.show(0, 2, product("A"))
    shop.answers["A"] = "sold_out"
    assert room.call("on_availability", ["A"]) == [("withdraw", "A", "off_sale")]
    assert room.events[-1].url == OFFER.url
    assert room.show(3, 9, product("A")) == []
    shop.answers["A"] = replace(OFFER, price="8.80")
    assert room.call("on_availability", ["A"]) == CARD_A
    assert room.events[-1].price == "8.80"
    assert [event.event_id for event in room.events] == list(range(1, len(room.events) + 1))


def test_a_product_in_a_still_picture_is_looked_at_again_when_its_stock_is_back():
    room, shop = room_with(A="sold_out")
    room.show(0, 2, product("A"))
    for number in range(3, 60):
        room.unchanged(number)
    assert not room.room.needs_look
    shop.answers["A"] = OFFER
    assert room.call("on_availability", ["A"]) == []
    assert room.look(60, product("A")) == []
    assert room.room.needs_look
    assert room.look(61, product("A")) == CARD_A


def test_a_card_goes_when_nobody_has_confirmed_it_for_too_long():
    room, shop = room_with(A=OFFER)
    room.show(0, 2, product("A"))
    assert room.call("recheck_availability") == []
    shop.answers["A"] = WAITING
    assert room.call("recheck_availability") == [("withdraw", "A", "off_sale")]


def test_a_pinned_product_is_no_exception():
    room, shop = room_with(A="sold_out")
    assert room.call("pin", "A", product("A", None)) == []
    shop.answers["A"] = OFFER
    assert room.call("on_availability", ["A"]) == CARD_A
    assert (room.events[0].url, room.events[0].price) == (OFFER.url, "9.90")
    shop.answers["A"] = "off_sale"
    assert room.call("on_availability", ["A"]) == [("withdraw", "A", "off_sale")]
    shop.answers["A"] = OFFER
    assert room.call("on_availability", ["A"]) == CARD_A


def test_a_product_is_pinned_by_its_sku_as_the_shop_has_it():
    room, shop = room_with(A=OFFER)
    assert room.call("pin", "A") == CARD_A
    assert room.events[0].name == OFFER.name
    assert room.call("pin", "B") == []
    shop.answers["B"] = OFFER
    assert room.call("on_availability", ["B"]) == [("withdraw", "A", "replaced"), ("card", "B")]


def test_the_same_product_is_not_announced_anew_while_it_is_sold_out():
    shop = Shop(A=OFFER)
    room = Driver(availability=shop, again_every_s=20)
    room.show(0, 10, product("A"))
    shop.answers["A"] = "sold_out"
    events = room.show(11, 40, product("A"))
    assert events == [("withdraw", "A", "off_sale")]


def test_between_looks_the_shop_is_asked_about_what_stands_what_waits_and_what_is_pinned():
    room, _ = room_with(A=OFFER, B="sold_out")
    room.show(0, 1, product("A"), product("B", BESIDE))
    room.show(2, 9, product("B"))
    assert room.room.awaits_availability_of == {"B"}
    room.call("pin", "C")
    room.show(10, 20)
    assert room.room.awaits_availability_of == {"C"}
