"""What the host's console asks for."""

import pytest

from livecart.core.errors import SettingsError
from tests.live.room_driver import ASIDE, START_S, Driver, product

CARD_A = [("card", "A")]


def test_a_muted_product_is_not_announced_until_its_time_is_over():
    room = Driver()
    assert room.call("mute", "A", 10) == []
    assert room.show(0, 9, product("A")) == []
    assert not room.room.needs_look
    assert room.show(10, 11, product("A")) == CARD_A


def test_muting_withdraws_and_unmuting_does_not_announce_twice():
    room = Driver()
    room.show(0, 2, product("A"))
    assert room.call("mute", "A") == [("withdraw", "A", "muted")]
    assert room.call("mute", "A") == []
    assert room.show(3, 60, product("A")) == []
    assert room.call("unmute", "A") == []
    assert room.show(61, 80, product("A")) == []


def test_unmuting_announces_what_waits_in_sight():
    room = Driver()
    room.call("mute", "A")
    room.show(0, 5, product("A"))
    assert room.call("unmute", "A") == CARD_A


def test_off_sale_is_a_mute_with_its_own_reason():
    room = Driver()
    room.show(0, 2, product("A"))
    assert room.call("mute", "A", reason="off_sale") == [("withdraw", "A", "off_sale")]


def test_a_pinned_product_is_shown_at_once_and_stays():
    room = Driver()
    assert room.call("pin", "A", product("A", None)) == CARD_A
    assert (room.events[0].box, room.events[0].frame_width) == (None, 0)
    assert room.show(0, 30, product("B")) == []
    assert room.call("unpin") == [("withdraw", "A", "gone"), ("card", "B")]


def test_a_pinned_product_takes_the_place_of_a_card():
    room = Driver()
    room.show(0, 2, product("B"))
    assert room.call("pin", "A", product("A")) == [("withdraw", "B", "replaced"), ("card", "A")]


def test_a_pinned_card_outlasts_a_silent_stream():
    room = Driver()
    room.call("pin", "A", product("A"))
    assert room.call("tick", START_S + 500) == []
    assert room.call("close") == [("withdraw", "A", "room_closed")]


def test_a_pin_by_sku_waits_for_the_first_look():
    room = Driver()
    assert room.call("pin", "A") == []
    assert room.look(0, product("B", ASIDE)) == []
    assert room.look(1, product("A"), product("B", ASIDE)) == CARD_A


def test_a_pin_brings_back_what_was_shown_before():
    room = Driver()
    room.show(0, 2, product("A"))
    room.show(3, 8)
    assert room.call("pin", "A") == CARD_A


def test_an_unpinned_product_in_sight_keeps_its_card():
    room = Driver(update_every_s=3600)
    room.call("pin", "A", product("A"))
    room.show(0, 3, product("A"))
    assert room.call("unpin") == []
    assert room.show(4, 8, product("A")) == []
    assert room.show(9, 13) == [("withdraw", "A", "gone")]


def test_the_last_wish_wins():
    room = Driver()
    room.call("pin", "A", product("A"))
    assert room.call("mute", "A") == [("withdraw", "A", "muted")]
    assert room.call("pin", "A") == CARD_A
    assert room.call("pin", "B", product("B")) == [("withdraw", "A", "replaced"), ("card", "B")]


def test_a_pinned_card_comes_back_with_the_stream():
    room = Driver()
    room.call("pin", "A", product("A"))
    assert room.call("close", "stream_lost") == [("withdraw", "A", "stream_lost")]
    assert room.look(1) == CARD_A


def test_withdrawn_by_the_host_it_does_not_come_straight_back():
    room = Driver(again_every_s=60)
    room.show(0, 50, product("A"))
    assert room.call("withdraw", "A") == [("withdraw", "A", "host")]
    assert room.call("withdraw", "A") == []
    assert room.show(51, 109, product("A")) == []
    assert room.look(110, product("A")) == CARD_A


def test_a_pinned_product_can_be_withdrawn():
    room = Driver()
    room.call("pin", "A", product("A"))
    assert room.call("withdraw", "A") == [("withdraw", "A", "host")]
    assert room.show(0, 5) == []


def test_only_listed_products_are_announced():
    room = Driver()
    room.call("set_products", ["B"])
    assert room.show(0, 5, product("A"), product("B", ASIDE)) == [("card", "B")]
    assert room.call("set_products", []) == [("withdraw", "B", "host")]
    assert room.call("set_products", None) == CARD_A


def test_a_pin_outside_the_list_is_refused_and_a_new_list_unpins():
    room = Driver()
    room.call("pin", "A", product("A"))
    assert room.call("set_products", ["B"]) == [("withdraw", "A", "host")]
    with pytest.raises(SettingsError, match="room room-1: A is not on the room's own list"):
        room.call("pin", "A")


def test_a_mute_of_no_time_is_refused():
    with pytest.raises(SettingsError, match="A cannot be muted for 0 s"):
        Driver().call("mute", "A", 0)


def test_particulars_of_another_product_are_refused():
    with pytest.raises(ValueError, match="'B' were given for pinning 'A'"):
        Driver().call("pin", "A", product("B"))


def test_a_closed_room_shows_nothing():
    room = Driver(max_cards=2)
    room.show(0, 2, product("A"), product("B", ASIDE))
    assert sorted(room.call("close")) == [("withdraw", "A", "room_closed"), ("withdraw", "B", "room_closed")]
    assert room.call("close") == []


def test_so_many_mutes_and_no_more_but_those_that_ended_make_room():
    room = Driver()
    room.call("mute", "short", 1.0)
    for number in range(999):
        room.call("mute", f"m{number}")
    room.call("mute", "m7", 60.0)
    with pytest.raises(SettingsError, match="1000 products are muted; unmute one before late"):
        room.call("mute", "late")
    room.now_s += 2.0
    room.call("mute", "late")
    with pytest.raises(SettingsError, match="unmute one"):
        room.call("mute", "later")
