"""Draws plain products, without print or text: clear bottles, white cups, cartons and tubes of one colour.

Every shop has some. Their photos resemble walls, hands and shirts more than each other's, so that a catalog with them
shows how easily a likeness is believed.
"""

import colorsys
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Rgb = NDArray[np.uint8]

_SIDE_PX = 640


class _Kind(NamedTuple):
    """``outline``: from the top, pairs of (height 0..1, half the width as a share of the height)."""

    name: str
    outline: tuple[tuple[float, float], ...]
    is_clear: bool = False
    is_round: bool = True


_KINDS = (
    _Kind("透明水瓶", ((0, 0.06), (0.1, 0.06), (0.2, 0.13), (0.3, 0.15), (0.97, 0.15), (1, 0.13)), is_clear=True),
    _Kind("白瓷杯", ((0, 0.42), (0.7, 0.38), (0.95, 0.3), (1, 0.26))),
    _Kind("素色纸盒", ((0, 0.3), (1, 0.3)), is_round=False),
    _Kind("软管", ((0, 0.2), (0.8, 0.15), (0.82, 0.09), (1, 0.09))),
    _Kind("素色圆罐", ((0, 0.3), (0.18, 0.3), (0.19, 0.36), (0.95, 0.36), (1, 0.33))),
    _Kind("透明玻璃杯", ((0, 0.32), (1, 0.26)), is_clear=True),
    _Kind("按压瓶", ((0, 0.1), (0.05, 0.1), (0.06, 0.03), (0.2, 0.03), (0.22, 0.2), (0.95, 0.2), (1, 0.18))),
    _Kind("素色肥皂", ((0, 0.66), (0.15, 0.75), (0.85, 0.75), (1, 0.66)), is_round=False),
)


@dataclass(frozen=True)
class PlainProduct:
    """``colour`` is RGB, 0..1; ``slender`` a factor of the kind's width."""

    sku: str
    name: str
    kind: _Kind
    colour: tuple[float, float, float]
    slender: float


def plain_products(count: int, seed: int) -> list[PlainProduct]:
    """Products of all kinds in turn; half of them white, grey or clear, the others of one quiet colour."""
    rng = np.random.default_rng(seed)
    products = []
    for number in range(count):
        kind = _KINDS[number % len(_KINDS)]
        saturation = 0.0 if rng.random() < 0.5 else float(rng.uniform(0.15, 0.6))
        colour = colorsys.hsv_to_rgb(float(rng.random()), saturation, float(rng.uniform(0.75, 0.98)))
        name = f"{kind.name} {number + 1}"
        products.append(PlainProduct(f"PLAIN-{number + 1}", name, kind, colour, float(rng.uniform(0.85, 1.15))))
    return products


