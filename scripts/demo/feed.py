"""Packets of a clip or of somebody's stream, each when it is due, with times that only grow. Nothing is decoded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from demo.errors import DemoError

#: What browsers play out of MPEG-TS segments.
_VIDEO, _AUDIO = "h264", ("aac", "mp3")
#: A stream may stand still so long before it is opened anew.
_OPEN_S, _READ_S = 15.0, 20.0
#: Later than this, pacing begins anew: the source was away.
_LATE_S = 3.0


@dataclass(frozen=True)
class Timed:
    """A packet, and when it is to be decoded, in seconds from the feed's beginning."""

    packet: Packet[Any]
    at_s: float


@dataclass
class Feed:
    """An open source.

    Attributes:
        source: a file's path or a stream's URL.
        video: the H.264 stream.
        audio: sound, where there is some that browsers play.
        is_file: read over and over again; else it is live.
    """

    source: str
    container: InputContainer
    video: Stream
    audio: Stream | None
    is_file: bool

    @property
    def streams(self) -> list[Stream]:
        """Packets that are sent on."""
        return [self.video] if self.audio is None else [self.video, self.audio]

    def packets(self, stop: threading.Event) -> Iterator[Timed]:
        """Each packet when it is due, until `stop` is set or a live source ends; times begin at 0.

        Raises:
            DemoError: the source breaks off, or holds no picture.
        """
        pace = _Pace(stop)
        for timed in self._endless(stop):
            if not pace.wait_for(timed.at_s):
                return
            yield timed

    def close(self) -> None:
        self.container.close()

    def _endless(self, stop: threading.Event) -> Iterator[Timed]:
        began: Fraction | None = None
        shift = Fraction(0)
        while not stop.is_set():
            end = shift
            for packet, dts, pts in self._demuxed():
                if began is None:
                    # The first has to be a key frame: whoever joins decodes from there.
                    if packet.stream is not self.video or not packet.is_keyframe:
                        continue
                    began = dts * packet.time_base
                moved = round((shift - began) / packet.time_base)
                packet.dts, packet.pts = dts + moved, pts + moved
                end = max(end, (dts + moved + (packet.duration or 0)) * packet.time_base)
                yield Timed(packet, float((dts + moved) * packet.time_base))
            if not self.is_file:
                raise DemoError(f"{self.source}: the stream ended")
            if end == shift:
                raise DemoError(f"{self.source}: holds no picture that can be sent")
            shift = end
            self.container.seek(0)

    def _demuxed(self) -> Iterator[tuple[Packet[Any], int, int]]:
        try:
            for packet in self.container.demux(self.streams):
                if packet.dts is not None and packet.pts is not None:
                    yield packet, packet.dts, packet.pts
        except av.FFmpegError as error:
            raise DemoError(f"{self.source}: the stream broke off: {error.strerror}") from error


def open_feed(source: str) -> Feed:
    """Open a source.

    Raises:
        DemoError: it cannot be opened, or browsers do not play what is in it.
    """
    is_file = Path(source).is_file()
    if not is_file and "://" not in source:
        raise DemoError(f"{source}: is neither a file nor a URL")
    try:
        container = av.open(source, timeout=None if is_file else (_OPEN_S, _READ_S))
    except av.FFmpegError as error:
        raise DemoError(f"{source}: cannot be opened: {error.strerror}") from error
    try:
        return _playable(source, container, is_file=is_file)
    except DemoError:
        container.close()
        raise


def _playable(source: str, container: InputContainer, *, is_file: bool) -> Feed:
    video = next(iter(container.streams.video), None)
    if video is None:
        raise DemoError(f"{source}: holds no video")
    if video.codec_context.name != _VIDEO:
        raise DemoError(
            f"{source}: its video is {video.codec_context.name}; the demo sends streams on as they are, and browsers "
            "play H.264: give it in H.264"
        )
    sounds = [audio for audio in container.streams.audio if audio.codec_context.name in _AUDIO]
    return Feed(source, container, video, sounds[0] if sounds else None, is_file)


class _Pace:
    """Waits until a packet is due."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._began_s: float | None = None

    def wait_for(self, at_s: float) -> bool:
        """Until `at_s` of the feed's time has come; False when told to stop."""
        now_s = time.monotonic()
        if self._began_s is None or now_s - (self._began_s + at_s) > _LATE_S:
            self._began_s = now_s - at_s
        return not self._stop.wait(max(0.0, self._began_s + at_s - now_s))
