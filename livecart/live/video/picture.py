"""Decoded pictures as the rest of the pipeline uses them: a small copy for the gate, a JPEG for the recogniser.

Both are made by swscale straight from the decoder's frame at the size asked for; the full-size RGB picture never
exists. Colour: a stream says its matrix and range, and FFmpeg takes BT.601 and limited range where it does not. JPEG
is always BT.601 at full range (JFIF 1.02, section 7). High dynamic range is mapped to that of photos (tone_mapping.py).
"""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av.filter
import numpy as np
from av.codec import CodecContext
from av.sidedata.sidedata import SideData
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from livecart.core.types import Picture, ShareBox
from livecart.live.video.tone_mapping import is_hdr, tone_mapped

#: Quantiser scale of FFmpeg's MJPEG encoder, 2 (best) to 31: about JPEG quality 90. Small print stays readable.
_JPEG_QSCALE = 3
#: What is masked is of this grey, which is no print's and no edge's: it says nothing from one frame to the next.
_MASK_LEVEL = 128
#: Pixels as wide or high as this are no camera's; anamorphic video has up to 2.67.
_MOST_ASPECT = 8.0


@dataclass(frozen=True, slots=True)
class Display:
    """Display of a stored picture: first transposed, then mirrored; its pixels are so much wider than high."""

    is_transposed: bool = False
    is_mirrored: bool = False
    is_upside_down: bool = False
    pixel_aspect: float = 1.0

    @classmethod
    def of(cls, frame: VideoFrame, pixel_aspect: Fraction | None = None) -> "Display":
        """As the frame's display matrix says; an aspect of none, or of no camera, counts as square.

        The matrix is that of an MP4 track (ISO/IEC 14496-12, 6.2.2). Of its angles the nearest quarter turn counts.
        """
        aspect = float(pixel_aspect or 1)
        aspect = aspect if 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT else 1.0
        side_data = frame.side_data.get("DISPLAYMATRIX")
        if not isinstance(side_data, SideData):
            return cls(pixel_aspect=aspect)
        a, b, _, c, d = np.frombuffer(bytes(side_data), dtype=np.int32)[:5].tolist()
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(is_mirrored=a < 0, is_upside_down=d < 0, pixel_aspect=aspect)
        return cls(is_transposed=True, is_mirrored=c < 0, is_upside_down=b < 0, pixel_aspect=aspect)

    @property
    def is_upright(self) -> bool:
        """True where rows and columns are shown in the order in which they are stored."""
        return not (self.is_transposed or self.is_mirrored or self.is_upside_down)

    def size_px(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Width and height as displayed. As in browsers no side gets shorter: pixels of 1:2 make it higher."""
        if self.pixel_aspect >= 1:
            width_px = round(width_px * self.pixel_aspect)
        else:
            height_px = round(height_px / self.pixel_aspect)
        return (height_px, width_px) if self.is_transposed else (width_px, height_px)

    def applied(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A stored picture (height, width, 3) as displayed; the aspect is left alone."""
        if self.is_transposed:
            rgb = rgb.transpose(1, 0, 2)
        return np.ascontiguousarray(rgb[:: -1 if self.is_upside_down else 1, :: -1 if self.is_mirrored else 1])


_AS_STORED = Display()


class VideoPicture:
    """One frame of a video, as a player shows it. Thread-safe.

    Of an interlaced frame the upper field alone is looked at: the other one is of another moment.

    Args:
        frame: as decoded; not changed, and kept until the picture goes.
        display: how it is shown.
    """

    def __init__(self, frame: VideoFrame, display: Display = _AS_STORED) -> None:
        self.width_px, self.height_px = display.size_px(frame.width, frame.height)
        if frame.sw_format is not None:  # it lies in the memory of the device that decoded it
            frame = frame.reformat(format=frame.sw_format.name)
        self._frame = _upper_field(frame) if frame.interlaced_frame and frame.height > 1 else frame
        self._display = display
        self._is_hdr = is_hdr(frame)
        # PyAV writes to the frame's colour fields, for the moment, while it converts.
        self._lock = threading.Lock()

    def thumbnail(self, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """The whole picture squeezed to (height_px, width_px, 3), RGB, 0 to 255; every pixel counts (area average)."""
        return self._rgb(width_px, height_px)

    def jpeg(self, longest_side_px: int) -> tuple[bytes, float]:
        """The picture as JPEG, no side longer than asked, and the scale it was made at: 0 < scale <= 1."""
        scale = min(1.0, longest_side_px / max(self.width_px, self.height_px))
        width_px, height_px = max(1, round(self.width_px * scale)), max(1, round(self.height_px * scale))
        if self._is_hdr or not self._display.is_upright:
            return _encode_jpeg(VideoFrame.from_ndarray(self._rgb(width_px, height_px), format="rgb24")), scale
        with self._lock:
            return _encode_jpeg(self._frame, width_px, height_px), scale

    def _rgb(self, width_px: int, height_px: int) -> NDArray[np.uint8]:
        if self._display.is_transposed:
            width_px, height_px = height_px, width_px
        with self._lock:
            small = VideoReformatter().reformat(
                self._frame,
                width_px,
                height_px,
                "rgb48le" if self._is_hdr else "rgb24",
                interpolation=Interpolation.AREA,
                dst_color_range=ColorRange.JPEG,
                threads=1,
            )
        rgb = small.to_ndarray()
        if self._is_hdr:
            rgb = tone_mapped(rgb.astype(np.uint16, copy=False), self._frame.color_trc)
        return self._display.applied(rgb.astype(np.uint8, copy=False))


class ArrayPicture(VideoPicture):
    """A picture from an RGB array of shape (height, width, 3), 0 to 255; it is copied."""

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        super().__init__(VideoFrame.from_ndarray(np.ascontiguousarray(rgb, dtype=np.uint8), format="rgb24"))


class MaskedPicture:
    """Another picture, parts of it painted over in whatever is made of it. A pixel that touches one is hidden."""

    def __init__(self, picture: Picture, hidden: Sequence[ShareBox]) -> None:
        self._picture = picture
        self._hidden = hidden
        self.width_px, self.height_px = picture.width_px, picture.height_px

    def thumbnail(self, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """As `Picture.thumbnail`."""
        rgb = self._picture.thumbnail(width_px, height_px).copy()
        for x1, y1, x2, y2 in self._hidden:
            rows = slice(math.floor(y1 * height_px), math.ceil(y2 * height_px))
            rgb[rows, math.floor(x1 * width_px) : math.ceil(x2 * width_px)] = _MASK_LEVEL
        return rgb

    def jpeg(self, longest_side_px: int) -> tuple[bytes, float]:
        """As `Picture.jpeg`."""
        scale = min(1.0, longest_side_px / max(self.width_px, self.height_px))
        size = max(1, round(self.width_px * scale)), max(1, round(self.height_px * scale))
        return _encode_jpeg(VideoFrame.from_ndarray(self.thumbnail(*size), format="rgb24")), scale


def _upper_field(frame: VideoFrame) -> VideoFrame:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1))
    graph.link_nodes(source, graph.add("field", "type=top"), graph.add("buffersink")).configure()
    graph.push(frame)
    field = graph.pull()
    if not isinstance(field, VideoFrame):
        raise TypeError("FFmpeg's filter gave no picture")
    return field


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
