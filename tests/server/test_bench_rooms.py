"""The parts of benchmarks/bench_rooms.py that its figures rest on; no server is started."""

import io
import itertools
import math

import av
import pytest

from benchmarks.capacity_search import largest_passing
from benchmarks.live_source import LoopedClip
from benchmarks.room_measure import Distribution
from benchmarks.room_process import WAYS, merged, offsets_ms, rooms_toml
from livecart.server.rooms_file import read_rooms_file
from tests.live.video.streams import encode


@pytest.mark.parametrize("carried", range(0, 40, 3))
def test_the_search_finds_the_largest_load(carried):
    tried = []

    def passes(load):
        tried.append(load)
        return load <= carried

    assert largest_passing(passes, start=4, most=32, max_runs=9) == min(carried, 32)
    assert len(tried) == len(set(tried)) <= 9


def test_a_search_tries_what_is_suggested_where_that_tells_something():
    tried = []

    def passes(load):
        tried.append(load)
        return load <= 21

    suggested = iter([20, 3, 22, None])
    assert largest_passing(passes, start=4, most=128, max_runs=4, suggest=lambda: next(suggested)) == 20
    assert tried == [4, 20, 40, 22]


def test_a_looped_clip_is_one_endless_stream(tmp_path):
    clip = tmp_path / "clip.mp4"
    encode(clip, seconds=2.0, fps=30, key_every_s=1.0)
    looped = LoopedClip(clip)
    assert looped.duration_ms == 2000
    first = looped.last_key_frame(3500)
    assert looped.due_ms(first) == 3000
    stream = looped.opening() + b"".join(looped.bytes_of(number) for number in range(first, first + 120))
    with av.open(io.BytesIO(stream), format="flv") as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 120
    times_s = [frame.time for frame in frames]
    # Timestamps are milliseconds: 33 or 34 between frames, also from the clip's end to its beginning.
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(times_s)]
    assert all(gap_s == pytest.approx(1 / 30, abs=0.0011) for gap_s in gaps_s)
    assert sum(frame.key_frame for frame in frames) == 4


def test_quantiles_are_interpolated_and_shares_exact():
    values = Distribution({0.5: 50.0, 1.0: 95.0, 2.0: 99.0, math.inf: 100.0})
    assert values.share_within(1.0) == 0.95
    assert values.quantile_s(0.25) == pytest.approx(0.25)
    assert values.quantile_s(0.97) == pytest.approx(1.5)
    assert values.quantile_s(1.0) == 2.0
    assert Distribution({1.0: 0.0, math.inf: 0.0}).quantile_s(0.5) is None


@pytest.mark.parametrize("way", WAYS)
def test_rooms_start_at_different_places_of_the_clip(tmp_path, way):
    ahead_ms = offsets_ms(12, show_every_s=20.0, clip_s=60.0)
    in_show_ms = sorted(ahead % 20_000 for ahead in ahead_ms)
    assert min(b - a for a, b in itertools.pairwise(in_show_ms)) > 500
    common = {"recognizer": {"base_url": "http://127.0.0.1:1"}, "ingest": {"rate_hz": 0.5}}
    path = tmp_path / "rooms.toml"
    path.write_text(rooms_toml(merged(common, WAYS[way].settings), source="http://127.0.0.1:3", ahead_ms=ahead_ms))
    file = read_rooms_file(path, {})
    assert file.ingest.rate_hz == 0.5
    assert len(file.rooms) == 12
    assert file.ingest.every_frame == (way == "naive")
