"""Streams that jump, loop, stop and change their size; updates of boxes; restarts."""

import pytest

from livecart.live.decide import RoomDecision
from tests.live.room_driver import ASIDE, HELD, START_S, Driver, product

CARD_A = [("card", "A")]


def moved(by_px):
    return product("A", box=(HELD[0] + by_px, HELD[1], HELD[2] + by_px, HELD[3]))


def test_timestamps_that_start_again_make_no_second_card():
    room = Driver()
    room.show(1000, 1003, product("A"))
    for number in range(5):
        room.look(number, product("A"), captured_at_s=START_S + 1004 + number)
    assert [event.event for event in room.events] == ["card"]


def test_after_timestamps_ran_backwards_absence_is_wall_clock():
    room = Driver()
    room.show(1000, 1003, product("A"))
    assert room.look(0, captured_at_s=START_S + 1004) == []
    assert room.look(1, captured_at_s=START_S + 1005) == []
    assert room.look(2, captured_at_s=START_S + 1006) == [("withdraw", "A", "gone")]


def test_a_jump_by_hours_is_no_absence():
    room = Driver()
    room.show(0, 3, product("A"))
    room.look(40_000, captured_at_s=START_S + 4)
    assert room.look(40_001, product("A"), captured_at_s=START_S + 5) == []


def test_a_followed_product_moves_its_card_and_stays():
    room = Driver(smoothing_s=0)
    room.show(0, 1, product("A"))
    box = tuple((edge + 100) / side for edge, side in zip(HELD, (720, 1280, 720, 1280), strict=True))
    for number in range(2, 9):
        room.call("on_unchanged", number, START_S + number, {"A": box})
    updates = [event for event in room.events if event.event == "update"]
    assert len(updates) == 1
    assert updates[0].box == pytest.approx(tuple(edge + 100 for edge in HELD), abs=0.1)
    assert updates[0].pts_s == 2
    assert room.room.in_sight.boxes == {"A": pytest.approx(box)}
    assert not room.room.in_sight.missing


def test_an_outage_is_no_absence():
    room = Driver(silence_s=60)
    room.show(0, 3, product("A"))
    for now_s in range(4, 45):
        assert room.call("tick", START_S + now_s) == []
    assert room.look(45) == []
    assert room.look(46, product("A")) in ([], [("update", "A")])
    assert [event.event for event in room.events].count("card") == 1


def test_a_lost_stream_takes_the_cards_and_may_bring_them_back():
    room = Driver(silence_s=60)
    room.show(0, 3, product("A"))
    assert room.call("tick", START_S + 30) == []
    assert room.call("tick", START_S + 64) == [("withdraw", "A", "stream_lost")]
    assert room.call("tick", START_S + 65) == []
    assert room.show(100, 101, product("A")) == CARD_A


def test_a_file_read_faster_than_it_plays_is_judged_by_its_own_time():
    room = Driver()
    room.look(0, product("A"), captured_at_s=START_S)
    assert room.look(1, product("A"), captured_at_s=START_S + 0.01) == CARD_A
    for at_s in (2, 3):
        assert room.look(at_s, captured_at_s=START_S + at_s / 100) == []
    assert room.look(4, captured_at_s=START_S + 0.04) == [("withdraw", "A", "gone")]


def test_a_looping_file_does_not_repeat_its_card_at_once():
    room = Driver()
    for loop in range(3):
        for at_s in range(8):
            room.look(at_s, product("A"), captured_at_s=START_S + loop * 8 + at_s)
    assert [event.event for event in room.events if event.event != "update"] == ["card"]


def test_small_moves_are_not_told_large_ones_are():
    room = Driver(smoothing_s=0, update_every_s=3600)
    room.show(0, 1, product("A"))
    assert room.look(2, moved(20)) == []
    assert room.look(3, moved(60)) == [("update", "A")]
    update = room.events[-1]
    assert update.box == moved(60).box_xyxy_px
    assert (update.card_id, update.event_id) == (room.events[0].card_id, 2)


