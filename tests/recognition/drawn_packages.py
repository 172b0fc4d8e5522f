"""Packages drawn with print on them, frames that show them, and a network and a reader that stand in for the real."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from recognition.catalog.build import build_snapshot, index_arrays
from recognition.catalog.embedding import PhotoEmbedder
from recognition.catalog.loaded import LoadedCatalog, open_catalog
from recognition.classify.labels import LabelSet
from recognition.find.fusion import Weights
from recognition.product import CatalogProduct
from recognition.snapshot.catalog_folder import Catalog
from recognition.snapshot.write import write_snapshot
from recognition.text.ocr import ReadLine
from tests import stand_ins

#: As a fit on real photos gives them, fixed here so that a new fit changes no test.
WEIGHTS = Weights(
    salience=20.0,
    keypoints=2.1,
    keypoints_present=4.2,
    keypoint_colours=0.5,
    keypoint_pattern=0.5,
    read_less=2.0,
    read_foreign=0.0,
    read_name_share=2.7,
    read_only_name=7.4,
    read_only_name_share=5.0,
    label=2.0,
    none=4.0,
)
_STRIDE_PX = 32
_BINS = 4
INFO = msgspec.structs.replace(stand_ins.INFO, feature_channels=_BINS**3)


class PackageRuntime(stand_ins.ColourRuntime):
    """Sees colours: the feature map of a picture counts, in each cell, the pixels of every colour.

    It fails on a picture that shows a broad patch of ``fails_on``.
    """

    fails_on = (255, 0, 255)

    def __init__(self) -> None:
        super().__init__()
        self.feature_batches: list[int] = []

    def features(self, images: np.ndarray) -> np.ndarray:
        self.feature_batches.append(len(images))
        if (images == self.fails_on).all(axis=-1).mean() * len(images) > 0.2:
            raise RuntimeError("a frame that nobody foresaw")
        count, height, width, _ = images.shape
        level = images // (256 // _BINS)
        colour = (level[..., 0] * _BINS + level[..., 1]) * _BINS + level[..., 2]
        cells = colour.reshape(count, height // _STRIDE_PX, _STRIDE_PX, width // _STRIDE_PX, _STRIDE_PX)
        planes = [(cells == value).mean(axis=(2, 4)) for value in range(_BINS**3)]
        return np.stack(planes, axis=1).astype(np.float32)


class ScriptedReader:
    """Reads the same ``texts`` everywhere, in the middle of the picture, and counts how often it was asked."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.asked = 0
        self.is_ready = False

    def get_ready(self) -> None:
        self.is_ready = True

    def read(self, rgb: np.ndarray, *, side_px: int = 640) -> list[ReadLine]:
        self.asked += 1
        height, width = rgb.shape[:2]
        box = (width * 0.4, height * 0.45, width * 0.6, height * 0.55)
        return [ReadLine(text, 0.98, box) for text in self.texts]


def package(seed: int, colour: tuple[int, int, int], *, size: tuple[int, int] = (240, 330)) -> Image.Image:
    """A carton of that colour, with shapes and words on it that no other seed has."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(image)
    for _ in range(45):
        x, y = random.integers(8, size[0] - 40), random.integers(8, size[1] - 40)
        word = "".join(random.choice(list("ABCDEFGHKMNPRSTUXZ23456789&%"), 3))
        ink = (20, 20, 20) if random.random() < 0.5 else (245, 245, 245)
        if random.random() < 0.7:
            draw.text((x, y), word, fill=ink, font=ImageFont.load_default(int(random.integers(12, 40))))
        else:
            side = int(random.integers(6, 24))
            draw.polygon([(x, y), (x + side, y + side // 3), (x + side // 2, y + side)], fill=ink)
    return image


def frame(size: tuple[int, int] = (600, 800), *, seed: int = 0) -> Image.Image:
    """A room without a product: soft grey shadows."""
    random = np.random.default_rng(seed)
    coarse = random.integers(110, 150, (5, 4)).astype(np.float32)
    soft = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    return Image.fromarray(np.repeat(soft[..., None], 3, axis=2).astype(np.uint8))


def shown_in(
    room: Image.Image, product: Image.Image, *, at: tuple[int, int], scale: float, turned_deg: float
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """``room`` with ``product`` around the point ``at``, and the box around it."""
    size = (round(product.width * scale), round(product.height * scale))
    held = product.convert("RGBA").resize(size, Image.Resampling.BICUBIC)
    held = held.rotate(turned_deg, Image.Resampling.BICUBIC, expand=True)
    corner = (at[0] - held.width // 2, at[1] - held.height // 2)
    picture = room.copy()
    picture.paste(held, corner, held)
    left, top, right, bottom = held.getchannel("A").getbbox() or (0, 0, 0, 0)
    return picture, (corner[0] + left, corner[1] + top, corner[0] + right, corner[1] + bottom)


def build(
    folder: Path, products: Sequence[CatalogProduct], photos: dict[str, Image.Image], runtime: PackageRuntime
) -> LoadedCatalog:
    """The catalog of ``products``, whose photos are ``photos`` by their paths."""
    for name, photo in photos.items():
        photo.save(folder / name)
    embedder = PhotoEmbedder(INFO, runtime, ScriptedReader())
    contents, report = build_snapshot(
        Catalog(tuple(products)), embedder, folder=folder, extra=lambda made: index_arrays(made, None)
    )
    assert report.bad == ()
    write_snapshot(folder / "catalog.snapshot", contents)
    return open_catalog(
        folder / "catalog.snapshot",
        fingerprint=embedder.fingerprint,
        labels=LabelSet(tuple(stand_ins.COLOURS)),
        allowed_hosts=["shop.example.com"],
    )
