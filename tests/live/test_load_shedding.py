"""When rooms shed load, and what they decode then."""

import pytest

from livecart.live.sampling_controller import LoadShedding
from livecart.live.video import IngestSettings, SamplingRate, StreamReader
from tests.live.video.streams import Seen, encode


def run(load_shedding: LoadShedding, seconds: range, *, short: bool) -> list[int]:
    """The seconds in which load was shed."""
    on = []
    for now_s in seconds:
        if short:
            load_shedding.waited(0.6)
        if load_shedding.tick(float(now_s)):
            on.append(now_s)
    return on


def test_two_short_seconds_of_five_are_none():
    load_shedding = LoadShedding()
    assert run(load_shedding, range(2), short=True) == run(load_shedding, range(2, 20), short=False) == []


def test_short_waits_are_none():
    load_shedding = LoadShedding()
    for now_s in range(20):
        load_shedding.waited(0.4)
        assert not load_shedding.tick(float(now_s))


def test_it_begins_with_the_third_and_ends_half_a_minute_after_the_last():
    load_shedding = LoadShedding()
    assert run(load_shedding, range(10), short=True) == list(range(2, 10))
    assert run(load_shedding, range(10, 60), short=False) == list(range(10, 39))


def test_it_lasts_longer_where_it_comes_back_at_once():
    load_shedding = LoadShedding()
    run(load_shedding, range(10), short=True)
    run(load_shedding, range(10, 45), short=False)
    run(load_shedding, range(45, 50), short=True)
    assert run(load_shedding, range(50, 200), short=False)[-1] == 49 + 60 - 1


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    encode(path, seconds=20.0, key_every_s=2.0, size_px=(96, 64), b_frames=0)
    return path


def read(path, rate: SamplingRate):
    seen = Seen()
    reader = StreamReader(str(path), "room", IngestSettings(), seen.deliver, seen.on_state, rate=rate)
    reader.start()
    assert reader.join(30)
    assert reader.stop()
    return [round(pts_s - seen.pts_s[0], 2) for pts_s in seen.pts_s], reader.stats.snapshot()


def test_load_shedding_decodes_key_frames_alone(clip):
    rate = SamplingRate(1.0)
    rate.load_shedding = True
    pts_s, counts = read(clip, rate)
    # The distance of key frames is learned first.
    assert pts_s[:-1] == [0.0, 1.0, 2.0, 3.0, *range(4, 20, 2)]
    # At its end what was held back holds a sample.
    assert pts_s[-1] == 19.0
    assert counts.decode_mode == "key_frames"
    # Four seconds to learn, two at the end.
    assert counts.frames_decoded <= 120 + 8 + 60


def test_what_is_sampled_faster_is_decoded_in_between(clip):
    rate = SamplingRate(1.0, 4.0)
    rate.load_shedding = True
    rate.speed_up(10.0, 10.9)
    pts_s, _ = read(clip, rate)
    assert pts_s[7:13] == pytest.approx([10.0, 10.25, 10.5, 10.75, 12.0, 14.0], abs=0.04)


def test_without_load_shedding_a_speed_up_adds_samples_and_the_rate_goes_on_from_there(clip):
    rate = SamplingRate(1.0, 4.0)
    rate.speed_up(5.0, 5.6)
    pts_s, _ = read(clip, rate)
    assert [each for each in pts_s if 4 <= each < 8] == pytest.approx([4.0, 5.0, 5.25, 5.5, 6.5, 7.5], abs=0.04)


def test_the_fast_rate_is_twice_the_rate_and_never_slower():
    assert SamplingRate(1.0).period_s(0.0) == 1.0
    for rate_hz, wanted_s in ((0.5, 0.4), (1.0, 0.4), (2.0, 0.25), (10.0, 0.05)):
        rate = SamplingRate(rate_hz)
        rate.speed_up(0.0, 1.0)
        assert rate.period_s(0.5) == pytest.approx(wanted_s)
    slow = SamplingRate(5.0, 1.0)
    slow.speed_up(0.0, 1.0)
    assert slow.period_s(0.5) == pytest.approx(0.2)
