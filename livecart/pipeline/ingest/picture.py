"""Decoded pictures as the rest of the pipeline uses them: a small copy for the gate, a JPEG for the recogniser.

Both are made by swscale straight from the decoder's frame at the size asked for; the full-size RGB picture never
exists. Colour: a stream says its matrix and range, and FFmpeg takes BT.601 and limited range where it does not. JPEG
is always BT.601 at full range (JFIF 1.02, section 7).
"""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
from av.codec import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

#: Quantiser scale of FFmpeg's MJPEG encoder, 2 (best) to 31: about JPEG quality 90. Small print stays readable.
_JPEG_QSCALE = 3


class VideoPicture:
    """One frame of a video, upright. Thread-safe.

    Args:
        frame: as decoded; not changed, and kept until the picture goes.
        rotation_deg: how the picture has to be turned counterclockwise to be upright; a multiple of 90.
    """

    def __init__(self, frame: VideoFrame, rotation_deg: int = 0) -> None:
        self._frame = frame
        self._quarter_turns = round(rotation_deg / 90) % 4
        # PyAV writes to the frame's colour fields, for the moment, while it converts.
        self._lock = threading.Lock()

    @property
    def width_px(self) -> int:
        """Width as displayed, rotation applied."""
        return self._frame.height if self._quarter_turns % 2 else self._frame.width

    @property
    def height_px(self) -> int:
        """Height as displayed, rotation applied."""
        return self._frame.width if self._quarter_turns % 2 else self._frame.height

    def thumbnail(self, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """The whole picture squeezed to (height_px, width_px, 3), RGB, 0 to 255; every pixel counts (area average)."""
        return self._rgb(width_px, height_px)

    def jpeg(self, longest_side_px: int) -> tuple[bytes, float]:
        """The picture as JPEG, no side longer than asked, and the scale it was made at: 0 < scale <= 1."""
        scale = min(1.0, longest_side_px / max(self.width_px, self.height_px))
        width_px, height_px = max(1, round(self.width_px * scale)), max(1, round(self.height_px * scale))
        if self._quarter_turns:
            return _encode_jpeg(VideoFrame.from_ndarray(self._rgb(width_px, height_px), format="rgb24")), scale
        with self._lock:
            return _encode_jpeg(self._frame, width_px, height_px), scale

    def _rgb(self, width_px: int, height_px: int) -> NDArray[np.uint8]:
        if self._quarter_turns % 2:
            width_px, height_px = height_px, width_px
        with self._lock:
            small = VideoReformatter().reformat(
                self._frame,
                width_px,
                height_px,
                "rgb24",
                interpolation=Interpolation.AREA,
                dst_color_range=ColorRange.JPEG,
                threads=1,
            )
        rgb = np.rot90(small.to_ndarray(), self._quarter_turns)
        return np.ascontiguousarray(rgb, dtype=np.uint8)


class ArrayPicture(VideoPicture):
    """A picture from an RGB array of shape (height, width, 3), 0 to 255; it is copied."""

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        super().__init__(VideoFrame.from_ndarray(np.ascontiguousarray(rgb, dtype=np.uint8), format="rgb24"))


def _encode_jpeg(frame: VideoFrame, width_px: int | None = None, height_px: int | None = None) -> bytes:
    converted = VideoReformatter().reformat(
        frame,
        width_px,
        height_px,
        "yuvj420p",
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.AREA,
        threads=1,
    )
    encoder = CodecContext.create("mjpeg", "w")
    if not isinstance(encoder, VideoCodecContext):
        raise TypeError("FFmpeg's MJPEG encoder is no video encoder")
    encoder.width, encoder.height = converted.width, converted.height
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.thread_count = 1
    encoder.qmin = encoder.qmax = _JPEG_QSCALE
    converted.pts = 0
    packets = [*encoder.encode(converted), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
