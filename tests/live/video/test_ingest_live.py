"""Live sources over HTTP: stalls, servers that die and come back, HLS, stopping, and what is left afterwards."""

import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from random import Random

import av
import numpy as np
import psutil
import pytest

from livecart.live.video import IngestSettings, StreamReader
from tests.live.video.streams import (
    BroadcastServer,
    ByteServer,
    Seen,
    encode,
    encoded,
    flv_tags,
    folder_server,
    late_video,
)
from tests.waiting import wait_until

QUICK = {"stall_after_s": 0.6, "open_timeout_s": 3.0, "backoff_first_s": 0.05, "backoff_max_s": 0.2}


@contextmanager
def reading(source, **settings):
    seen = Seen()
    reader = StreamReader(
        source, "room", IngestSettings(**{**QUICK, **settings}), seen.deliver, seen.on_state, rng=Random(1)
    )
    reader.start()
    try:
        yield seen, reader
    finally:
        assert reader.stop(5.0), "the reader's thread is still there"
    assert seen.states[-1] == "closed"


@pytest.fixture(autouse=True)
def _nothing_is_left():
    process = psutil.Process()
    threads, descriptors = threading.active_count(), process.num_fds()
    yield
    wait_until(lambda: threading.active_count() <= threads)
    wait_until(lambda: process.num_fds() <= descriptors)


@pytest.fixture(scope="module")
def flv():
    return encoded("flv", seconds=6.0, key_every_s=1.0)


def test_http_flv_goes_live_and_reconnects_when_the_server_closes(flv):
    with ByteServer(flv) as server, reading(server.url) as (seen, reader):
        wait_until(lambda: seen.states.count("live") == 3)
        assert server.connections >= 3
        assert seen.states[:4] == ["connecting", "live", "reconnecting", "live"]
        assert "server ended the stream" in seen.details[2]
        assert seen.pts_s[:6] == pytest.approx(np.array([0, 1, 2, 3, 4, 5]) + seen.pts_s[0], abs=0.002)
        assert reader.stats.snapshot().failures >= 2


def test_a_frozen_source_is_a_stall(flv):
    with ByteServer(flv, then="hang") as server, reading(server.url) as (seen, reader):
        wait_until(lambda: "stalled" in seen.states)
        assert seen.states[:4] == ["connecting", "live", "stalled", "reconnecting"]
        assert "nothing new came for 0.6 s" in seen.details[2]
        wait_until(lambda: seen.states.count("live") == 2)
        assert reader.stats.snapshot().stalls >= 1


def test_a_source_that_repeats_its_last_moment_is_a_stall(flv):
    """Packets keep coming, but none is newer than what was there."""
    tags = flv_tags(flv)
    last_video = next(tag for tag in reversed(tags) if tag[0] == 9)
    body = flv + last_video * 200_000
    with ByteServer(body, then="hang", bytes_per_s=len(flv) * 4) as server, reading(server.url) as (seen, _):
        wait_until(lambda: "stalled" in seen.states)
        assert seen.pts_s[-1] < 6.1


def test_packets_without_a_frame_are_a_stall(flv):
    """The picture data of every packet is noise: packets come, frames do not."""
    rng = np.random.default_rng(4)
    spoilt = bytearray(flv[:13])
    for tag in flv_tags(flv):
        is_picture = tag[0] == 9 and tag[12] == 1
        noise = rng.integers(0, 256, len(tag) - 16 - 4, dtype=np.uint8).tobytes() if is_picture else b""
        spoilt += tag[:16] + noise + tag[-4:] if is_picture else tag
    with (
        ByteServer(bytes(spoilt), then="hang", bytes_per_s=len(spoilt) / 3) as server,
        reading(server.url, first_frame_within_s=1.0) as (seen, _),
    ):
        wait_until(lambda: seen.states.count("reconnecting") >= 1)
        assert not seen.frames
        assert seen.states[1] == "stalled"
        assert "no frame could be decoded" in seen.details[1]


def test_a_server_that_dies_and_comes_back(flv):
    server = ByteServer(flv, bytes_per_s=len(flv) / 6.0)
    try:
        with reading(server.url, rate_hz=5.0) as (seen, reader):
            wait_until(lambda: len(seen.frames) >= 2)
            server.close()
            wait_until(lambda: reader.stats.snapshot().failures >= 3)
            before = len(seen.frames)
            server = ByteServer(flv, port=server.port)
            wait_until(lambda: len(seen.frames) > before + 5)
            assert seen.states[-1] in {"live", "reconnecting"}
            captured = [frame.captured_at_s for frame in seen.frames]
            assert captured == sorted(captured)
    finally:
        server.close()


def test_live_capture_times_follow_the_stream_not_the_jitter(flv):
    with (
        ByteServer(flv, then="hang", bytes_per_s=len(flv) / 3.0) as server,
        reading(server.url, rate_hz=5.0, stall_after_s=5.0) as (seen, _),
    ):
        wait_until(lambda: len(seen.frames) >= 20)
        now_s = time.time()
    captured = np.array([frame.captured_at_s for frame in seen.frames])
    assert (np.diff(captured) >= 0).all()
    assert (captured <= now_s).all()
    assert captured[-1] > now_s - 3.0


