"""Sample times, key-frame distances, capture times and waits: arithmetic alone."""

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livecart.core.background import Backoff
from livecart.live.video import IngestSettings
from livecart.live.video.read_guard import ReadGuard
from livecart.live.video.sampling import KeyFrameDistance, SampleGrid
from livecart.live.video.stats import ReaderStats
from livecart.live.video.timeline import CaptureClock, LiveTimeline


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
        captured = clock.captured_s(pts)
        if index > 60:
            assert captured == pytest.approx(5000.2 + pts, abs=0.03)


def test_capture_times_never_run_backwards():
    clock = CaptureClock()
    rng = Random(2)
    last = 0.0
    for index in range(2000):
        pts = (index if index < 1000 else index - 900) / 30
        clock.observe(pts, 100.0 + index / 30 + rng.uniform(0, 1.0))
        assert clock.captured_s(pts) >= last
        last = clock.captured_s(pts)
    assert last == pytest.approx(100.0 + 1999 / 30, abs=0.2)


@given(
    pauses=st.lists(st.tuples(st.floats(1, 120), st.floats(0.1, 30)), max_size=4),
    jitter_s=st.floats(0, 0.3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
@example(pauses=[(100.0, 3.0)], jitter_s=0.1, seed=0)
@example(pauses=[(100.0, 1.0), (110.0, 1.0), (120.0, 1.0)], jitter_s=0.1, seed=0)
def test_after_a_pause_of_the_encoder_frames_are_fresh_again_within_seconds(pauses, jitter_s, seed):
    """A phone in the background, then timestamps that go on without a gap: arrival is later for good."""
    clock, rng = CaptureClock(), Random(seed)
    recovering_until_s = arrived_s = 0.0
    for index in range(25 * 150):
        pts_s = index / 25
        paused_s = sum(length_s for at_s, length_s in pauses if pts_s >= at_s)
        if any(at_s <= pts_s < at_s + 1 / 25 for at_s, _ in pauses):
            recovering_until_s = pts_s + 4.0
        captured_s = 1000.0 + pts_s + paused_s
        arrived_s = max(arrived_s, captured_s + 0.1 + rng.uniform(0, jitter_s))
        clock.observe(pts_s, arrived_s)
        told_s = clock.captured_s(pts_s)
        assert told_s <= arrived_s + 1e-6
        if pts_s > recovering_until_s:
            assert arrived_s - told_s <= 2.0


def test_bursts_of_segments_are_no_delay_for_good():
    """HLS: six seconds of video arrive within half a second, their end just after it was captured."""
    clock = CaptureClock()
    for segment in range(40):
        for index in range(150):
            pts_s = segment * 6 + index / 25
            clock.observe(pts_s, 1000.0 + segment * 6 + 6.1 + index / 300)
        if segment:
            assert clock.captured_s(segment * 6 + 5.96) == pytest.approx(1000.0 + segment * 6 + 6.6, abs=0.1)


def test_the_wall_clock_may_be_set(monkeypatch):
    now_s = {"monotonic": 50.0, "wall": 1000.0}
    monkeypatch.setattr("livecart.live.video.timeline.time.monotonic", lambda: now_s["monotonic"])
    monkeypatch.setattr("livecart.live.video.timeline.time.time", lambda: now_s["wall"])
    timeline = LiveTimeline(IngestSettings(), ReadGuard(), ReaderStats())
    for index in range(25 * 60):
        now_s["monotonic"] += 1 / 25
        now_s["wall"] += 1 / 25 + {500: 5.0, 1000: -8.0}.get(index, 0.0)
        timeline.packet_came(index / 25)
        assert timeline.captured_at_s(index / 25) == pytest.approx(now_s["wall"], abs=0.01)
        timeline.handed_on()


def test_capture_times_follow_an_encoder_whose_clock_is_slow():
    clock = CaptureClock()
    for second in range(3600):
        clock.observe(float(second), 1000.0 + second * 1.0005)
    assert clock.captured_s(3599.0) == pytest.approx(1000.0 + 3599 * 1.0005, abs=0.1)


def test_backoff_grows_is_jittered_bounded_and_reset():
    backoff = Backoff(0.5, 8.0, Random(3))
    waits = [backoff.next_wait_s() for _ in range(200)]
    bounds = [min(8.0, 0.5 * 2**n) for n in range(200)]
    assert all(bound / 2 <= wait <= bound for bound, wait in zip(bounds, waits, strict=True))
    assert max(waits) > 7.5
    assert min(waits[10:]) < 4.5
    backoff.reset()
    assert backoff.next_wait_s() <= 0.5
