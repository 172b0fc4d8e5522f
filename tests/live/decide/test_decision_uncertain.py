"""A product that is seen again and again, never for sure, stops asking for looks; a sure look ends that."""

from tests.live.room_driver import ASIDE, HELD, Driver, product

UNSURE, SURE = 0.6, 0.95


def uncertain(sku="A"):
    return product(sku, ASIDE, confidence=UNSURE)


def test_an_unsure_product_asks_for_looks_for_a_window_and_then_no_more():
    room = Driver()
    room.show(0, 4, uncertain())
    assert room.room.in_sight.pending
    assert room.room.needs_look
    assert set(room.room.in_sight.boxes) == {"A"}
    room.show(5, 6, uncertain())
    assert not room.room.in_sight.pending
    assert not room.room.needs_look
    assert room.room.in_sight.boxes == {}


def test_flickering_does_not_begin_it_anew():
    room = Driver()
    for start_s in range(0, 30, 5):
        room.look(start_s, uncertain())
        for pause_s in range(1, 5):
            room.look(start_s + pause_s)
    room.look(30, uncertain())
    assert not room.room.in_sight.pending


def test_long_out_of_sight_it_begins_anew():
    room = Driver()
    room.show(0, 6, uncertain())
    assert not room.room.in_sight.pending
    room.show(7, 70)
    room.look(71, uncertain())
    assert room.room.in_sight.pending


def test_a_sure_look_ends_it_and_the_product_is_announced():
    room = Driver()
    room.show(0, 20, uncertain())
    assert not room.events
    assert not room.room.in_sight.pending
    assert room.look(21, product("A", HELD, confidence=SURE)) == [("card", "A")]


def test_a_product_with_a_card_that_is_unsure_afterwards_stays_in_sight():
    room = Driver()
    room.show(0, 2, product("A", HELD, confidence=SURE))
    assert [event.event for event in room.events] == ["card"]
    assert room.room.in_sight.uncertain == frozenset()
    room.show(3, 20, product("A", HELD, confidence=UNSURE))
    assert set(room.room.in_sight.boxes) == {"A"}
    assert room.room.in_sight.shown == room.room.in_sight.uncertain == {"A"}


def test_one_products_doubt_is_not_anothers():
    room = Driver()
    room.show(0, 8, uncertain("A"))
    room.look(9, uncertain("A"), product("B", HELD, confidence=UNSURE))
    assert room.room.in_sight.pending
    assert set(room.room.in_sight.boxes) == {"B"}


def test_looks_close_together_are_not_enough():
    room = Driver()
    room.show(0, 3, uncertain(), step_s=0.1)
    assert room.room.in_sight.pending
