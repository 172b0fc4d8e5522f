"""One opening of a source, from connecting to its end or failure: video packets in, the pipeline's frames out."""

from __future__ import annotations

import errno
import functools
import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from livecart.core.errors import StreamError
from livecart.core.types import Frame
from livecart.live.video.decoding import SampledDecoder
from livecart.live.video.egress import Egress, checked_egress
from livecart.live.video.picture import Display, VideoPicture
from livecart.live.video.read_guard import ReadGuard
from livecart.live.video.sampling import SamplingRate
from livecart.live.video.settings import IngestSettings
from livecart.live.video.source import ANALYZE_S, STREAM_DECODERS, StreamSource
from livecart.live.video.srt import SrtReceiver
from livecart.live.video.stats import ReaderStats
from livecart.live.video.timeline import LiveTimeline, RecordedTimeline, StreamStalled, Timeline

_log = logging.getLogger(__name__)

#: Damaged places in a row that are skipped; some demuxers report each as an error of the read.
_DAMAGED_READS = 20
#: From one opening of a source of sound alone to the next: a playlist is looked through in no time.
_REOPEN_S = 0.5
#: Demuxers that learn of tracks as they come; others name all of them at the beginning.
_GROWING_FORMATS = frozenset({"flv", "live_flv", "mpegts", "hls"})


class NoVideo(StreamError):
    """The source is open, and has sound at most."""


