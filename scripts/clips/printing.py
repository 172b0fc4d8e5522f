"""Print of a package's front: brand, name, flavour, weight, fruit. Flat; packaging.py gives it a shape."""

import numpy as np
from PIL import Image, ImageDraw

from clips.designs import Design, RgbColour
from clips.fonts import Face, font
from clips.fruits import around, draw_fruit, from_hue, turned_hue

#: Drawn this much larger and averaged down: smooth edges.
_SUPERSAMPLE = 2
#: Share of the width that text may take: round packages turn the rest away.
_TEXT_WIDTH = 0.78


def print_front(design: Design, size_px: tuple[int, int]) -> Image.Image:
    """The front of ``design``, RGB, width and height as given. Shapes go by the design's seed, alike for variants."""
    size = (size_px[0] * _SUPERSAMPLE, size_px[1] * _SUPERSAMPLE)
    rng = np.random.default_rng(design.seed)
    image = _paper(design, size, rng)
    draw = ImageDraw.Draw(image)
    {"column": _column, "centred": _centred, "banded": _banded}[design.layout](draw, design, size, rng)
    return image.resize(size_px, Image.Resampling.BOX)


def _paper(design: Design, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A gradient from the paper's colour to a neighbouring hue, with stripes, rays or dots on it."""
    width, height = size
    other = np.array(turned_hue(design.paper, float(rng.uniform(-28, 28)), float(rng.uniform(0.75, 1.15))))
    share = np.linspace(0, 1, height)[:, None, None]
    shaded = np.array(design.paper) * (1 - share) + other * share
    image = Image.fromarray(np.broadcast_to(shaded, (height, width, 3)).clip(0, 255).astype(np.uint8))
    marks = Image.new("L", size, 0)
    _pattern(ImageDraw.Draw(marks), size, rng)
    image.paste(Image.new("RGB", size, (255, 255, 255)), mask=marks)
    return image


def _pattern(draw: ImageDraw.ImageDraw, size: tuple[int, int], rng: np.random.Generator) -> None:
    width, height = size
    which, step = int(rng.integers(3)), int(width * rng.uniform(0.1, 0.2))
    if which == 0:
        for start in range(-height, width, 2 * step):
            draw.line((start, height, start + height, 0), fill=34, width=step)
    elif which == 1:
        middle = (width / 2, height * 0.4)
        for turn in range(0, 360, 24):
            draw.pieslice(around(middle, height), turn, turn + 12, fill=38)
    else:
        for row, y in enumerate(range(0, height, step)):
            for x in range((row % 2) * step // 2, width, step):
                draw.ellipse(around((x, y), step * 0.2), fill=46)


def _column(draw: ImageDraw.ImageDraw, design: Design, size: tuple[int, int], rng: np.random.Generator) -> None:
    """The name in big characters from top to bottom, the flavour beside it."""
    width, height = size
    _badge(draw, design, (width * 0.5, height * 0.1), width * 0.62)
    name = design.kind.name
    cell = min(height * 0.58 / len(name), width * 0.34)
    for place, character in enumerate(name):
        _write(
            draw, character, (width * 0.33, height * 0.24 + cell * (place + 0.5)), cell * 0.94, design.ink, bold=0.03
        )
    _fruits(draw, design, (width * 0.68, height * 0.71), width * 0.2, rng)
    cell = min(width * 0.15, height * 0.3 / len(design.flavour.taste))
    for place, character in enumerate(design.flavour.taste):
        _write(draw, character, (width * 0.7, height * 0.25 + cell * (place + 0.5)), cell * 0.9, design.ink, bold=0.02)
    _foot(draw, design, size)


def _centred(draw: ImageDraw.ImageDraw, design: Design, size: tuple[int, int], rng: np.random.Generator) -> None:
    """The name across, large, a fruit in the middle."""
    width, height = size
    _badge(draw, design, (width * 0.5, height * 0.11), width * 0.5)
    name = design.kind.name
    _write(draw, name, (width * 0.5, height * 0.26), _fitting(name, size, 0.12), design.ink, bold=0.03)
    _write(draw, design.kind.slogan, (width * 0.5, height * 0.36), width * 0.068, design.ink, face="serif")
    _fruits(draw, design, (width * 0.5, height * 0.56), min(width * 0.28, height * 0.15), rng)
    _pill(draw, design.flavour.taste, (width * 0.5, height * 0.78), width * 0.15, design)
    _foot(draw, design, size)


def _banded(draw: ImageDraw.ImageDraw, design: Design, size: tuple[int, int], rng: np.random.Generator) -> None:
    """A light band across the middle with the name on it, fruit above."""
    width, height = size
    _badge(draw, design, (width * 0.5, height * 0.1), width * 0.46)
    _fruits(draw, design, (width * 0.5, height * 0.3), min(width * 0.24, height * 0.13), rng)
    draw.rectangle((0, height * 0.43, width, height * 0.7), fill=(252, 250, 244))
    draw.rectangle((0, height * 0.435, width, height * 0.443), fill=design.paper)
    draw.rectangle((0, height * 0.687, width, height * 0.695), fill=design.paper)
    dark = turned_hue(design.paper, 0, 0.42)
    name = design.kind.name
    _write(draw, name, (width * 0.5, height * 0.52), _fitting(name, size, 0.13), dark, bold=0.03)
    taste = design.flavour.taste
    _write(draw, taste, (width * 0.5, height * 0.64), min(width * 0.13, height * 0.075), dark, face="serif", bold=0.03)
    _write(draw, design.kind.slogan, (width * 0.5, height * 0.77), width * 0.068, design.ink)
    _foot(draw, design, size)


def _badge(draw: ImageDraw.ImageDraw, design: Design, middle: tuple[float, float], width: float) -> None:
    """The brand, in white on the ink's colour or the other way round, the same in all of a brand's variants."""
    light = sum(design.ink) > 380
    x, y = middle
    box = (x - width / 2, y - width * 0.19, x + width / 2, y + width * 0.19)
    draw.rounded_rectangle(box, radius=width * 0.19, fill=design.ink)
    colour = turned_hue(design.paper, 0, 0.5) if light else (255, 255, 255)
    _write(draw, design.brand, middle, width * 0.28, colour, face="serif", bold=0.03)


def _pill(draw: ImageDraw.ImageDraw, text: str, middle: tuple[float, float], size_px: float, design: Design) -> None:
    x, y = middle
    reach = size_px * (len(text) * 0.5 + 0.5)
    box = (x - reach, y - size_px * 0.75, x + reach, y + size_px * 0.75)
    draw.rounded_rectangle(box, radius=size_px * 0.75, fill=(252, 250, 244))
    _write(draw, text, middle, size_px, turned_hue(design.paper, 0, 0.45), bold=0.02)


def _foot(draw: ImageDraw.ImageDraw, design: Design, size: tuple[int, int]) -> None:
    width, height = size
    _write(draw, f"净含量 {design.net}", (width * 0.5, height * 0.89), width * 0.08, design.ink, bold=0.02)
    _write(draw, "图片仅供参考 详见背面", (width * 0.5, height * 0.945), width * 0.045, design.ink)


def _fruits(
    draw: ImageDraw.ImageDraw, design: Design, middle: tuple[float, float], size_px: float, rng: np.random.Generator
) -> None:
    """Two or three of the flavour's fruit, overlapping."""
    flesh = from_hue(design.flavour.hue_deg, 0.78, 0.9)
    spots = [
        (middle[0] + dx * size_px, middle[1] + dy * size_px) for dx, dy in ((-0.62, 0.2), (0.55, 0.35), (0, -0.25))
    ]
    for x, y in spots[int(rng.integers(2)) :]:
        draw_fruit(draw, design.flavour.fruit, (x, y), size_px * 0.72, flesh)


def _fitting(text: str, size: tuple[int, int], most: float) -> float:
    """Size of one line in pixels: as wide as text may be, at most the share ``most`` of the height."""
    return min(size[0] * _TEXT_WIDTH / max(3, len(text)), size[1] * most)


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    middle: tuple[float, float],
    size_px: float,
    colour: RgbColour,
    *,
    face: Face = "sans",
    bold: float = 0.0,
) -> None:
    """Text about ``middle``; ``bold`` is the stroke as a share of the size."""
    stroke = round(size_px * bold)
    draw.text(middle, text, fill=colour, font=font(face, round(size_px)), anchor="mm", stroke_width=stroke)
