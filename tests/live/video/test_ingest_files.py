"""Recordings read from disk: which frames come, at which times, and what damage does."""

import io
import threading
import time

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from livecart.live.video import IngestSettings, StreamReader, connection
from tests.live.video.streams import Seen, encode, encoded
from tests.waiting import wait_until


def read(path, **settings):
    """Read a file to its end; returns what was seen and the reader's counts."""
    seen = Seen()
    reader = StreamReader(str(path), "room", IngestSettings(**settings), seen.deliver, seen.on_state)
    reader.start()
    assert reader.join(30)
    assert reader.stop()
    assert seen.states[-2:] == ["ended", "closed"]
    return seen, reader


def shown_number(frame):
    """Which frame of `numbered_picture` it is, from the brightness of its lower right corner, to about one."""
    corner = frame.picture.thumbnail(frame.picture.width_px, frame.picture.height_px)[-20:, -20:]
    return float(corner.mean()) - 40


@pytest.mark.parametrize(
    ("container", "rate_hz", "mode"),
    [("mp4", 0.5, "key_frames"), ("mpegts", 0.5, "key_frames"), ("flv", 1.0, "all_frames"), ("mp4", 2.0, "all_frames")],
)
def test_frames_come_at_exactly_the_wanted_times(tmp_path, container, rate_hz, mode):
    path = tmp_path / "clip"
    encode(path, seconds=8.0, key_every_s=2.0, container=container)
    seen, reader = read(path, rate_hz=rate_hz)
    began = seen.frames[0].pts_s
    wanted = np.arange(0, 8, 1 / rate_hz)
    assert np.array(seen.pts_s) - began == pytest.approx(wanted, abs=0.002)
    assert [shown_number(frame) for frame in seen.frames] == pytest.approx(wanted * 30 % 160, abs=2.0)
    counts = reader.stats.snapshot()
    assert counts.decode_mode == mode
    assert counts.key_distance_s == pytest.approx(2.0, abs=0.01)
    assert counts.packets == 240
    assert counts.frames_sampled == len(seen.frames)


def test_no_more_is_decoded_than_needed(tmp_path):
    path = tmp_path / "clip.mp4"
    encode(path, seconds=60.0, key_every_s=2.0, size_px=(96, 64), b_frames=0)
    _, keys_alone = read(path, rate_hz=0.5)
    _, halves = read(path, rate_hz=1.0)
    # The first four seconds are decoded whole, to learn the distance.
    assert keys_alone.stats.snapshot().frames_decoded == 120 + 28
    assert halves.stats.snapshot().frames_decoded == pytest.approx(120 + 28 * 31, abs=31)


def test_a_key_frame_distance_that_grows_loses_no_sample(tmp_path):
    path = tmp_path / "clip.ts"
    short = encoded("mpegts", seconds=10.0, key_every_s=1.0)
    long = encoded("mpegts", seconds=20.0, key_every_s=8.0, start_s=10.0)
    again = encoded("mpegts", seconds=10.0, key_every_s=1.0, start_s=30.0)
    path.write_bytes(short + long + again)
    seen, reader = read(path, rate_hz=1.0)
    assert np.diff(seen.pts_s) == pytest.approx(1.0, abs=0.1)
    assert len(seen.frames) == 40
    assert reader.stats.snapshot().decode_mode == "key_frames"
    assert reader.stats.snapshot().frames_decoded < 40 * 30 * 0.8


def test_size_changes_and_garbage_between_the_parts(tmp_path):
    path = tmp_path / "clip.ts"
    garbage = np.random.default_rng(5).integers(0, 256, 40_000, dtype=np.uint8).tobytes()
    upright = encoded("mpegts", seconds=4.0, size_px=(180, 320), start_s=4.0)
    wide = encoded("mpegts", seconds=4.0, size_px=(640, 360), start_s=8.0)
    path.write_bytes(encoded("mpegts", seconds=4.0) + garbage + upright + garbage + wide)
    seen, _ = read(path, rate_hz=1.0)
    assert set(seen.sizes_px) == {(320, 240), (180, 320), (640, 360)}
    assert seen.sizes_px == sorted(seen.sizes_px, key=[(320, 240), (180, 320), (640, 360)].index)
    assert len(seen.frames) == pytest.approx(10, abs=2)