@dataclass(slots=True)
class Connection:
    """An open source; made by `open_connection`."""

    container: InputContainer
    stream: VideoStream
    source: StreamSource
    settings: IngestSettings
    guard: ReadGuard
    stats: ReaderStats
    aspect_at_first: Fraction | None

    @property
    def on_demand(self) -> bool:
        """True for a recording with an end, False for a live stream."""
        return self.source.is_file or _ends(self.container, self.source)

    def frames(self, room: str, rate: SamplingRate) -> Iterator[Frame]:
        """Sampled frames at that rate up to the end of the stream, or until the guard is told to stop.

        Raises:
            StreamStalled: nothing new, or nothing that can be decoded, for `stall_after_s`.
            StreamError: reading failed.
        """
        decoder = SampledDecoder(
            self.stream,
            rate,
            self.stats,
            gives_up=not self.on_demand,
            every_frame=self.settings.every_frame,
        )
        timeline = self._timeline()
        for packet in self._packets():
            pts_s = decoder.time_of(packet)
            if packet.size:
                timeline.packet_came(pts_s)
            for sample in decoder.feed(packet, pts_s):
                captured_at_s = timeline.captured_at_s(sample.pts_s)
                if self.guard.stopped.is_set():
                    return
                picture = VideoPicture(sample.frame, Display.of(sample.frame, self._pixel_aspect()))
                yield Frame(room, picture, sample.pts_s, captured_at_s)
                timeline.handed_on()

    def _pixel_aspect(self) -> Fraction | None:
        """The container's word, until the stream itself says something else in mid-stream."""
        said = self.stream.codec_context.sample_aspect_ratio
        return self.stream.sample_aspect_ratio if said == self.aspect_at_first else said

    def _timeline(self) -> Timeline:
        if self.on_demand:
            self.guard.expect_within(None)
            return RecordedTimeline(self.guard.stopped, realtime=self.settings.realtime)
        return LiveTimeline(self.settings, self.guard, self.stats)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets of the video, at the end an empty one."""
        damaged = 0
        while damaged <= _DAMAGED_READS:
            try:
                with closing(self.container.demux(self.stream)) as packets:  # type: ignore[type-var]
                    for packet in packets:
                        if self.guard.stopped.is_set():
                            return
                        yield packet
                        damaged = 0
            except av.error.InvalidDataError as error:
                damaged += 1
                self.stats.add(corrupt=1)
                failure = error
            except av.FFmpegError as error:
                self._raise_if_stalled(timed_out=isinstance(error, av.error.ExitError))
                if error.errno == errno.EIO:  # an HTTP reply of unknown length that is over
                    return
                raise StreamError(f"reading failed: {error.strerror}") from error
            else:
                self._raise_if_stalled()
                return
        raise StreamError(f"reading failed: {failure.strerror}")

    def _raise_if_stalled(self, *, timed_out: bool = False) -> None:
        if (timed_out or self.guard.overdue) and not self.guard.stopped.is_set():
            raise StreamStalled(f"nothing new came for {self.settings.stall_after_s:g} s")


@contextmanager
def open_connection(
    source: StreamSource, settings: IngestSettings, guard: ReadGuard, stats: ReaderStats
) -> Iterator[Connection]:
    """Open `source` and choose its video; everything is closed on leaving.

    Where sound comes first, of a host whose camera is still off, the picture is waited for: FLV is looked at until its
    video is there, a recording to its end, and what cannot be told apart from a stream with tracks yet to come is
    opened anew every `ANALYZE_S`, or where that is over sooner after `_REOPEN_S`.

    Raises:
        StreamError: it cannot be opened, does not answer in time, or holds no video that may be decoded.
    """
    gives_up_at_s = time.monotonic() + settings.first_frame_within_s
    analyze_s = ANALYZE_S
    with checked_egress(source, settings) as egress, guard.waking(egress.cut):
        while True:
            opened_at_s = time.monotonic()
            with _opened(source, settings, guard, egress, analyze_s) as container:
                try:
                    stream = _choose_video(container, source, settings)
                except NoVideo:
                    is_whole = source.is_file or _ends(container, source)
                    is_over = analyze_s > ANALYZE_S if is_whole else time.monotonic() > gives_up_at_s
                    if is_over or guard.stopped.is_set() or not _may_grow(container):
                        raise
                    if is_whole or "flv" in container.format.name:
                        analyze_s = settings.first_frame_within_s
                else:
                    stats.add(connections=1)
                    aspect = stream.codec_context.sample_aspect_ratio
                    yield Connection(container, stream, source, settings, guard, stats, aspect)
                    return
            if not is_whole and guard.stopped.wait(max(0.0, opened_at_s + _REOPEN_S - time.monotonic())):
                raise NoVideo("stopped before video came")


@contextmanager
def _opened(
    source: StreamSource, settings: IngestSettings, guard: ReadGuard, egress: Egress, analyze_s: float
) -> Iterator[InputContainer]:
    timeout_s = max(settings.open_timeout_s, analyze_s if analyze_s > ANALYZE_S else 0.0)
    guard.expect_within(timeout_s)
    with _bytes_of(source, timeout_s, guard, egress) as file:
        try:
            container = av.open(
                file or source.url,
                mode="r",
                options=source.options(settings, analyze_s) | egress.options,
                metadata_errors="replace",
                timeout=(timeout_s, settings.stall_after_s),
                hwaccel=_hardware(settings.hwaccel),
            )
        except av.FFmpegError as error:
            if guard.overdue or isinstance(error, av.error.ExitError):
                raise StreamError(f"no video within {timeout_s:g} s of connecting") from error
            raise StreamError(f"cannot be opened: {egress.failure or error.strerror}") from error
        try:
            yield container
        finally:
            guard.expect_within(None)
            container.close()


def _hardware(name: str) -> HWAccel | None:
    return HWAccel(name) if name != "none" and _is_there(name) else None


@functools.cache
def _is_there(name: str) -> bool:
    """Say once, and not with each stream, that a device cannot be used."""
    try:
        # A CodecContext would fall back to the CPU without a word, where the build knows no such device.
        HWAccel(name).create(av.Codec("h264", "r"))
    except (av.FFmpegError, RuntimeError) as error:
        _log.warning("ingest.hwaccel: %s cannot be used (%s); the CPU decodes", name, error)
        return False
    return True


@contextmanager
def _bytes_of(source: StreamSource, timeout_s: float, guard: ReadGuard, egress: Egress) -> Iterator[SrtReceiver | None]:
    """Receiver of a source that FFmpeg cannot open by itself; None where it can."""
    if not source.is_srt:
        yield None
        return
    receiver = SrtReceiver(
        source.url, timeout_s, lambda: guard.stopped.is_set() or guard.overdue, address=egress.address
    )
    with closing(receiver):
        yield receiver


def _may_grow(container: InputContainer) -> bool:
    return not _GROWING_FORMATS.isdisjoint(container.format.name.split(","))


def _ends(container: InputContainer, source: StreamSource) -> bool:
    """True for a recording over HTTP, which knows its duration: an HLS playlist by its end tag, MP4 by its header.

    A live FLV may repeat the duration of the file that is being played into it; what tells there is the length of the
    reply.
    """
    if not source.is_http:
        return False
    if "flv" in container.format.name:
        return container.size > 0
    return (container.duration or 0) > 0


def _choose_video(container: InputContainer, source: StreamSource, settings: IngestSettings) -> VideoStream:
    """The best video; all other streams are not even demuxed. FFmpeg's "best": largest, then of the highest rate.

    Raises:
        NoVideo: there is none.
        StreamError: there is none that may be decoded.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise NoVideo("there is no video in it")
    if stream.start_time is None and _may_grow(container) and not (source.is_file or _ends(container, source)):
        raise NoVideo("video is announced in it, and does not come")
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    codec = stream.codec_context
    if codec is None:
        raise StreamError("FFmpeg has no decoder for its video")
    if not source.is_file and codec.codec.name not in STREAM_DECODERS:
        raise StreamError(f"its video is {codec.name}; decoded are {', '.join(STREAM_DECODERS)}")
    if max(codec.width, codec.height) > settings.max_side_px:
        raise StreamError(
            f"its pictures are {codec.width} x {codec.height} px; ingest.max_side_px allows {settings.max_side_px}"
        )
    codec.options = {"max_pixels": str(settings.max_side_px**2)}
    return stream