def test_updates_are_rate_limited():
    room = Driver(smoothing_s=0, update_min_interval_s=2)
    room.show(0, 1, product("A"))
    told = [room.look(2 + number / 2, moved(60 * number)) for number in range(8)]
    assert sum(map(len, told)) == 2


def test_a_card_is_told_again_now_and_then():
    room = Driver(update_every_s=10)
    assert room.show(0, 24, product("A")) == [*CARD_A, ("update", "A"), ("update", "A")]


def test_a_box_that_trembles_is_smoothed():
    room = Driver(smoothing_s=2, update_moved_share=0.001)
    room.show(0, 1, product("A"))
    room.look(2, moved(60))
    x1 = room.events[-1].box[0]
    assert HELD[0] < x1 < HELD[0] + 60


def test_a_box_that_jumps_is_not_smoothed():
    room = Driver(smoothing_s=5)
    room.show(0, 1, product("A"))
    room.look(2, product("A", box=ASIDE))
    assert room.events[-1].box == ASIDE


def test_a_stream_that_changes_its_size_keeps_the_card():
    room = Driver(update_every_s=3)
    room.show(0, 1, product("A"))
    half = product("A", box=tuple(value / 2 for value in HELD))
    assert room.look(2, half, size=(360, 640)) == []
    assert room.look(4, half, size=(360, 640)) == [("update", "A")]
    update = room.events[-1]
    assert (update.box, update.frame_width, update.frame_height) == (half.box_xyxy_px, 360, 640)


@pytest.mark.parametrize("box", [(5, 5, 5, 5), (float("nan"), 0, 9, 9), (-90, -90, -10, -10), None])
def test_a_box_that_is_none_leaves_the_product(box):
    room = Driver()
    room.show(0, 2, product("A", box=box))
    assert room.events[0].box is None


def restarted(driver, **settings):
    state = driver.room.state()
    again = Driver(state, **settings)
    again.now_s = driver.now_s
    return again


def test_a_restart_does_not_announce_again_and_goes_on_with_the_card():
    first = Driver()
    first.show(0, 3, product("A"))
    second = restarted(first)
    second.now_s += 120
    assert second.look(0, product("A"), captured_at_s=START_S + 123) == [("update", "A")]
    second.look(1, product("B", box=ASIDE), captured_at_s=START_S + 124)
    assert second.look(2, captured_at_s=START_S + 125) == []
    assert second.look(3, captured_at_s=START_S + 126) == [("withdraw", "A", "gone")]
    assert second.events[0].card_id == first.events[0].card_id
    assert second.events[0].event_id == first.events[-1].event_id + 1


def test_a_restart_remembers_what_was_announced_before():
    first = Driver()
    first.show(0, 1, product("A"))
    first.show(2, 6)
    second = restarted(first)
    assert second.show(10, 15, product("A")) == []


def test_a_restart_after_hours_withdraws_what_was_shown():
    first = Driver()
    first.show(0, 3, product("A"))
    state = first.room.state()
    room = RoomDecision("room-1", clock=lambda: START_S + 8 * 3600, state=state)
    assert [(event.event, event.reason) for event in room.tick(START_S + 8 * 3600)] == [("withdraw", "stream_lost")]


def test_a_restart_keeps_the_hosts_wishes():
    first = Driver()
    first.call("set_products", ["A", "B", "C"])
    first.call("mute", "B")
    first.call("mute", "C", 100)
    first.call("pin", "A")
    second = restarted(first)
    assert second.room.state() == first.room.state()
    assert second.show(0, 5, product("B", ASIDE)) == []
    assert second.look(6, product("A")) == CARD_A


def test_event_ids_go_on_after_those_on_the_bus():
    room = RoomDecision("room-1", last_event_id=41)
    assert [event.event_id for event in room.pin("A", product("A"))] == [42]


def test_the_state_of_another_room_is_refused():
    with pytest.raises(ValueError, match="'room-1' was given to room 'other'"):
        RoomDecision("other", state=Driver().room.state())