def test_damaged_packets_are_counted_and_survived(tmp_path):
    path = tmp_path / "clip.ts"
    data = bytearray(encoded("mpegts", seconds=12.0, key_every_s=1.0, size_px=(320, 240)))
    rng = np.random.default_rng(6)
    for begin in range(len(data) // 3, len(data) * 2 // 3, 188 * 3):
        data[begin + 20 : begin + 60] = rng.integers(0, 256, 40, dtype=np.uint8).tobytes()
    path.write_bytes(bytes(data))
    seen, reader = read(path, rate_hz=2.0)
    assert reader.stats.snapshot().corrupt > 0
    first, last = seen.frames[0].pts_s, seen.frames[-1].pts_s
    assert last - first > 10.5


@pytest.mark.parametrize("rate_hz", [0.5, 5.0])
def test_timestamps_that_go_back_and_jump_ahead(tmp_path, rate_hz):
    path = tmp_path / "clip.ts"
    parts = [encoded("mpegts", seconds=4.0, start_s=start_s) for start_s in (50.0, 3.0, 5000.0)]
    path.write_bytes(b"".join(parts))
    seen, _ = read(path, rate_hz=rate_hz)
    assert len(seen.frames) == pytest.approx(12 * rate_hz, abs=2)
    assert sum(step < 0 for step in np.diff(seen.pts_s)) == 1


def test_realtime_plays_at_the_files_pace(tmp_path):
    path = tmp_path / "clip.mp4"
    encode(path, seconds=1.5)
    came_at = []
    seen = Seen()

    def deliver(frame):
        came_at.append(time.time())
        seen.deliver(frame)

    settings = IngestSettings(rate_hz=5.0, realtime=True)
    reader = StreamReader(str(path), "room", settings, deliver, seen.on_state)
    reader.start()
    assert reader.join(20)
    reader.stop()
    captured = np.array([frame.captured_at_s for frame in seen.frames])
    assert captured - captured[0] == pytest.approx(np.array(seen.pts_s) - seen.pts_s[0], abs=0.001)
    assert (np.array(came_at) >= captured - 0.001).all()


def test_a_slow_receiver_loses_nothing(tmp_path):
    path = tmp_path / "clip.mp4"
    encode(path, seconds=6.0)
    seen = Seen()
    gate = threading.Semaphore(0)

    def deliver(frame):
        gate.acquire()
        seen.deliver(frame)

    reader = StreamReader(str(path), "room", IngestSettings(rate_hz=2.0), deliver, seen.on_state)
    reader.start()
    for count in range(1, 13):
        gate.release()
        wait_until(lambda count=count: len(seen.frames) == count)
    assert reader.join(10)
    assert reader.stop()
    assert seen.pts_s == pytest.approx(np.arange(0, 6, 0.5), abs=0.001)


def sound_alone(path):
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 44100), dtype=np.int16), format="s16", layout="mono")
        silence.sample_rate, silence.pts = 44100, 0
        output.mux(stream.encode(silence))
        output.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"no video at all" * 1000), "cannot be opened"),
        (lambda path: path.write_bytes(b""), "cannot be opened"),
        (sound_alone, "no video"),
        (lambda path: encode(path, container="mp4", seconds=0.2, size_px=(640, 360)), "max_side_px allows 320"),
    ],
)
def test_files_that_cannot_be_read_end_with_the_reason(tmp_path, make, says):
    path = tmp_path / "file"
    make(path)
    seen, reader = read(path, max_side_px=320)
    assert not seen.frames
    assert says in str(reader.failure)
    assert says in seen.details[-2]


