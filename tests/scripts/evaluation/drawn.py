"""Pictures that the tests of the evaluation draw, and folders of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

#: A product's name to the colour that it has in every picture.
COLOURS = {"红茶 500ml": (200, 30, 30), "绿茶 500ml": (30, 170, 60), "Blue soda": (40, 60, 210), "黄油": (230, 200, 30)}


def bottle(colour: tuple[int, int, int], *, size: tuple[int, int] = (120, 200), seed: int = 0) -> np.ndarray:
    """A bottle with a striped label on a plain light background, uint8 (h, w, 3)."""
    width, height = size
    picture = np.full((height, width, 3), 235, np.uint8)
    left, right = width // 4, width - width // 4
    cv2.rectangle(picture, (left, height // 4), (right, height - height // 10), colour, -1)
    cv2.rectangle(picture, (width * 2 // 5, height // 12), (width * 3 // 5, height // 4), colour, -1)
    for offset in range(0, 30, 6):
        y = height // 2 + offset + seed % 3
        cv2.line(picture, (left + 4, y), (right - 4, y), (20, 20, 20), 2)
    noise = np.random.default_rng(seed).integers(-3, 4, picture.shape)
    return np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)


def scenery(seed: int, *, size: tuple[int, int] = (200, 150)) -> np.ndarray:
    """Coloured noise in patches: nothing that could be a product."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))


def write_dataset(folder: Path, photos: Mapping[str, int]) -> Path:
    """A dataset of that many photos of each product of ``COLOURS``."""
    lines = []
    for place, (name, count) in enumerate(photos.items()):
        (folder / str(place)).mkdir(parents=True)
        for number in range(count):
            path = f"{place}/{number}.png"
            Image.fromarray(bottle(COLOURS[name], seed=number)).save(folder / path)
            lines.append(f"{path}\t{name}")
    (folder / "labels.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_scenery(folder: Path, seeds: Sequence[int]) -> Path:
    folder.mkdir(parents=True)
    for seed in seeds:
        Image.fromarray(scenery(seed)).save(folder / f"{seed}.png")
    return folder
