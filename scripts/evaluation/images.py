"""Images for a backend: those of a seed, as files or as composed frames, with what they show."""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from evaluation.backgrounds import BackgroundPicture, load_picture
from evaluation.compose import ComposedFrame, Truth, compose, decode_rgb, plain, seed_for
from evaluation.dataset import EvaluationError, Query

_CLIP_QUALITY = 90


@dataclass(frozen=True)
class Asked:
    """An encoded image. ``sku`` is None for a negative; ``truth`` is that of a composed frame."""

    name: str
    data: bytes
    sku: str | None
    truth: Truth | None = None


def photos(queries: Iterable[Query], *, negative: bool = False) -> Iterator[Asked]:
    """Labelled photos as they are."""
    for query in queries:
        yield Asked(query.key, _read(query.path), None if negative else query.sku)


def frames(
    queries: Iterable[Query], backgrounds: Sequence[BackgroundPicture], *, seed: int, negative: bool = False
) -> Iterator[Asked]:
    """Labelled photos pasted into backgrounds; both the background and the frame go by the seed and the photo's key."""
    for query in queries:
        background = backgrounds[seed_for(seed, query.key, "background") % len(backgrounds)]
        try:
            photo = decode_rgb(_read(query.path))
        except OSError as error:
            raise EvaluationError(f"{query.path}: {error}") from error
        frame = compose(photo, load_picture(background), sku=query.sku, seed=seed_for(seed, query.key))
        yield Asked(query.key, frame.jpeg, None if negative else query.sku, frame.truth)


def empty(pictures: Iterable[BackgroundPicture]) -> Iterator[Asked]:
    """Pictures that show no product, as they are: files unchanged, frames of clips as JPEG."""
    for picture in pictures:
        if picture.index is None:
            yield Asked(picture.key, _read(picture.path), None)
            continue
        buffer = io.BytesIO()
        Image.fromarray(load_picture(picture)).save(buffer, "JPEG", quality=_CLIP_QUALITY)
        yield Asked(picture.key, buffer.getvalue(), None)


def empty_frames(pictures: Iterable[BackgroundPicture], *, seed: int) -> Iterator[Asked]:
    """Pictures that show no product, as backgrounds without anything pasted in."""
    for picture in pictures:
        frame: ComposedFrame = plain(load_picture(picture), seed=seed_for(seed, picture.key))
        yield Asked(picture.key, frame.jpeg, None)


def chosen(pictures: Sequence[BackgroundPicture], *, seed: int, limit: int | None) -> list[BackgroundPicture]:
    """At most ``limit`` of them, by the seed and their keys."""
    if limit is None or len(pictures) <= limit:
        return list(pictures)
    order = sorted(range(len(pictures)), key=lambda place: seed_for(seed, pictures[place].key, "limit"))
    return [pictures[place] for place in sorted(order[:limit])]


class Dump:
    """Writes what is asked below a folder: ``seed-0/00000.jpg`` and so on, and ``frames.jsonl``, a line for each.

    The numbers go on from one seed to the next.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._index = folder / "frames.jsonl"
        self._index.write_text("")
        self._count = 0

    def add(self, seed: int, asked: Asked) -> None:
        suffix = ".jpg" if asked.data.startswith(b"\xff\xd8") else Path(asked.name).suffix or ".jpg"
        path = self._folder / f"seed-{seed}" / f"{self._count:05}{suffix}"
        path.parent.mkdir(exist_ok=True)
        self._count += 1
        path.write_bytes(asked.data)
        truth = asked.truth
        line = {
            "path": path.relative_to(self._folder).as_posix(),
            "seed": seed,
            "source": asked.name,
            "sku": asked.sku,
            "box": truth and truth.box_xyxy_px,
            "cutout": truth and truth.method,
            "hand": truth and truth.has_hand,
        }
        with self._index.open("a", encoding="utf-8") as index:
            index.write(json.dumps(line, ensure_ascii=False) + "\n")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"{path}: {error}") from error
