"""Streams as people send them: container, codec, and what is odd about each. The table of docs/streams.md.

`test_stream_matrix.py` makes and reads each; `scripts/write_docs.py` writes the table.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL.Image import Transpose

from tests.live.video.streams import encode, encoded, late_video, numbered_frame, numbered_picture

SIZE_PX = (320, 240)
_AV1 = {"codec": "libsvtav1", "b_frames": 0, "options": {"preset": "12"}}
_HEVC = {"codec": "libx265", "options": {"x265-params": "keyint=30:min-keyint=30:scenecut=0:log-level=none"}}
_VP9 = {"codec": "libvpx-vp9", "b_frames": 0, "options": {"deadline": "realtime", "cpu-used": "8"}}
_VP8 = {"codec": "libvpx", "b_frames": 0, "options": {"deadline": "realtime", "cpu-used": "8"}}
_10_BIT = {"pixel_format": "yuv420p10le"}

#: Values a, b, c, d of an MP4's track matrix (ISO/IEC 14496-12, 8.3.2), and what a viewer sees in Pillow's words.
_CLOCKWISE = "turned by 90° clockwise"
MATRICES = {
    _CLOCKWISE: ((0, 1, -1, 0), Transpose.ROTATE_270),
    "turned by 180°": ((-1, 0, 0, -1), Transpose.ROTATE_180),
    "turned by 90° counterclockwise": ((0, -1, 1, 0), Transpose.ROTATE_90),
    "mirrored left to right": ((-1, 0, 0, 1), Transpose.FLIP_LEFT_RIGHT),
    "mirrored top to bottom": ((1, 0, 0, -1), Transpose.FLIP_TOP_BOTTOM),
    "transposed": ((0, 1, 1, 0), Transpose.TRANSPOSE),
    "transposed along the other diagonal": ((0, -1, -1, 0), Transpose.TRANSVERSE),
}


@dataclass(frozen=True)
class Case:
    """One stream.

    `shown_px` is the size as displayed, of the last frame; `transpose` how the stored picture is turned for that.
    """

    container: str
    codec: str
    oddity: str
    make: Callable[[Path], None]
    shown_px: tuple[int, int] = SIZE_PX
    transpose: Transpose | None = None
    file: str = "clip"
    frames: int = 3
    fps: int = 30
    #: Number of the first frame shown.
    first: int = 0
    #: Frames after which the numbers begin anew.
    numbers: int = 1000

    def __str__(self) -> str:
        return f"{self.container}, {self.codec}, {self.oddity}"


def cases() -> list[Case]:
    """All of them, in the order of the table."""
    plain = [
        Case(container, codec, "none", _encoding(container=name, **how))
        for container, name, codec, how in (
            ("MP4", "mp4", "H.264", {}),
            ("MP4", "mp4", "HEVC", _HEVC),
            ("MP4", "mp4", "AV1", _AV1),
            ("MP4", "mp4", "VP9", _VP9),
            ("FLV", "flv", "H.264", {}),
            ("FLV, enhanced", "flv", "HEVC", _HEVC),
            ("FLV, enhanced", "flv", "AV1", _AV1),
            ("FLV, enhanced", "flv", "VP9", _VP9),
            ("MPEG-TS", "mpegts", "H.264", {}),
            ("MPEG-TS", "mpegts", "HEVC", _HEVC),
            ("Matroska", "matroska", "H.264", {}),
            ("WebM", "webm", "VP8", _VP8),
            ("WebM", "webm", "VP9", _VP9),
            ("WebM", "webm", "AV1", _AV1),
        )
    ]
    hls = [
        Case(f"HLS, {kind}", codec, oddity, _hls(kind, ending, **how), file="clip.m3u8")
        for kind, codec, oddity, ending, how in (
            ("MPEG-TS", "H.264", "none", ".ts", {}),
            ("MPEG-TS", "H.264", "segments called .png", ".png", {}),
            ("MPEG-TS", "H.264", "segments called .jpg", ".jpg", {}),
            ("MPEG-TS", "H.264", "segments without an ending", "", {}),
            ("MPEG-TS", "H.264", "segments called .mp666", ".mp666", {}),
            ("fMP4", "H.264", "none", ".m4s", {}),
            ("fMP4", "HEVC", "none", ".m4s", _HEVC),
            ("fMP4", "H.264", "segments called .jpg", ".jpg", {}),
        )
    ]
    turned = [
        Case("MP4", "H.264", oddity, _with_matrix(matrix), (240, 320) if matrix[0] == 0 else SIZE_PX, transpose)
        for oddity, (matrix, transpose) in MATRICES.items()
    ]
    shape = [
        Case("MP4", "H.264", "pixels of 2:1", _wide("mp4", 2, 1), (640, 240)),
        Case("MP4", "H.264", "pixels of 1:2", _wide("mp4", 1, 2), (320, 480)),
        Case("MPEG-TS", "H.264", "pixels of 16:11", _wide("mpegts", 16, 11), (465, 240)),
        Case(
            "MPEG-TS",
            "HEVC",
            "pixels of 4:3",
            _wide("mpegts", 4, 3, **_HEVC),
            (427, 240),
        ),
        Case("FLV", "H.264", "pixels of 12:11", _wide("flv", 12, 11), (349, 240)),
        Case("MP4", "H.264", "pixels of 2:1, of which the container alone tells", _with_pasp, (640, 240)),
        Case(
            "MP4",
            "H.264",
            f"pixels of 2:1, {_CLOCKWISE}",
            _with_matrix(MATRICES[_CLOCKWISE][0], prepare=_aspect(2, 1)),
            (240, 640),
            MATRICES[_CLOCKWISE][1],
        ),
        Case("MP4", "H.264", "cropped to 318 x 238", _encoding(container="mp4", size_px=(318, 238)), (318, 238)),
        Case(
            "MP4",
            "H.264",
            "odd sides, 4:4:4",
            _encoding(container="mp4", size_px=(321, 241), pixel_format="yuv444p"),
            (321, 241),
        ),
        Case("WebM", "VP9", "odd sides", _encoding(container="webm", size_px=(321, 241), **_VP9), (321, 241)),
        Case("WebM", "AV1", "odd sides", _encoding(container="webm", size_px=(321, 241), **_AV1), (321, 241)),
    ]
    colours = [
        Case("MP4", "H.264", "10 bit", _encoding(container="mp4", **_10_BIT)),
        Case("MP4", "HEVC", "10 bit", _encoding(container="mp4", **_HEVC, **_10_BIT)),
        Case("WebM", "AV1", "10 bit", _encoding(container="webm", **_AV1, **_10_BIT)),
        Case("MP4", "HEVC", "HDR, PQ", _hdr("mp4", ColorTrc.SMPTE2084, _HEVC)),
        Case("MP4", "HEVC", "HDR, HLG", _hdr("mp4", ColorTrc.ARIB_STD_B67, _HEVC)),
        Case("MPEG-TS", "HEVC", "HDR, HLG", _hdr("mpegts", ColorTrc.ARIB_STD_B67, _HEVC)),
        Case("MP4", "AV1", "HDR, PQ", _hdr("mp4", ColorTrc.SMPTE2084, _AV1)),
        Case("WebM", "VP9", "HDR, HLG, 8 bit", _hdr("webm", ColorTrc.ARIB_STD_B67, _VP9, "yuv420p")),
        Case("MP4", "H.264", "full range", _encoding(container="mp4", pixel_format="yuvj420p")),
        Case("WebM", "VP9", "alpha", _encoding(container="webm", pixel_format="yuva420p", **_VP9)),
        Case("MP4", "H.264", "interlaced", _interlaced("mp4")),
        Case("MPEG-TS", "H.264", "interlaced", _interlaced("mpegts")),
    ]
    times = [
        Case(
            "MP4",
            "H.264",
            "1 s before 0, which is not shown",
            _encoding(container="mp4", start_s=-1.0),
            frames=2,
            first=30,
        ),
        Case("MPEG-TS", "H.264", "times that begin below 0", _encoding(container="mpegts", start_s=-1.5)),
        Case("Matroska", "H.264", "times that begin late", _encoding(container="matroska", start_s=5000.0)),
        Case("MPEG-TS", "H.264", "times that wrap at 2³³", _encoding(container="mpegts", start_s=2**33 / 90_000 - 1.5)),
        Case("MP4", "H.264", "no B-frames", _encoding(container="mp4", b_frames=0)),
        Case("MP4", "H.264", "B-frames that refer to each other", _pyramid("mp4")),
        Case("MPEG-TS", "H.264", "B-frames, open groups", _pyramid("mpegts", "open-gop=1:")),
        Case("MP4", "H.264", "15 frames a second", _encoding(container="mp4", fps=15), fps=15),
        Case("MP4", "H.264", "60 frames a second", _encoding(container="mp4", fps=60), fps=60),
        Case("Matroska", "H.264", "uneven frame rate", _encoding(container="matroska", is_uneven=True)),
        Case("FLV", "H.264", "key frames 0.2 s apart", _encoding(container="flv", key_every_s=0.2)),
        Case("FLV", "H.264", "one key frame", _encoding(container="flv", key_every_s=100.0)),
        Case("MPEG-TS", "H.264", "intra refresh", _intra_refresh("mpegts"), frames=6),
        Case("FLV", "H.264", "intra refresh", _intra_refresh("flv"), frames=6),
        Case("MP4", "H.264", "intra refresh", _intra_refresh("mp4"), frames=6),
    ]
    changes = [
        _changed("another size", {"size_px": (640, 360)}, (640, 360)),
        _changed("other pixels", {"prepare": _aspect(2, 1)}, (640, 240)),
        _changed("10 bit", _10_BIT),
    ]
    sound = [
        Case("MP4", "H.264", "sound", _encoding(container="mp4", audio=True)),
        Case("FLV", "H.264", "sound, and no video for 5 s", _late("flv")),
        Case("FLV", "H.264", "sound, and no video for 5 s; the header tells of sound alone", _late("flv", flags=4)),
        Case("FLV", "H.264", "sound announced that never comes", _late("flv", flags=5, has_sound=False)),
        Case("MPEG-TS", "H.264", "sound, and no video for 5 s", _late("mpegts")),
    ]
    return [*plain, *hls, *turned, *shape, *colours, *times, *changes, *sound]


#: How a stream comes, as what, and the test that sends it so.
TRANSPORTS = [
    ("RTMP through nginx-rtmp", "H.264", "test_ingest_rtmp", "test_rtmp_through_nginx_and_a_publisher_that_comes_back"),
    ("RTMP, enhanced", "HEVC, AV1, VP9", "test_ingest_rtmp", "test_enhanced_rtmp"),
    ("RTSP over TCP, and over TLS", "MPEG-TS in RTP", "test_ingest_rtmp", "test_rtsp_over_tcp"),
    ("SRT, calling, encrypted", "MPEG-TS", "test_ingest_srt", "test_a_server_is_called_again_and_again"),
    ("SRT, called", "MPEG-TS", "test_ingest_srt", "test_an_encoder_calls"),
    ("HTTP-FLV", "H.264", "test_ingest_live", "test_http_flv_goes_live_and_reconnects_when_the_server_closes"),
    ("MPEG-TS over HTTP", "H.264", "test_ingest_live", "test_stream_of_mpegts_over_http"),
    ("live HLS", "MPEG-TS", "test_ingest_live", "test_hls_live_playlist_with_a_discontinuity_and_an_end"),
    (
        "WHIP from a browser's kind of sender",
        "VP8",
        "test_ingest_whip",
        "test_frames_arrive_at_the_wanted_rate_until_the_sender_ends",
    ),
    ("WHIP as OBS sends it", "H.264, high profile", "test_ingest_whip", "test_as_obs_sends"),
]


def table(name: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows of a table of docs/streams.md."""
    if name == "transports":
        return ("way", "stream", "test"), [(way, what, f"`{file}.py::{test}`") for way, what, file, test in TRANSPORTS]
    rows = [
        (case.container, case.codec, "" if case.oddity == "none" else case.oddity, "{} × {}".format(*case.shown_px))
        for case in cases()
    ]
    return ("container", "codec", "oddity", "shown, px"), rows


