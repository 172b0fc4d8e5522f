"""One opening of a source, from connecting to its end or failure: video packets in, the pipeline's frames out."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from livecart.errors import StreamError
from livecart.pipeline.ingest.decoding import SampledDecoder
from livecart.pipeline.ingest.interrupt import ReadGuard
from livecart.pipeline.ingest.pace import Pace
from livecart.pipeline.ingest.picture import VideoPicture
from livecart.pipeline.ingest.settings import IngestSettings
from livecart.pipeline.ingest.source import Source
from livecart.pipeline.ingest.stats import ReaderStats
from livecart.pipeline.ingest.timeline import LiveTimeline, RecordedTimeline, StreamStalled, Timeline
from livecart.types import Frame

#: Damaged places in a row that are skipped; some demuxers report each as an error of the read.
_DAMAGED_READS = 20


@dataclass(slots=True)
class Connection:
    """An open source; made by `open_connection`."""

    container: InputContainer
    stream: VideoStream
    source: Source
    settings: IngestSettings
    guard: ReadGuard
    stats: ReaderStats

    @property
    def on_demand(self) -> bool:
        """Whether it is a recording with an end, not a live stream.

        Over HTTP a recording knows its duration: an HLS playlist by its end tag, MP4 by its header. A live FLV may
        repeat the duration of the file that is being played into it; what tells there is the length of the reply.
        """
        if self.source.is_file or not self.source.is_http:
            return self.source.is_file
        if "flv" in self.container.format.name:
            return self.container.size > 0
        return (self.container.duration or 0) > 0

    def frames(self, room: str, pace: Pace) -> Iterator[Frame]:
        """Sampled frames at that pace up to the end of the stream, or until the guard is told to stop.

        Raises:
            StreamStalled: nothing new, or nothing that can be decoded, for `stall_after_s`.
            StreamError: reading failed.
        """
        decoder = SampledDecoder(
            self.stream,
            pace,
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
                picture = VideoPicture(sample.frame, sample.frame.rotation)
                yield Frame(room, picture, sample.pts_s, captured_at_s)
                timeline.handed_on()

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
    source: Source, settings: IngestSettings, guard: ReadGuard, stats: ReaderStats
) -> Iterator[Connection]:
    """Open `source` and choose its video; everything is closed on leaving. The guard has to watch this thread.

    Raises:
        StreamError: it cannot be opened, does not answer in time, or holds no video that may be decoded.
    """
    guard.expect_within(settings.open_timeout_s)
    container = _open(source, settings, guard)
    try:
        stream = _choose_video(container, settings)
        stats.add(connections=1)
        yield Connection(container, stream, source, settings, guard, stats)
    finally:
        guard.expect_within(None)
        container.close()


def _open(source: Source, settings: IngestSettings, guard: ReadGuard) -> InputContainer:
    try:
        return av.open(
            source.url,
            mode="r",
            options=source.options(settings),
            metadata_errors="replace",
            timeout=(settings.open_timeout_s, settings.stall_after_s),
        )
    except av.FFmpegError as error:
        if guard.overdue or isinstance(error, av.error.ExitError):
            raise StreamError(f"no video within {settings.open_timeout_s:g} s of connecting") from error
        raise StreamError(f"cannot be opened: {error.strerror}") from error


def _choose_video(container: InputContainer, settings: IngestSettings) -> VideoStream:
    """The best video; all other streams are not even demuxed. FFmpeg's "best": largest, then of the highest rate.

    Raises:
        StreamError: there is none that may be decoded.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise StreamError("there is no video in it")
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    codec = stream.codec_context
    if codec is None:
        raise StreamError("FFmpeg has no decoder for its video")
    if max(codec.width, codec.height) > settings.max_side_px:
        raise StreamError(
            f"its pictures are {codec.width} x {codec.height} px; ingest.max_side_px allows {settings.max_side_px}"
        )
    codec.options = {"max_pixels": str(settings.max_side_px**2)}
    return stream
