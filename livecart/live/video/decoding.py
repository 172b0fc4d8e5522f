"""From video packets to sampled frames, with as little decoding as the wanted rate allows.

A frame needs every frame since the key frame before it. Packets are therefore only decoded when a sample is due
before the next key frame is expected; otherwise they are held, undecoded, and thrown away when that key frame comes.
If it does not come in time, the held packets are decoded after all, and distances are measured afresh: the guess
costs nothing but time. The rate may change at any time (sampling.py); while load is shed only key frames are decoded,
as long as they come every few seconds. Where key frames come about as often as samples are wanted, they alone are
decoded (`key_frames`); else (`all_frames`) a group of pictures is decoded up to its last sample, without those frames
in between that no other frame refers to.

Two kinds of streams have no key frames to begin at, and are decoded whole. Intra refresh renews the picture column by
column, and where that begins a packet is marked as a key frame, of which the decoder makes a P picture, or nothing if
it has that packet alone. And where no packet is marked for `_LONGEST_WITHOUT_KEY_S`, decoding begins at any, and is
believed after the same time.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.codec.context import Flags
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from livecart.core.errors import StreamError
from livecart.live.video.sampling import KEY_TOLERANCE, ROUNDING_S, KeyFrameDistance, SampleGrid, SamplingRate
from livecart.live.video.stats import DecodeMode, ReaderStats

_log = logging.getLogger(__name__)

#: More than this is not held but decoded: 32 MiB are two minutes at 2 Mbit/s.
_LONGEST_HELD_BYTES = 32 * 1024 * 1024
#: So many failures in a row without one decoded frame: another codec than announced, or not video. 2 s at 30 frames/s.
_HOPELESS_FAILURES = 60
#: Load shedding decodes key frames alone where they are no farther apart than this.
_SHEDDING_KEYS_S = 4.0
#: A stream joined in its midst has no key frame in sight for so long: decoded is what comes. Encoders' distances are up
#: to 10 s, and what they renew piece by piece is renewed within 5 s.
_LONGEST_WITHOUT_KEY_S = 10.0
#: Frames that a decoder may keep back: H.264's and HEVC's limit.
_LONGEST_REORDER = 16
#: Packets in a row after which another judgement of their marks is believed.
_TRUSTED_KEYS = 2
_INTRA = frozenset({PictureType.I, PictureType.SI, PictureType.BI})


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """A decoded frame that is wanted, and its presentation time in seconds."""

    frame: VideoFrame
    pts_s: float


class SampledDecoder:
    """Decodes one connection's video stream; not thread-safe.

    Args:
        stream: of an open container.
        rate: how often to sample.
        stats: counted into.
        gives_up: raise where nothing can be decoded any more, so that the stream is opened anew; else go on to its end.
        every_frame: decode also what no sample needs.
    """

    def __init__(
        self, stream: VideoStream, rate: SamplingRate, stats: ReaderStats, *, gives_up: bool, every_frame: bool = False
    ) -> None:
        self._gives_up = gives_up
        self._every_frame = every_frame
        self._codec = stream.codec_context
        # Rooms share the cores by themselves; threads of a decoder would only add memory and switching.
        self._codec.thread_count = 1
        self._time_base_s = float(stream.time_base or 0) or 1e-3
        self._frame_s = 1.0 / float(stream.average_rate or 25)
        self._stats = stats
        self._rate = rate
        self._load_shedding = False
        self._grid = SampleGrid(1.0 / rate.period_s(float("-inf")))
        self._distance = KeyFrameDistance()
        self._mode: DecodeMode = "unknown"
        self._held: list[Packet[VideoStream]] = []
        self._held_bytes = 0
        #: None: not yet begun. Before the first key frame nothing can be decoded, as a rule.
        self._first_pts_s: float | None = None
        self._seen_key_frame = False
        #: No packet is to be begun at: all are decoded.
        self._has_no_key_frames = False
        self._marked_pts: deque[int] = deque(maxlen=_LONGEST_REORDER)
        #: Packets marked as key frames that were some, or none, in a row.
        self._true_keys = self._false_keys = 0
        #: Frames before it refer to frames that were not decoded: leading frames of an open group of pictures.
        self._floor_s = float("-inf")
        #: FFmpeg marks all as damaged that follows no key frame.
        self._trusts_corrupt = False
        self._last_pts_s = 0.0
        self._failures_in_a_row = 0

    def feed(self, packet: Packet[VideoStream], pts_s: float) -> Iterator[SampledFrame]:
        """Take the next packet, of time `pts_s`; yields the sampled frames that are ready now, in order.

        An empty packet is the stream's end. All of the iterator has to be consumed before the next call.

        Raises:
            StreamError: nothing of this stream can be decoded.
        """
        if not packet.size:
            yield from self._finish()
            return
        self._stats.add(packets=1, corrupt=int(packet.is_corrupt))
        self._keep_to_rate(pts_s)
        if packet.is_keyframe and packet.pts is not None:
            self._marked_pts.append(packet.pts)
        if self._has_no_key_frames:
            yield from self._follow_jump(pts_s)
            yield from self._decode_held_and(packet)
        elif packet.is_keyframe:
            yield from self._begin_group(packet, pts_s)
        elif self._seen_key_frame:
            yield from self._continue_group(packet, pts_s)
        else:
            self._wait_for_key_frame(pts_s)

    def time_of(self, packet: Packet[VideoStream]) -> float:
        """Presentation time of a packet, seconds; one frame after the last where it carries none. Once per packet."""
        if not packet.size:
            return self._last_pts_s
        ticks = packet.pts if packet.pts is not None else packet.dts
        self._last_pts_s = ticks * self._time_base_s if ticks is not None else self._last_pts_s + self._frame_s
        return self._last_pts_s

    def _keep_to_rate(self, pts_s: float) -> None:
        period_s, load_shedding = self._rate.period_s(pts_s), self._rate.key_frames_only(pts_s)
        if period_s != self._grid.period_s or load_shedding != self._load_shedding:
            self._load_shedding = load_shedding
            self._grid.set_period(period_s)
            self._decide_mode()

    def _begin_group(self, packet: Packet[VideoStream], pts_s: float) -> Iterator[SampledFrame]:
        self._seen_key_frame = True
        frames_are_missing = bool(self._held)
        self._drop_held()
        yield from self._follow_jump(pts_s)
        self._floor_s = pts_s if frames_are_missing else float("-inf")
        self._distance.push(pts_s)
        self._decide_mode()
        due_s = self._grid.due_s
        wanted = due_s is None or pts_s >= due_s - self._early_key_s()
        if self._mode == "key_frames" and wanted:
            decoded = self._stats.snapshot().frames_decoded
            yield from self._decode([packet], alone=True)
            if self._stats.snapshot().frames_decoded == decoded:
                self._judge_key(is_one=False)
            # The decoder was emptied: whatever follows in this group needs the key frame once more.
            self._hold(packet)
        elif wanted or self._due_before_next_key():
            yield from self._decode([packet])
        else:
            self._hold(packet)

    def _follow_jump(self, pts_s: float) -> Iterator[SampledFrame]:
        if self._grid.is_jump_back(pts_s):
            # What the decoder still has belongs to the old time.
            yield from self._sampled(self._drain())
            self._grid.follow_jump(pts_s)

    def _wait_for_key_frame(self, pts_s: float) -> None:
        """Give up waiting in time."""
        if self._first_pts_s is None or pts_s < self._first_pts_s:
            self._first_pts_s = pts_s
        if pts_s - self._first_pts_s > _LONGEST_WITHOUT_KEY_S:
            self._decode_all_from_here()
            self._floor_s = pts_s + _LONGEST_WITHOUT_KEY_S
            # Else FFmpeg keeps back what follows no key frame.
            self._codec.flags |= Flags.output_corrupt
            self._trusts_corrupt = True

    def _decode_all_from_here(self) -> None:
        self._has_no_key_frames = True
        self._true_keys = 0
        self._distance = KeyFrameDistance()
        self._decide_mode()
        _log.debug("the stream has no key frames")

    def _judge_key(self, *, is_one: bool, is_surely_none: bool = False) -> None:
        """Take note of what the decoder made of a packet marked as a key frame. A damaged one gives nothing as well."""
        self._true_keys, self._false_keys = (self._true_keys + 1, 0) if is_one else (0, self._false_keys + 1)
        if self._has_no_key_frames:
            if self._true_keys >= _TRUSTED_KEYS:
                self._has_no_key_frames = self._trusts_corrupt = False
                self._seen_key_frame = True
        elif is_surely_none or self._false_keys >= _TRUSTED_KEYS:
            self._decode_all_from_here()

    def _continue_group(self, packet: Packet[VideoStream], pts_s: float) -> Iterator[SampledFrame]:
        if self._distance.is_overdue(pts_s):
            self._distance.forget()
            self._decide_mode()
        if self._due_before_next_key() or self._held_bytes > _LONGEST_HELD_BYTES:
            yield from self._decode_held_and(packet)
        else:
            self._hold(packet)

    def _decode_held_and(self, packet: Packet[VideoStream]) -> Iterator[SampledFrame]:
        packets = [*self._held, packet]
        self._drop_held()
        yield from self._decode(packets)

    def _finish(self) -> Iterator[SampledFrame]:
        """The stream is over: what is held may yet hold a sample."""
        if self._held and self._grid.due_s is not None and self._last_pts_s >= self._grid.due_s - ROUNDING_S:
            packets = self._held
            self._drop_held()
            yield from self._decode(packets, alone=True)
        else:
            yield from self._sampled(self._drain())

    def _due_before_next_key(self) -> bool:
        if self._every_frame:
            return True
        if self._sheds_load():
            return False
        due_s, next_key_s = self._grid.due_s, self._distance.next_key_s
        return due_s is None or next_key_s is None or due_s + self._early_key_s() < next_key_s

    def _early_key_s(self) -> float:
        """Seconds by which a key frame may be off its sample's time: among key frames alone the nearest is taken."""
        if self._mode == "key_frames" and self._distance.longest_s is not None:
            return self._distance.longest_s / 2
        return self._grid.period_s * KEY_TOLERANCE

    def _sheds_load(self) -> bool:
        longest_s = self._distance.longest_s
        return self._load_shedding and longest_s is not None and longest_s <= _SHEDDING_KEYS_S

    def _decide_mode(self) -> None:
        longest_s = self._distance.longest_s
        close = longest_s is not None and longest_s <= self._grid.period_s * (1.0 + KEY_TOLERANCE)
        close = close or self._sheds_load()
        mode: DecodeMode = "key_frames" if close and not self._every_frame else "all_frames"
        if mode != self._mode:
            _log.debug("decoding %s, key frames %s s apart", mode, longest_s)
        self._mode = mode
        self._stats.set_decoding(mode, longest_s)

    def _hold(self, packet: Packet[VideoStream]) -> None:
        self._held.append(packet)
        self._held_bytes += packet.size

    def _drop_held(self) -> None:
        self._held, self._held_bytes = [], 0

    def _decode(self, packets: list[Packet[VideoStream]], *, alone: bool = False) -> Iterator[SampledFrame]:
        """Decode `packets`; with `alone` get out what the decoder would keep back for reordering, and empty it."""
        for packet in packets:
            self._set_skipping(packet)
            try:
                frames = self._codec.decode(packet)
            except (av.FFmpegError, ValueError) as error:
                self._count_failure(error)
            else:
                yield from self._sampled(frames, alone=alone)
        if alone:
            yield from self._sampled(self._drain(), alone=True)

    def _set_skipping(self, packet: Packet[VideoStream]) -> None:
        """Leave out the decoding of a frame that is not wanted and that no other frame refers to."""
        due_s = self._grid.due_s
        needless = (
            not self._every_frame
            and not packet.is_keyframe
            and due_s is not None
            and packet.pts is not None
            and packet.pts * self._time_base_s < due_s - ROUNDING_S
        )
        self._codec.skip_frame = "NONREF" if needless else "DEFAULT"

    def _drain(self) -> list[VideoFrame]:
        try:
            return self._codec.decode(None)
        except (av.FFmpegError, ValueError) as error:
            # At the end of what was decoded there is nothing to get, or the last packets were damaged.
            _log.debug("draining the decoder: %s", error)
            return []
        finally:
            self._codec.flush_buffers()

    def _count_failure(self, error: Exception) -> None:
        self._stats.add(corrupt=1)
        self._failures_in_a_row += 1
        if self._gives_up and self._failures_in_a_row >= _HOPELESS_FAILURES:
            raise StreamError(
                f"{self._failures_in_a_row} pictures in a row could not be decoded as {self._codec.name}: {error}"
            ) from error

    def _sampled(self, frames: list[VideoFrame], *, alone: bool = False) -> Iterator[SampledFrame]:
        for frame in frames:
            self._stats.add(frames_decoded=1)
            self._failures_in_a_row = 0
            if frame.pts in self._marked_pts:
                is_key = frame.key_frame or frame.pict_type in _INTRA
                self._judge_key(is_one=is_key, is_surely_none=not is_key)
                if alone and not is_key:  # torn
                    continue
            pts_s = frame.pts * self._time_base_s if frame.pts is not None else self._last_pts_s
            if pts_s < self._floor_s - ROUNDING_S or self._is_spoilt(frame, pts_s):
                continue
            if self._grid.take(pts_s, self._early_key_s() if frame.key_frame else ROUNDING_S):
                self._stats.add(frames_sampled=1)
                yield SampledFrame(frame, pts_s)

    def _is_spoilt(self, frame: VideoFrame, pts_s: float) -> bool:
        """True for a frame marked as damaged; after a whole period without a good one it will do."""
        if not frame.is_corrupt or self._trusts_corrupt:
            return False
        self._stats.add(corrupt=1)
        due_s = self._grid.due_s
        return due_s is None or pts_s < due_s + self._grid.period_s
