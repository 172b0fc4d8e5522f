"""When a card comes, how long it stays, when it may come again."""

import dataclasses

import pytest

from contract.reply import Evidence
from livecart.live.decide import RoomDecision
from tests.live.room_driver import ASIDE, HELD, START_S, Driver, looked, product

CARD_A = [("card", "A")]
GONE_A = [("withdraw", "A", "gone")]


def test_two_agreeing_results_make_a_card():
    room = Driver()
    assert room.look(0, product("A")) == []
    assert room.room.needs_look
    assert room.look(1, product("A")) == CARD_A
    assert not room.room.needs_look


def test_a_card_says_what_was_seen_and_when():
    room = Driver()
    room.look(0, product("A", confidence=0.8))
    room.look(1, product("A", confidence=0.9))
    (card,) = room.events
    assert (card.event_id, card.room, card.sku, card.name) == (1, "room-1", "A", "name of A")
    assert (card.url, card.price, card.currency) == ("https://shop.example.com/A", "12.90", "CNY")
    assert card.confidence == pytest.approx(0.85)
    assert (card.box, card.frame_width, card.frame_height) == (HELD, 720, 1280)
    assert (card.pts_s, card.captured_at_s) == (1, START_S + 1)
    assert card.decided_at_s == card.emitted_at_s == START_S + 1.2
    assert (card.avoid, card.image_url, card.reason) == (None, None, None)


def test_one_look_is_enough_where_it_is_certain_of_a_product_in_the_hand():
    assert Driver().look(0, product("A", confidence=0.998)) == CARD_A
    assert Driver().look(0, product("A", confidence=0.997)) == []
    assert Driver().look(0, product("A", box=(0, 0, 72, 128), confidence=0.998)) == []


@pytest.mark.parametrize(
    ("confidence", "changes", "certain"),
    [
        (0.9985, {"threshold": 0.95}, True),
        (0.9985, {"threshold": 0.99}, False),
        (0.99995, {"threshold": 0.99}, True),
        (1.0, {"threshold": 0.95, "evidence": Evidence(photo=None, text=1.0, label=0.0)}, False),
        (1.0, {"threshold": 0.95, "evidence": Evidence(photo=0.8, text=None, label=0.0)}, True),
    ],
    ids=["twice the log-odds", "a higher threshold", "twice that", "by its name alone", "by its photos"],
)
def test_a_look_is_certain_by_the_product_s_own_threshold_and_photos(confidence, changes, certain):
    look = dataclasses.replace(product("A", confidence=confidence), **changes)
    assert Driver().look(0, look) == (CARD_A if certain else [])


def test_looks_below_a_product_s_threshold_announce_nothing():
    below = dataclasses.replace(product("A", confidence=0.995), threshold=0.999)
    assert Driver().show(0, 6, below) == []


def test_a_certain_look_is_two_of_as_many_as_a_room_wants():
    room = Driver(agreeing_results=3)
    assert room.look(0, product("A", confidence=0.998)) == []
    assert room.look(1, product("A", confidence=0.998)) == CARD_A


def test_looks_that_lie_too_far_apart_do_not_agree():
    room = Driver(window_s=5)
    assert room.look(0, product("A")) == []
    assert room.show(1, 5) == []
    assert room.look(6, product("A")) == []
    assert room.look(7, product("A")) == CARD_A


def test_the_same_frame_counts_once():
    room = Driver(agreeing_results=2)
    assert room.look(3, product("A")) == []
    assert room.look(3, product("A")) == []
    assert room.look(4, product("A")) == CARD_A


def test_an_answer_that_comes_after_a_newer_ones_says_nothing():
    room = Driver()
    room.look(0)
    room.look(2)
    assert room.look(1, product("A"), captured_at_s=START_S + 1) == []
    assert room.look(3, product("A")) == []
    assert room.look(4, product("A")) == CARD_A