def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "clip.flv"
    data = encoded("flv", seconds=8.0)
    path.write_bytes(data[: len(data) * 5 // 8])
    seen, _ = read(path)
    assert 3 <= len(seen.frames) <= 7


def test_hardware_that_is_not_there_leaves_decoding_to_the_cpu(tmp_path):
    path = tmp_path / "clip.mp4"
    encode(path, seconds=2.0)
    seen, reader = read(path, hwaccel="cuda")
    assert seen.pts_s == pytest.approx([0, 1], abs=0.001)
    assert [shown_number(frame) for frame in seen.frames] == pytest.approx([0, 30], abs=2)
    assert reader.failure is None


def test_hardware_that_the_build_does_not_know_is_told_of_once(monkeypatch, caplog):
    class Unknown:
        def __init__(self, name):
            self._name = name

        def create(self, codec):
            raise NotImplementedError(f"no {self._name} for {codec.name}")

    monkeypatch.setattr(connection, "HWAccel", Unknown)
    connection._is_there.cache_clear()
    assert [connection._hardware("qsv"), connection._hardware("qsv")] == [None, None]
    connection._is_there.cache_clear()
    assert [record.getMessage() for record in caplog.records] == [
        "ingest.hwaccel: qsv cannot be used (no qsv for h264); the CPU decodes"
    ]


def test_what_the_callbacks_raise_is_counted_and_survived(tmp_path):
    path = tmp_path / "clip.mp4"
    encode(path, seconds=3.0)
    seen = Seen()

    def deliver(frame):
        seen.deliver(frame)
        raise RuntimeError("the receiver is broken")

    def on_state(state, detail):
        seen.on_state(state, detail)
        raise RuntimeError("the listener is broken")

    reader = StreamReader(str(path), "room", IngestSettings(), deliver, on_state)
    reader.start()
    assert reader.join(10)
    assert reader.stop()
    assert len(seen.frames) == 3
    assert seen.states == ["connecting", "live", "ended", "closed"]
    assert reader.stats.snapshot().callback_errors == 3 + 4


def test_flv_times_that_wrap(tmp_path):
    """After 24.8 days the 32 bits of its milliseconds are over: the stream goes on below 0."""
    path = tmp_path / "clip.flv"
    encode(path, container="flv", seconds=5.0, key_every_s=1.0, start_s=2**31 / 1000 - 3.05)
    seen, _ = read(path, rate_hz=2.0)
    numbers = [shown_number(frame) for frame in seen.frames]
    assert len(numbers) == pytest.approx(10, abs=2)
    assert max(np.diff(numbers)) < 18


def with_recovery_points(container, *, seconds, start_s=0.0, keeps_sei=True):
    """Intra refresh: no key frame after the first; without SEI no packet is marked as one, as some encoders send it."""
    refresh = {"preset": "veryfast", "x264-params": "intra-refresh=1:keyint=30:scenecut=0:bframes=0"}
    data = encoded(container, seconds=seconds, start_s=start_s, b_frames=0, options=refresh)
    if keeps_sei:
        return data
    target = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(target, "w", format=container) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        strip = BitStreamFilterContext("filter_units=remove_types=6", source.streams.video[0])
        for packet in source.demux(video=0):
            for stripped in strip.filter(packet if packet.size else None):
                stripped.stream = stream
                output.mux(stripped)
    return target.getvalue()


def columns_off(frame, number):
    """How far each column's brightness is from that of a numbered picture, below its moving bar."""
    rgb = frame.picture.thumbnail(32, 24)[-8:].astype(float)
    return np.abs(rgb.mean(axis=(0, 2)) - 40 - number % 160).max()


def test_key_frames_that_give_way_to_intra_refresh_and_come_back(tmp_path):
    path = tmp_path / "clip.ts"
    groups = encoded("mpegts", seconds=6.0, key_every_s=1.0, b_frames=0)
    rolling = with_recovery_points("mpegts", seconds=6.0, start_s=6.0)
    again = encoded("mpegts", seconds=6.0, key_every_s=1.0, b_frames=0, start_s=12.0)
    path.write_bytes(groups + rolling + again)
    seen, reader = read(path, rate_hz=1.0)
    # Two marked packets that give no picture tell that the marks have another meaning.
    assert max(np.diff(seen.pts_s)) <= 2.1
    assert len(seen.frames) >= 17
    for frame in seen.frames:
        assert columns_off(frame, round(frame.pts_s * 30) % 180) < 6
    assert reader.stats.snapshot().decode_mode == "key_frames"


@pytest.mark.parametrize("keeps_sei", [True, False])
def test_intra_refresh_joined_in_mid_stream(tmp_path, keeps_sei):
    """A third is missing. Without marks it is decoded after 10 s, and believed after 10 more."""
    path = tmp_path / "clip.ts"
    seconds = 9.0 if keeps_sei else 36.0
    data = with_recovery_points("mpegts", seconds=seconds, keeps_sei=keeps_sei)
    path.write_bytes(data[: 3 * 188] + data[188 * (len(data) // 188 // 3) :])
    seen, _ = read(path, rate_hz=1.0)
    assert np.diff(seen.pts_s) == pytest.approx(1.0, abs=0.1)
    assert len(seen.frames) >= 4
    for frame in seen.frames:
        assert columns_off(frame, round(frame.pts_s * 30)) < 6


def test_every_frame_decodes_everything_and_samples_the_same(tmp_path):
    path = tmp_path / "clip.mp4"
    encode(path, seconds=6.0)
    whole, reader = read(path, rate_hz=0.5, every_frame=True)
    sampled, sparing = read(path, rate_hz=0.5)
    assert whole.pts_s == sampled.pts_s == [0.0, 2.0, 4.0]
    counts = reader.stats.snapshot()
    assert (counts.frames_decoded, counts.decode_mode) == (180, "all_frames")
    assert sparing.stats.snapshot().frames_decoded < 180
