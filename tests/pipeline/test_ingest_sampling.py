"""Sample times, key-frame distances, capture times and waits: arithmetic alone."""

from random import Random

import pytest

from livecart.pipeline.ingest.backoff import Backoff
from livecart.pipeline.ingest.capture_time import CaptureClock
from livecart.pipeline.ingest.sampling import KeyFrameDistance, SampleGrid


@pytest.mark.parametrize(("rate_hz", "wanted"), [(1.0, [0, 30, 60, 90]), (2.0, [0, 15, 30, 45, 60, 75, 90])])
def test_grid_takes_the_first_frame_at_or_after_each_time(rate_hz, wanted):
    grid = SampleGrid(rate_hz)
    assert [index for index in range(100) if grid.take(index / 30)] == wanted


def test_grid_holds_the_rate_where_frames_never_fall_on_it():
    grid = SampleGrid(1.0)
    taken = [index * 0.7 for index in range(1000) if grid.take(index * 0.7)]
    assert len(taken) == pytest.approx(700, abs=2)


def test_grid_skips_missed_samples_after_a_gap():
    grid = SampleGrid(1.0)
    assert [pts for pts in (0.0, 0.5, 57.3, 57.9, 58.0, 58.1) if grid.take(pts)] == [0.0, 57.3, 58.0]


def test_grid_follows_timestamps_that_go_back_but_not_reordering():
    grid = SampleGrid(1.0)
    assert grid.take(1000.0)
    grid.follow_jump(999.5)
    assert not grid.take(999.5)
    grid.follow_jump(3.0)
    assert grid.take(3.0)
    assert grid.due_s == pytest.approx(4.0)


def test_distance_is_the_longest_of_the_last_and_known_after_two():
    distance = KeyFrameDistance()
    for pts in (0.0, 2.0):
        distance.push(pts)
    assert distance.longest_s is None
    distance.push(5.0)
    assert distance.longest_s == 3.0
    assert distance.next_key_s == 8.0
    assert not distance.is_overdue(9.0)
    assert distance.is_overdue(9.6)
    for pts in (6.0, 7.0, 8.0, 9.0):
        distance.push(pts)
    assert distance.longest_s == 1.0


def test_distance_ignores_jumps():
    distance = KeyFrameDistance()
    for pts in (0.0, 2.0, 4.0, 10_000.0, 3.0, 5.0):
        distance.push(pts)
    assert distance.longest_s == 2.0


def test_capture_times_do_not_follow_jitter():
    clock = CaptureClock()
    rng = Random(1)
    for index in range(300):
        pts = index / 30
        clock.observe(pts, 5000.0 + pts + 0.2 + rng.uniform(0, 0.5))
        captured = clock.captured_at_s(pts)
        if index > 60:
            assert captured == pytest.approx(5000.2 + pts, abs=0.03)


def test_capture_times_never_run_backwards():
    clock = CaptureClock()
    rng = Random(2)
    last = 0.0
    for index in range(2000):
        pts = (index if index < 1000 else index - 900) / 30
        clock.observe(pts, 100.0 + index / 30 + rng.uniform(0, 1.0))
        assert clock.captured_at_s(pts) >= last
        last = clock.captured_at_s(pts)
    assert last == pytest.approx(100.0 + 1999 / 30, abs=0.2)


def test_capture_times_follow_an_encoder_whose_clock_is_slow():
    clock = CaptureClock()
    for second in range(3600):
        clock.observe(float(second), 1000.0 + second * 1.0005)
    assert clock.captured_at_s(3599.0) == pytest.approx(1000.0 + 3599 * 1.0005, abs=0.1)


def test_backoff_grows_is_jittered_bounded_and_reset():
    backoff = Backoff(0.5, 8.0, Random(3))
    waits = [backoff.next_wait_s() for _ in range(200)]
    assert all(wait <= min(8.0, 0.5 * 2**n) for n, wait in enumerate(waits))
    assert max(waits) > 7.5
    assert min(waits[10:]) < 0.5
    backoff.reset()
    assert backoff.next_wait_s() <= 0.5