@pytest.mark.parametrize(
    ("detection", "looks"),
    [
        (product("A"), 2),
        (product("A", box=ASIDE), 2),
        (product("A", box=(10, 1000, 60, 1060)), 4),
        (product("A", box=None), 3),
    ],
    ids=["in the hand", "on the table", "tiny", "label only"],
)
def test_weak_looks_have_to_be_more(detection, looks):
    room = Driver(window_s=30)
    needed = next(count for count in range(1, 20) if room.look(count, detection))
    assert needed == looks


def test_unsure_looks_need_one_that_the_archive_would_show():
    room = Driver(window_s=30)
    assert all(room.look(at_s, product("A", confidence=0.65)) == [] for at_s in range(1, 9))
    assert room.look(9, product("A", confidence=0.75)) == CARD_A


def test_a_look_below_even_odds_says_nothing():
    room = Driver(window_s=30)
    assert room.look(1, product("A", confidence=0.9)) == []
    assert all(room.look(at_s, product("A", confidence=0.5)) == [] for at_s in range(2, 9))


def test_looks_close_together_are_nearly_one():
    room = Driver()
    needed = next(count for count in range(1, 40) if room.look(count * 0.05, product("A")))
    assert needed > 4


def test_gone_after_an_absence_not_after_a_missed_look():
    room = Driver(absence_s=3)
    room.show(0, 1, product("A"))
    assert room.look(2) == []
    assert room.room.needs_look
    # The second look that misses it settles it; from then on it is a matter of time.
    assert room.look(3) == []
    assert not room.room.needs_look
    assert room.room.in_sight.missing
    assert room.look(3.5, product("A")) == []
    assert room.show(4.5, 5.5) == []
    assert room.look(6.5) == GONE_A
    assert room.show(7.5, 20) == []


def test_one_missed_look_is_no_absence_at_a_slow_rate():
    room = Driver(absence_s=3, window_s=20)
    room.show(0, 8, product("A"), step_s=4)
    assert room.look(12) == []
    assert room.look(16, product("A")) in ([], [("update", "A")])
    assert room.look(20) == []
    assert room.look(24) == GONE_A


def test_announced_again_only_after_an_absence():
    room = Driver(again_after_absence_s=30)
    room.show(0, 1, product("A"))
    assert room.show(2, 6) == GONE_A
    assert room.show(7, 12, product("A")) == []
    room.show(13, 41)
    assert room.show(42, 43, product("A")) == CARD_A


def test_announced_again_after_minutes_in_sight():
    room = Driver(again_every_s=60, update_every_s=1000)
    assert room.show(0, 60, product("A")) == CARD_A
    assert room.look(61, product("A")) == [("withdraw", "A", "replaced"), *CARD_A]
    assert room.show(62, 120, product("A")) == []


def test_unchanged_frames_keep_a_product_in_sight_and_cast_no_vote():
    room = Driver(update_every_s=3600)
    room.look(0, product("A"))
    for at_s in range(1, 9):
        assert room.unchanged(at_s) == []
    room.look(9, product("A"))
    assert room.look(10, product("A")) == CARD_A
    for at_s in range(11, 60):
        assert room.unchanged(at_s) == []


def test_unchanged_frames_after_a_look_without_it_let_it_go():
    room = Driver()
    room.show(0, 1, product("A"))
    room.look(2)
    assert [event for at_s in (3, 4, 5) for event in room.unchanged(at_s)] == GONE_A


def test_an_unchanged_frame_may_be_told_before_the_look_it_equals():
    room = Driver()
    room.look(0, product("A"))
    room.unchanged(2)
    assert room.look(1, product("A"), captured_at_s=START_S + 1) == CARD_A
    assert room.events[0].pts_s == 1


def test_a_look_of_another_room_is_refused():
    with pytest.raises(ValueError, match="'room-1' was given to room 'other'"):
        RoomDecision("other").on_result(looked(0))