def photograph(product: PlainProduct, seed: int) -> Rgb:
    """A photo of it on a table before a wall, uint8 (h, w, 3): another light, angle and ground for each seed."""
    rng = np.random.default_rng(seed)
    height = int(_SIDE_PX * rng.uniform(0.6, 0.85))
    widest = max(half for _, half in product.kind.outline) * product.slender * 2
    height = min(height, int(0.85 * _SIDE_PX / widest))
    ground = _ground(rng)
    rgb, alpha = _drawn(product, height, ground, rng)
    angle = float(rng.normal(0, 4))
    layer = Image.fromarray(np.dstack([rgb, alpha])).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    picture = Image.fromarray(ground)
    left, top = (_SIDE_PX - layer.width) // 2, int((_SIDE_PX - layer.height) * 0.6)
    shadow = Image.new("L", picture.size, 0)
    middle, foot = left + layer.width // 2, top + layer.height
    ImageDraw.Draw(shadow).ellipse(
        (middle - layer.width // 2, foot - 18, middle + layer.width // 2 + 20, foot + 12), fill=90
    )
    picture.paste((60, 60, 60), mask=shadow.filter(ImageFilter.GaussianBlur(10)))
    picture.paste(layer, (left, top), layer)
    noisy = np.asarray(picture).astype(np.float32) + rng.normal(0, 3, (_SIDE_PX, _SIDE_PX, 1))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def add_plain_products(catalog_folder: Path, count: int, *, photos: int, seed: int) -> list[PlainProduct]:
    """Add so many to a catalog folder, with so many ``photos`` each."""
    path = catalog_folder / "catalog.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    products = plain_products(count, seed)
    for number, product in enumerate(products):
        names = [f"photos/{product.sku}-{photo + 1}.jpg" for photo in range(photos)]
        for photo, name in enumerate(names):
            pixels = photograph(product, seed * 10_000 + number * 100 + photo)
            Image.fromarray(pixels).save(catalog_folder / name, quality=90)
        link = f"https://shop.example.com/{product.sku}"
        entry = {"sku": product.sku, "name": product.name, "url": link}
        document["products"].append(entry | ({"photos": names} if names else {}))
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    return products


def _ground(rng: np.random.Generator) -> Rgb:
    """A wall that is lit from one side, and a table from a line on."""
    wall, table = (
        np.array(colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0, 0.25)), float(rng.uniform(*value))))
        for value in ((0.6, 1.0), (0.45, 1.0))
    )
    rows, columns = np.mgrid[0:_SIDE_PX, 0:_SIDE_PX] / _SIDE_PX
    light = 1 + float(rng.uniform(-0.25, 0.25)) * (columns - 0.5) + float(rng.uniform(-0.15, 0.15)) * (rows - 0.5)
    line = float(rng.uniform(0.6, 0.8)) if rng.random() < 0.6 else 2.0
    picture: NDArray[np.float64] = np.where((rows > line)[..., None], table, wall) * light[..., None] * 255
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def _drawn(product: PlainProduct, height: int, ground: Rgb, rng: np.random.Generator) -> tuple[Rgb, NDArray[np.uint8]]:
    """Pixels (h, w, 3) and their opacity (h, w)."""
    outline = product.kind.outline
    t = np.linspace(0, 1, height)
    half = np.interp(t, [at for at, _ in outline], [wide for _, wide in outline]) * height * product.slender
    width = int(2 * half.max()) + 3
    across = (np.arange(width)[None, :] - width / 2) / np.maximum(half[:, None], 1e-6)
    inside = np.clip((1 - np.abs(across)) * half[:, None], 0, 1)
    lit = float(rng.uniform(-0.5, 0.5))
    if product.kind.is_round:
        shade = 0.62 + 0.38 * np.sqrt(np.clip(1 - (across - lit * 0.6) ** 2 / 2.2, 0, 1))
        gloss = np.exp(-(((across - lit) / 0.09) ** 2)) * float(rng.uniform(0.05, 0.35))
    else:
        edge = float(rng.uniform(0.2, 0.7)) * (1 if lit > 0 else -1)
        shade = np.where(across * np.sign(edge) > abs(edge), 0.72, 0.97) * (1 + 0.06 * lit * across)
        gloss = np.zeros_like(across)
    colour = np.array(product.colour)
    rgb = np.clip(colour * shade[..., None] + gloss[..., None], 0, 1)
    if product.kind.is_clear:
        # The ground shows through, darker at the sides where the wall of the vessel is seen along; water has a line.
        behind = ground[:: max(1, _SIDE_PX // height)][:height].mean(axis=1) / 255.0
        behind = np.resize(behind, (height, 3))
        side = np.clip(np.abs(across), 0, 1) ** 6
        rgb = behind[:, None, :] * (0.94 - 0.45 * side[..., None]) * (0.85 + 0.15 * colour) + gloss[..., None]
        level = int(height * rng.uniform(0.25, 0.5))
        rgb[level : level + 3] *= 0.8
        if outline[0][1] < 0.1:
            rgb[: int(0.09 * height)] = colour * 0.5 * shade[: int(0.09 * height), :, None]
    return (np.clip(rgb, 0, 1) * 255).astype(np.uint8), (inside * 255).astype(np.uint8)
