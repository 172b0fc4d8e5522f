"""Several products in one picture, and several answers for one product."""

import itertools

from tests.live.room_driver import ASIDE, BESIDE, HELD, Driver, product

B_REPLACES_A = [("withdraw", "A", "replaced"), ("card", "B")]


def cards(room):
    return [event.sku for event in room.events if event.event == "card"]


def test_the_one_held_is_announced_not_the_one_on_the_table():
    room = Driver()
    room.show(0, 30, product("table", ASIDE, 0.99), product("hand", HELD, 0.8))
    assert cards(room) == ["hand"]
    assert not room.room.needs_look


def test_the_one_left_is_announced_when_the_main_one_goes():
    room = Driver()
    room.show(0, 5, product("A"), product("B", ASIDE))
    events = room.show(6, 10, product("B", ASIDE))
    assert [event for event in events if event[0] != "update"] == [("withdraw", "A", "gone"), ("card", "B")]


def test_what_is_picked_up_replaces_what_is_left_on_the_table():
    room = Driver()
    room.show(0, 5, product("A", ASIDE))
    assert room.look(6, product("A", ASIDE), product("B")) == []
    assert room.look(7, product("A", ASIDE), product("B")) == B_REPLACES_A


def test_a_swap_in_the_hand_needs_no_more_looks_than_a_first_product():
    room = Driver()
    room.show(0, 8, product("A"))
    assert room.look(9, product("B")) == []
    assert room.look(10, product("B")) == B_REPLACES_A


def test_a_missed_look_does_not_let_the_table_in():
    room = Driver(update_every_s=3600)
    room.show(0, 5, product("A"), product("B", ASIDE))
    assert room.look(6, product("B", ASIDE)) == []
    assert room.show(7, 9, product("A"), product("B", ASIDE)) == []


def test_two_side_by_side_do_not_take_turns():
    room = Driver()
    for at_s in range(60):
        larger = (BESIDE[0] - 15 * (at_s % 2), *BESIDE[1:])
        room.look(at_s, product("A", ASIDE), product("B", larger))
    assert len(cards(room)) == 1


def test_the_one_that_moves_wins_over_the_larger_one_that_stands():
    room = Driver()
    for at_s in range(12):
        swing = 150 * (at_s % 2)
        moving = (280.0 + swing, 500.0, 400.0 + swing, 700.0)
        room.look(at_s, product("still", (10, 900, 180, 1200)), product("moving", moving))
    assert cards(room)[-1] == "moving"


def test_a_camera_that_pans_moves_nobody():
    room = Driver()
    for at_s in range(20):
        pan = 60 * (at_s % 2)
        boxes = {"A": (40, 400, 240, 700), "B": (300, 420, 480, 690), "C": (500, 500, 620, 700)}
        room.look(at_s, *(product(sku, (x1 + pan, y1, x2 + pan, y2)) for sku, (x1, y1, x2, y2) in boxes.items()))
    assert len(cards(room)) == 1


def test_variants_that_alternate_on_one_box_make_no_card():
    room = Driver()
    for at_s, sku in zip(range(40), itertools.cycle("AB")):
        room.look(at_s, product(sku))
    assert room.events == []


def test_a_variant_that_clearly_wins_makes_one_card():
    room = Driver(window_s=10)
    for at_s, sku in enumerate("ABAABAAABAAABAAAA"):
        room.look(at_s, product(sku))
    assert cards(room) == ["A"]


def test_variants_in_the_same_look_share_one_card_of_the_better_one():
    room = Driver(max_cards=3)
    inner = (HELD[0] + 20, HELD[1] + 20, HELD[2] - 20, HELD[3] - 20)
    room.show(0, 10, product("A", HELD, 0.95), product("B", inner, 0.9))
    assert cards(room) == ["A"]


def test_variants_in_the_same_look_whose_order_flips_make_at_most_one_card():
    room = Driver()
    for at_s in range(60):
        first, second = (0.9, 0.85) if at_s % 2 else (0.85, 0.9)
        room.look(at_s, product("A", HELD, first), product("B", HELD, second))
    assert len(cards(room)) <= 1


def test_a_wrong_answer_in_between_delays_but_does_not_prevent():
    room = Driver()
    answers = ["A", "B", "A", "A"]
    told = [room.look(at_s, product(sku)) for at_s, sku in enumerate(answers)]
    assert told == [[], [], [], [("card", "A")]]


def test_two_copies_of_a_product_are_one():
    room = Driver(max_cards=3)
    room.show(0, 5, product("A", ASIDE), product("A", HELD))
    assert cards(room) == ["A"]
    assert room.events[0].box == HELD


def test_max_cards_of_them_are_shown_at_once():
    room = Driver(max_cards=2)
    room.show(0, 5, product("A", HELD), product("B", ASIDE), product("C", (600, 20, 640, 70)))
    assert cards(room) == ["A", "B"]


def test_a_label_of_the_frame_does_not_contradict_a_box():
    room = Driver()
    assert room.look(0, product("A")) == []
    assert room.look(1, product("B", None)) == []
    assert room.look(2, product("A"), product("B", None)) == [("card", "A")]
