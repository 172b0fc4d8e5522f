"""A file as a live stream: its own pace, times that only grow over the loop, HLS with dates beside HTTP-FLV."""

import re
import threading
import time
from collections.abc import Callable
from datetime import datetime
from itertools import islice, pairwise
from pathlib import Path

import av
import pytest
import requests

from demo.errors import DemoError
from demo.feed import open_feed
from demo.origin import serving
from demo.station import FlvFanOut, Station
from tests.scripts.demo.demo_clip import FPS, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=1.0)


def test_times_grow_over_the_loop_at_the_clip_s_pace(clip: Path) -> None:
    feed = open_feed(str(clip))
    began_s = time.monotonic()
    times = [timed.at_s for timed in islice(feed.packets(threading.Event()), 2 * FPS + 1)]
    took_s = time.monotonic() - began_s
    feed.close()
    assert all(later > earlier for earlier, later in pairwise(times))
    assert times[2 * FPS] == pytest.approx(2.0, abs=0.001)
    assert took_s >= 1.95


@pytest.mark.parametrize(
    ("source", "why"),
    [("/nowhere/clip.mp4", "neither a file nor a URL"), ("http://127.0.0.1:9/live.flv", "cannot be opened")],
)
def test_what_cannot_be_opened_is_named(source: str, why: str) -> None:
    with pytest.raises(DemoError, match=f"{re.escape(source)}.*{why}"):
        open_feed(source)


def test_hls_and_flv_of_one_clock(clip: Path, tmp_path: Path) -> None:
    station = Station(str(clip), tmp_path)
    station.start()
    try:
        with serving(station, tmp_path) as url:
            # The clip is over by then, and has begun anew.
            time.sleep(1.2)
            arrivals = []
            with av.open(f"{url}/live.flv", timeout=10, options={"analyzeduration": "500000"}) as flv:
                for packet in flv.demux(video=0):
                    assert packet.pts is not None
                    arrivals.append(time.time() - float(packet.pts * packet.time_base))
                    if packet.pts * packet.time_base > 4.5:
                        break
            playlist = requests.get(f"{url}/live.m3u8", timeout=5)
            assert playlist.headers["Access-Control-Allow-Origin"] == "*"
            [first, *_] = re.findall(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)\n(\S+\.ts)", playlist.text)
            assert station.began_at_s is not None
            assert abs(datetime.fromisoformat(first[0]).timestamp() - station.began_at_s) < 0.1
            # livecart takes a frame's earliest arrival for its capture.
            assert abs(min(arrivals) - station.began_at_s) < 0.3
            assert requests.get(f"{url}/{first[1]}", timeout=5).content[:1] == b"G"
            assert requests.get(f"{url}/gone.ts", timeout=5).status_code == 404
    finally:
        station.stop()
    assert station.problem is None
    assert not [thread.name for thread in threading.enumerate() if thread.name in {"station", "origin"}]


def test_a_reader_that_joins_begins_at_the_last_key_frame_and_a_slow_one_is_cut_off() -> None:
    out = FlvFanOut()
    out.write(b"header")
    out.header_written()
    out.write(b"old")
    out.key_frame_next()
    out.write(b"key")
    with out.reading() as reader:
        out.write(b"next")
        assert reader.read(0) == b"headerkeynext"
        assert reader.read(0) == b""
        for _ in range(9):
            out.write(bytes(1_000_000))
        assert reader.read(0) is None


def test_somebody_s_stream_is_sent_on_and_opened_again_when_it_breaks_off(clip: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("theirs", "ours")]
    for folder in folders:
        folder.mkdir()
    theirs = Station(str(clip), folders[0])
    theirs.start()
    with serving(theirs, folders[0]) as url:
        time.sleep(0.5)
        ours = Station(f"{url}/live.flv", folders[1])
        ours.start()
        try:
            playlist = folders[1] / "live.m3u8"
            until(lambda: playlist.exists() and "EXTINF" in playlist.read_text())
            theirs.flv.cut_off()
            until(lambda: ours.problem is not None)
            until(lambda: ours.problem is None)
            # The same playlist goes on, with another beginning marked.
            until(lambda: "#EXT-X-DISCONTINUITY\n" in playlist.read_text())
            assert len(re.findall(r"\.ts$", playlist.read_text(), re.MULTILINE)) >= 2
        finally:
            ours.stop()
            theirs.stop()


def until(done: Callable[[], bool], within_s: float = 20.0) -> None:
    end_s = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < end_s
        time.sleep(0.05)