def _encoding(**how: Any) -> Callable[[Path], None]:
    how = {"seconds": 3.0, "key_every_s": 1.0, "size_px": SIZE_PX} | how
    return lambda path: encode(path, **how)


def _wide(container: str, width: int, height: int, **how: Any) -> Callable[[Path], None]:
    return _encoding(container=container, prepare=_aspect(width, height), **how)


def _hls(kind: str, ending: str, **how: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        kinds = {"hls_segment_type": "fmp4" if kind == "fMP4" else "mpegts", "hls_time": "1", "hls_list_size": "0"}
        _encoding(container="hls", muxer_options=kinds, **how)(path)
        playlist = path.read_text()
        for segment in path.parent.glob("clip[0-9]*"):
            renamed = segment.with_name(f"{segment.stem}{ending}")
            playlist = playlist.replace(segment.name, renamed.name)
            segment.rename(renamed)
        path.write_text(playlist)

    return make


def _with_matrix(matrix: tuple[int, int, int, int], **how: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        _encoding(container="mp4", **how)(path)
        data = path.read_bytes()
        a, b, c, d = (value << 16 for value in matrix)
        begin = data.index(b"tkhd") + 44
        path.write_bytes(data[:begin] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[begin + 36 :])

    return make


def _with_pasp(path: Path) -> None:
    """With a box `pasp` (ISO/IEC 14496-12, 12.1.4) in the track's description."""
    _encoding(container="mp4")(path)
    data = bytearray(path.read_bytes())
    entry = data.index(b"avc1", data.index(b"stsd")) - 4
    end = entry + struct.unpack_from(">I", data, entry)[0]
    pasp = struct.pack(">I4sII", 16, b"pasp", 2, 1)
    data[end:end] = pasp
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        begin = data.index(box) - 4
        struct.pack_into(">I", data, begin, struct.unpack_from(">I", data, begin)[0] + len(pasp))
    struct.pack_into(">I", data, entry, end - entry + len(pasp))
    path.write_bytes(data)


def _aspect(width: int, height: int) -> Callable[[VideoStream], None]:
    def prepare(stream: VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(width, height)

    return prepare


def _hdr(
    container: str, transfer: ColorTrc, how: dict[str, Any], pixels: str = "yuv420p10le"
) -> Callable[[Path], None]:
    """Colours of BT.2020; white is at 203 cd/m2, on a display of 1,000 cd/m2 (BT.2408)."""

    def draw(index: int, width_px: int, height_px: int) -> av.VideoFrame:
        code = numbered_picture(index, width_px, height_px) / 255
        light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
        encode = _pq if transfer == ColorTrc.SMPTE2084 else _hlg
        rgb = (encode(203 * light @ _BT709_TO_BT2020) * 65535).round().astype(np.uint16)
        return VideoReformatter().reformat(
            av.VideoFrame.from_ndarray(rgb, format="rgb48le"),
            format=pixels,
            dst_colorspace=Colorspace.BT2020,
            dst_color_range=ColorRange.MPEG,
        )

    def prepare(stream: VideoStream) -> None:
        codec = stream.codec_context
        codec.color_trc, codec.color_primaries, codec.colorspace, codec.color_range = (
            int(transfer),
            int(ColorPrimaries.BT2020),
            9,
            1,
        )

    return _encoding(container=container, draw=draw, prepare=prepare, pixel_format=pixels, **how)


#: BT.2087, for row vectors.
_BT709_TO_BT2020 = np.array([[0.6274, 0.0691, 0.0164], [0.3293, 0.9195, 0.0880], [0.0433, 0.0114, 0.8956]])


def _pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ of light in cd/m2 (SMPTE ST 2084)."""
    power = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def _hlg(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """HLG of light in cd/m2 on a display of 1,000 (BT.2100), its system gamma undone."""
    luma = light @ np.array([0.2627, 0.6780, 0.0593]) / 1000
    scene = light / 1000 * np.maximum(luma, 1e-9)[..., None] ** (1 / 1.2 - 1)
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright).clip(0, 1)


def _interlaced(container: str) -> Callable[[Path], None]:
    """The lower field is of another moment: much brighter."""

    def draw(index: int, width_px: int, height_px: int) -> av.VideoFrame:
        planes = numbered_frame(index, width_px, height_px).to_ndarray(format="yuv420p")
        planes[1:height_px:2] = np.minimum(planes[1:height_px:2].astype(int) + 50, 235)
        return av.VideoFrame.from_ndarray(planes, format="yuv420p")

    def prepare(stream: VideoStream) -> None:
        stream.codec_context.flags |= Flags.interlaced_dct

    x264 = "scenecut=0:keyint=30:min-keyint=30:tff=1"
    return _encoding(container=container, draw=draw, prepare=prepare, options={"x264-params": x264})


def _pyramid(container: str, more: str = "") -> Callable[[Path], None]:
    x264 = f"{more}scenecut=0:keyint=30:min-keyint=30:bframes=5:b-pyramid=normal:b-adapt=0"
    return _encoding(container=container, b_frames=5, options={"preset": "fast", "x264-params": x264})


def _intra_refresh(container: str) -> Callable[[Path], None]:
    x264 = {"preset": "veryfast", "x264-params": "intra-refresh=1:keyint=30:scenecut=0:bframes=0"}
    return _encoding(container=container, seconds=6.0, b_frames=0, options=x264)


def _changed(to: str, how: dict[str, Any], shown_px: tuple[int, int] = SIZE_PX) -> Case:
    def make(path: Path) -> None:
        common: dict[str, Any] = {"seconds": 3.0, "key_every_s": 1.0, "size_px": SIZE_PX, "b_frames": 0}
        both: list[dict[str, Any]] = [{}, {"start_s": 3.0} | how]
        parts = [encoded("mpegts", **common | part) for part in both]
        path.write_bytes(b"".join(parts))

    return Case("MPEG-TS", "H.264", f"{to} in mid-stream", make, shown_px, frames=6, numbers=90)


def _late(container: str, *, flags: int | None = None, has_sound: bool = True) -> Callable[[Path], None]:
    """Sound first; `flags`: of the file's header."""

    def make(path: Path) -> None:
        data = late_video(container) if has_sound else encoded(container, seconds=3.0, key_every_s=1.0)
        if flags is not None:
            data = data[:4] + bytes([flags]) + data[5:]
        path.write_bytes(data)

    return make
