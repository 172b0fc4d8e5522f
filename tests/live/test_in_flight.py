"""A near-duplicate of the frame in flight waits for that one's result, and for nothing else."""

import pytest

from livecart.live.in_flight import Ended, InFlight


def key(pts_s: float) -> tuple[float, float]:
    return pts_s, 1000.0 + pts_s


@pytest.fixture
def in_flight() -> InFlight:
    frames = InFlight()
    frames.submit(key(1), None)
    return frames


def test_the_newest_near_duplicate_comes_with_the_result_once(in_flight):
    assert in_flight.hold(key(2))
    assert in_flight.hold(key(3))
    assert in_flight.end(key(1)).duplicate == key(3)
    assert in_flight.end(key(1)).duplicate is None
    assert not in_flight.hold(key(4))


def test_an_older_frames_result_changes_nothing(in_flight):
    in_flight.submit(key(2), None)
    assert in_flight.hold(key(3))
    assert in_flight.end(key(1)).duplicate is None
    in_flight.end(key(1), is_lost=True)
    assert in_flight.end(key(2)).duplicate == key(3)


def test_a_newer_frame_forgets_what_was_held_for_the_older_one(in_flight):
    in_flight.hold(key(2))
    in_flight.submit(key(3), None)
    assert in_flight.end(key(3)).duplicate is None


def test_a_frame_that_is_lost_takes_what_was_held_with_it(in_flight):
    in_flight.hold(key(2))
    assert in_flight.end(key(1), is_lost=True).duplicate is None
    assert not in_flight.hold(key(3))
    assert in_flight.end(key(1)).duplicate is None


def test_it_is_told_once_that_a_frame_was_passed_over(in_flight):
    in_flight.pass_over()
    assert in_flight.end(key(1)) == Ended(None, None, passed_over=True)
    assert not in_flight.end(key(2)).passed_over


def test_a_result_is_pending_for_a_moment_or_until_it_is_there():
    now_s = [10.0]
    in_flight = InFlight(clock=lambda: now_s[0])
    assert not in_flight.is_pending()
    in_flight.submit(key(1), None)
    in_flight.submit(key(2), None)
    in_flight.end(key(1))
    now_s[0] += 1.4
    assert in_flight.is_pending()
    now_s[0] += 0.2
    assert not in_flight.is_pending()
    in_flight.submit(key(3), None)
    # A result says that those of older frames are not waited for any more.
    in_flight.end(key(3))
    assert not in_flight.is_pending()


def test_results_that_never_come_are_forgotten():
    in_flight = InFlight()
    for number in range(40):
        in_flight.submit(key(number), None)
    in_flight.clear()
    assert not in_flight.is_pending()
    assert not in_flight.hold(key(41))