def test_stream_of_mpegts_over_http():
    data = encoded("mpegts", seconds=4.0, key_every_s=1.0)
    with ByteServer(data, then="hang") as server, reading(server.url.replace(".flv", ".ts")) as (seen, _):
        wait_until(lambda: len(seen.frames) >= 4)
        assert np.diff(seen.pts_s[:4]) == pytest.approx(1.0, abs=0.04)


def test_another_codec_in_mid_stream_is_opened_anew():
    """A transport stream goes on with HEVC under the same numbers, which only a new connection can decode."""
    keys = {"x265-params": "keyint=30:min-keyint=30:log-level=none"}
    first = encoded("mpegts", seconds=3.0, key_every_s=1.0)
    second = encoded("mpegts", seconds=9.0, codec="libx265", options=keys, start_s=3.0, size_px=(160, 128))
    with (
        ByteServer(first + second, then="hang", bytes_per_s=len(first + second) / 2) as server,
        reading(server.url.replace(".flv", ".ts"), stall_after_s=30.0) as (seen, _),
    ):
        wait_until(lambda: seen.states.count("live") >= 2)
        assert "could not be decoded as h264" in seen.details[seen.states.index("reconnecting")]


def live_playlist(folder: Path, first: int, count: int, *, discontinuity_at: int, ended: bool = False):
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    for number in range(first, first + count):
        if number == discontinuity_at:
            lines.append("#EXT-X-DISCONTINUITY")
        lines += ["#EXTINF:1.0,", f"segment{number}.ts"]
    lines += ["#EXT-X-ENDLIST"] if ended else []
    new = folder / "live.m3u8.new"
    new.write_text("\n".join(lines) + "\n")
    new.replace(folder / "live.m3u8")


def test_hls_live_playlist_with_a_discontinuity_and_an_end(tmp_path):
    for number in range(10):
        size_px, start_s = ((320, 240), 40.0) if number < 5 else ((180, 320), 7.0)
        data = encoded("mpegts", seconds=1.0, key_every_s=1.0, size_px=size_px, start_s=start_s + number)
        (tmp_path / f"segment{number}.ts").write_bytes(data)
    live_playlist(tmp_path, 0, 3, discontinuity_at=5)
    with (
        folder_server(tmp_path) as address,
        reading(f"{address}/live.m3u8", rate_hz=2.0, stall_after_s=4.0) as (seen, reader),
    ):
        wait_until(lambda: len(seen.frames) >= 2)
        for first in range(1, 8):
            before = len(seen.frames)
            live_playlist(tmp_path, first, 3, discontinuity_at=5, ended=first == 7)
            wait_until(lambda before=before: len(seen.frames) > before, 20.0)
        wait_until(lambda: seen.states[-1] == "ended")
        assert reader.stats.snapshot().stalls == 0
    assert set(seen.sizes_px) == {(320, 240), (180, 320)}
    assert len(seen.frames) >= 16
    assert any(step < -20 for step in np.diff(seen.pts_s))


