"""docs/streams.md: its recipes do what they say, and the tests that it names are there."""

import importlib
import io
import re
import shlex
from datetime import datetime
from itertools import pairwise

import av
import pytest

from tests.conftest import ROOT
from tests.live.video.stream_matrix import TRANSPORTS
from tests.live.video.streams import encoded

DOC = (ROOT / "docs" / "streams.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("file", "test"), [row[2:] for row in TRANSPORTS])
def test_a_way_is_named_with_a_test_that_is_there(file, test):
    assert callable(getattr(importlib.import_module(f"tests.live.video.{file}"), test))


def commands():
    """Each ffmpeg command of the page, as words."""
    blocks = re.findall(r"```bash\n(ffmpeg .*?)```", DOC, re.DOTALL)
    return [shlex.split(block.replace("\\\n", " ")) for block in blocks]


def option(words, name):
    return words[words.index(name) + 1]


def test_the_playlist_that_ffmpeg_writes_has_dates_with_their_zone(tmp_path):
    (words,) = [words for words in commands() if "hls" in words]
    options = {name: option(words, f"-{name}") for name in ("hls_time", "hls_list_size", "hls_flags")}
    path = tmp_path / "room-1.m3u8"
    live = encoded("flv", seconds=20.0, fps=10, key_every_s=2.0, size_px=(96, 64))
    with (
        av.open(io.BytesIO(live)) as source,
        av.open(str(path), "w", format=option(words, "-f"), options=options) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    playlist = path.read_text()
    dates = [datetime.fromisoformat(date) for date in re.findall(r"#EXT-X-PROGRAM-DATE-TIME:(.*)", playlist)]
    assert len(dates) == playlist.count("#EXTINF") == int(options["hls_list_size"])
    assert all(date.tzinfo is not None for date in dates)
    assert [(b - a).total_seconds() for a, b in pairwise(dates)] == pytest.approx([2.0] * 5, abs=0.2)


def test_the_key_frames_that_ffmpeg_is_told_of_are_two_seconds_apart():
    (words,) = [words for words in commands() if "libx264" in words]
    assert int(option(words, "-g")) == int(option(words, "-keyint_min")) == 2 * 30
