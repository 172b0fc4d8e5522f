"""Frames into an encoded clip: H.264 at a given rate of bits, with key frames at a given distance."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av

from clips.errors import ClipError
from clips.sprites import Rgb

SUFFIXES = (".mp4", ".mkv", ".flv", ".ts")


class ClipWriter:
    """Writes beside ``path`` and moves the whole clip there when it is done; nothing is left of one that failed.

    As a live encoder does it: no delay and so no B-frames, a key frame exactly every ``keyframe_distance_s`` and none
    at cuts, the rate held over two seconds. The same frames give the same bytes on one machine with one version of the
    encoder: the number of threads, which has a part in them, is fixed, and x264's macroblock tree, whose look ahead
    gave other bytes from run to run, is off without delay.
    """

    def __init__(
        self, path: Path, *, size_px: tuple[int, int], fps: int, bit_rate: int, keyframe_distance_s: float
    ) -> None:
        self._path = path
        self._unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
        self._fps, self._count = fps, 0
        distance = max(1, round(fps * keyframe_distance_s))
        try:
            self._container = av.open(str(self._unfinished), "w")
        except (av.FFmpegError, ValueError, OSError) as error:
            raise ClipError(
                f"{path}: cannot be written ({error}); {', '.join(SUFFIXES)} in an existing folder"
            ) from error
        self._stream = self._container.add_stream("libx264", rate=fps)
        self._stream.width, self._stream.height = size_px
        self._stream.pix_fmt = "yuv420p"
        self._stream.bit_rate = bit_rate
        self._stream.time_base = Fraction(1, fps)
        self._stream.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "g": str(distance),
            "keyint_min": str(distance),
            "sc_threshold": "0",
            "maxrate": str(bit_rate),
            "bufsize": str(2 * bit_rate),
            "threads": "2",
        }

    def write(self, frame: Rgb) -> None:
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture.pts = self._count
        picture.time_base = Fraction(1, self._fps)
        self._count += 1
        self._container.mux(self._stream.encode(picture))

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if kind is None:
                self._unfinished.replace(self._path)
        finally:
            self._unfinished.unlink(missing_ok=True)
