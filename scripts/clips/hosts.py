"""A real clip of a host as background: played forwards and backwards without end, filling the frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from clips.cuts import Cut, cut_at, framed
from clips.errors import ClipError
from clips.sprites import Rgb
from evaluation.backgrounds import CLIPS
from evaluation.compose import seed_for

#: Decoded frames are kept, since they are wanted backwards as well: not more of them than this.
_MOST_BYTES = 256 * 2**20
_USUAL_FPS = 25.0


@dataclass(frozen=True)
class HostClip:
    """Frames of a clip, uint8 (h, w, 3) each, and their rate. ``paused_s`` stops it at that time."""

    frames: Sequence[Rgb]
    fps: float
    cuts: Sequence[Cut]
    size_px: tuple[int, int]
    paused_s: float | None = None

    def frame(self, t_s: float) -> Rgb:
        return framed(
            self.frames[
                _back_and_forth(int((t_s if self.paused_s is None else self.paused_s) * self.fps), len(self.frames))
            ],
            cut_at(self.cuts, t_s),
            self.size_px,
        )


def find_clip(path: Path, seed: int) -> Path:
    """The clip itself, or one of a folder's by the seed.

    Raises:
        ClipError: there is no such file, or no clip in the folder.
    """
    if path.is_file():
        return path
    clips = sorted(file for file in path.glob("*") if file.suffix.lower() in CLIPS) if path.is_dir() else []
    if not clips:
        raise ClipError(f"{path}: neither a clip nor a folder with clips ({', '.join(sorted(CLIPS))})")
    return clips[seed_for(seed, "host") % len(clips)]


def read_clip(path: Path) -> tuple[list[Rgb], float]:
    """The clip's first frames, as many as memory is meant for, and their rate.

    Raises:
        ClipError: it cannot be decoded, or has no frame.
    """
    frames: list[Rgb] = []
    held = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or _USUAL_FPS)
            for frame in container.decode(stream):
                pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                # A stream may change its size: what has another is another scene.
                if frames and pixels.shape != frames[0].shape:
                    break
                frames.append(pixels)
                held += pixels.nbytes
                if held > _MOST_BYTES:
                    break
    except (av.FFmpegError, IndexError, OSError) as error:
        raise ClipError(f"{path}: cannot be decoded ({error}); give another clip with --host") from error
    if not frames:
        raise ClipError(f"{path}: a clip without frames; give another with --host")
    return frames, fps


def _back_and_forth(index: int, count: int) -> int:
    period = max(1, 2 * count - 2)
    place = index % period
    return place if place < count else period - place
