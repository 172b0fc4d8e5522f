"""Pictures that show no product: photos and single frames of clips, from folders."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from evaluation.compose import decode_rgb
from evaluation.dataset import EvaluationError

PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
CLIPS = frozenset({".mp4", ".mkv", ".mov", ".webm", ".flv", ".ts", ".gif"})
#: Enough of a clip for its scenes; neighbouring frames say the same twice.
_FRAMES_PER_CLIP = 40


@dataclass(frozen=True)
class BackgroundPicture:
    """A photo, or frame ``index`` of a clip. ``key`` names it alike on every machine."""

    path: Path
    key: str
    index: int | None


def find_pictures(folders: Sequence[Path]) -> list[BackgroundPicture]:
    """All photos below the folders, and of each clip 40 frames at equal distances.

    Raises:
        EvaluationError: a folder is missing or holds neither, or a clip cannot be read.
    """
    found: list[BackgroundPicture] = []
    for folder in folders:
        if not folder.is_dir():
            raise EvaluationError(f"{folder}: no such folder")
        before = len(found)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            key = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            if path.suffix.lower() in PHOTOS:
                found.append(BackgroundPicture(path, key, None))
            elif path.suffix.lower() in CLIPS:
                found += [BackgroundPicture(path, f"{key}#{index}", index) for index in _spread(path, _FRAMES_PER_CLIP)]
        if len(found) == before:
            raise EvaluationError(f"{folder}: neither photos nor clips in it")
    return found


def load_picture(picture: BackgroundPicture) -> NDArray[np.uint8]:
    """Its pixels, uint8 (h, w, 3).

    Raises:
        EvaluationError: the file cannot be read.
    """
    try:
        if picture.index is None:
            return decode_rgb(picture.path.read_bytes())
        return _frames(picture.path, _FRAMES_PER_CLIP)[picture.index]
    except OSError as error:
        raise EvaluationError(f"{picture.path}: {error}") from error


def _spread(path: Path, count: int) -> list[int]:
    return sorted(_frames(path, count))


# Clips are short, and their frames are asked for again by every seed.
@lru_cache(maxsize=64)
def _frames(path: Path, count: int) -> dict[int, NDArray[np.uint8]]:
    """``count`` frames of a clip by index, at equal distances from the first on."""
    total = sum(1 for _ in _decoded(path, None))
    if not total:
        raise EvaluationError(f"{path}: a clip without frames")
    wanted = {index * total // count for index in range(min(count, total))} if total > count else set(range(total))
    return dict(_decoded(path, wanted))


def _decoded(path: Path, wanted: set[int] | None) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The frames of ``wanted``, or with None all of them as empty arrays, to be counted."""
    nothing = np.empty((0, 0, 3), np.uint8)
    for index, pixels in enumerate(_of_gif(path) if path.suffix.lower() == ".gif" else _of_video(path)):
        if wanted is None:
            yield index, nothing
        elif index in wanted:
            yield index, pixels()


def _of_gif(path: Path) -> Iterator[Callable[[], NDArray[np.uint8]]]:
    """Of each frame, what makes its pixels: not every frame is wanted."""
    with Image.open(path) as clip:
        for image in ImageSequence.Iterator(clip):
            yield partial(_gif_rgb, image)


def _of_video(path: Path) -> Iterator[Callable[[], NDArray[np.uint8]]]:
    import av  # only videos need it

    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield partial(_video_rgb, frame)
    except (av.FFmpegError, IndexError) as error:
        raise EvaluationError(f"{path}: {error}") from error


def _gif_rgb(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB"))


def _video_rgb(frame: Any) -> NDArray[np.uint8]:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