def test_a_recording_over_http_ends(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(encoded("mp4", seconds=3.0))
    with folder_server(tmp_path) as address, reading(f"{address}/clip.mp4") as (seen, _):
        wait_until(lambda: seen.states[-1] == "ended")
        assert seen.pts_s == pytest.approx([0, 1, 2], abs=0.001)


@pytest.mark.parametrize("named", ["{path}", "file://{path}", "concat:{path}", "subfile,,start,0,end,0,,:{path}"])
def test_a_playlist_from_the_network_cannot_open_files(tmp_path, named):
    """The same playlist read from disk works, so it is the protocol that is refused."""
    secret = tmp_path / "secret.ts"
    secret.write_bytes(encoded("mpegts", seconds=2.0))
    web = tmp_path / "web"
    web.mkdir()
    body = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{named.format(path=secret)}\n#EXT-X-ENDLIST\n"
    (web / "list.m3u8").write_text(body)
    with folder_server(web) as address, reading(f"{address}/list.m3u8") as (seen, reader):
        wait_until(lambda: reader.stats.snapshot().failures >= 1 or seen.states[-1] == "ended")
        assert not seen.frames


@pytest.mark.parametrize(("scheme", "open_timeout_s"), [("http", 60.0), ("rtmp", 1.5), ("rtsp", 1.5)])
def test_stop_while_connecting_to_a_server_that_says_nothing(scheme, open_timeout_s):
    """Over HTTP the connection is cut; RTMP and RTSP wait until FFmpeg's own time is over."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/live/room"
        with reading(url, open_timeout_s=open_timeout_s, stall_after_s=60.0) as (_, reader):
            time.sleep(0.3)
            assert reader.stop(5.0), "stop waited for the network"


def test_stop_while_a_read_waits_and_again(flv):
    with ByteServer(flv, then="hang") as server, reading(server.url, stall_after_s=60.0) as (seen, reader):
        wait_until(lambda: len(seen.frames) >= 6)
        assert reader.stop(5.0)
        assert reader.stop(5.0)
        assert seen.states.count("closed") == 1


def test_stop_while_waiting_to_reconnect():
    with reading("http://127.0.0.1:9/live.flv", backoff_first_s=60.0, backoff_max_s=60.0) as (seen, reader):
        wait_until(lambda: "reconnecting" in seen.states)
        assert reader.stop(5.0)


def test_nothing_is_delivered_after_stop(flv):
    with (
        ByteServer(flv, then="hang", bytes_per_s=len(flv)) as server,
        reading(server.url, rate_hz=10.0) as (seen, reader),
    ):
        wait_until(lambda: len(seen.frames) >= 2)
        reader.stop()
        count = len(seen.frames)
        time.sleep(0.3)
        assert len(seen.frames) == count


def test_a_reader_that_never_started_can_be_stopped(tmp_path):
    path = tmp_path / "a.mp4"
    path.touch()
    seen = Seen()
    assert StreamReader(str(path), "room", IngestSettings(), seen.deliver, seen.on_state).stop()
    assert seen.states == ["closed"]


def test_a_codec_that_no_live_stream_has_is_never_decoded(tmp_path):
    encode(tmp_path / "a.mkv", seconds=1.0, codec="ffv1", b_frames=0)
    with folder_server(tmp_path) as address, reading(f"{address}/a.mkv") as (seen, reader):
        wait_until(lambda: reader.stats.snapshot().failures >= 1 or seen.states[-1] == "ended")
        assert not seen.frames
        assert "its video is ffv1; decoded are h264, hevc" in seen.details[1]


@pytest.mark.parametrize(("container", "sound_s"), [("flv", 20.0), ("mpegts", 5.0)])
def test_a_camera_that_is_switched_on_later(container, sound_s):
    """Sound alone at first, told of by no failure; live within 2 s of the first picture."""
    header, pieces = broadcast(late_video(container, sound_s=sound_s, video_s=8.0), container, sound_s)
    with (
        BroadcastServer(header, pieces, times_faster=8.0) as server,
        reading(server.url, stall_after_s=3.0, first_frame_within_s=20.0) as (seen, reader),
    ):
        wait_until(lambda: seen.frames)
        assert server.at_s < sound_s + 8 * 2.0
        assert seen.states == ["connecting", "live"]
        assert reader.stats.snapshot().failures == 0


def test_a_camera_that_stays_off_is_told_of_and_waited_for():
    header, pieces = broadcast(late_video("flv", sound_s=60.0, video_s=1.0), "flv", 60.0)
    with (
        BroadcastServer(header, pieces, times_faster=8.0) as server,
        reading(server.url, stall_after_s=3.0, first_frame_within_s=1.0) as (seen, reader),
    ):
        wait_until(lambda: reader.stats.snapshot().failures == 2)
        assert set(seen.states) == {"connecting", "reconnecting"}
        assert any("no video in it" in detail or "does not come" in detail for detail in seen.details)


def test_a_playlist_of_sound_alone_is_not_asked_for_in_a_hurry(tmp_path, monkeypatch):
    with av.open(str(tmp_path / "a.ts"), "w", format="mpegts") as output:
        sound = output.add_stream("aac", rate=44100)
        for index in range(86):
            silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            silence.pts, silence.rate = index * 1024, 44100
            output.mux(sound.encode(silence))
        output.mux(sound.encode(None))
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2", "#EXTINF:2.0,", "a.ts", ""]
    (tmp_path / "a.m3u8").write_text("\n".join(lines))
    opened, av_open = [], av.open
    monkeypatch.setattr(av, "open", lambda *args, **how: opened.append(args) or av_open(*args, **how))
    with (
        folder_server(tmp_path) as address,
        reading(f"{address}/a.m3u8", first_frame_within_s=1.0, backoff_first_s=60.0, backoff_max_s=60.0) as (_, reader),
    ):
        wait_until(lambda: reader.stats.snapshot().failures == 1)
        assert "no video" in str(reader.failure)
        assert 2 <= len(opened) <= 4


def broadcast(data, container, sound_s):
    """A stream's header, and its pieces with their times; in a transport stream they are spread over the bytes."""
    if container == "flv":
        return data[:13], [(int.from_bytes(tag[4:7]) / 1000, tag) for tag in flv_tags(data)]
    packets = [data[begin : begin + 188] for begin in range(0, len(data), 188)]
    # PyAV's muxer gives its streams 0x100, 0x101 ... in their order: the video is the first.
    first = next(place for place, packet in enumerate(packets) if int.from_bytes(packet[1:3]) & 0x1FFF == 0x100)
    times = [*np.linspace(0, sound_s, first), *np.linspace(sound_s, sound_s + 8, len(packets) - first)]
    return b"", list(zip(times, packets, strict=True))
