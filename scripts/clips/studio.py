"""A drawn live room: wall, shelf and lamp, a table, and a host who sways and talks."""

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from clips.cuts import Cut, cut_at, framed
from clips.designs import RgbColour
from clips.hands import Dress
from clips.sprites import Pose, Rgb, Sprite, make_sprite, paint

_SUPERSAMPLE = 2
#: Where the table begins, as a share of the height.
TABLE_TOP = 0.74
#: Side of the square that the host is drawn in.
_HOST_PX = 720


class Studio:
    """The background at any time. With ``host`` False the room is empty; ``paused_s`` stops it at that time."""

    def __init__(
        self,
        size_px: tuple[int, int],
        cuts: Sequence[Cut],
        *,
        dress: Dress,
        rng: np.random.Generator,
        host: bool = True,
        paused_s: float | None = None,
    ) -> None:
        self._cuts, self._size, self._paused_s = cuts, size_px, paused_s
        self._room = _draw_room(size_px, rng)
        self._table_row = round(TABLE_TOP * size_px[1])
        hair = _shade(rng, 0.08, 0.25)
        self._host = [_draw_host(dress.skin, dress.sleeve, hair, mouth) for mouth in (0.15, 1.0)] if host else []
        self._phases = rng.uniform(0, 2 * np.pi, 3)

    def frame(self, t_s: float) -> Rgb:
        cut = cut_at(self._cuts, t_s)
        scene = self._room.copy()
        if self._host:
            self._add_host(scene, t_s if self._paused_s is None else self._paused_s)
        return framed(scene, cut, self._size)

    def _add_host(self, scene: Rgb, t_s: float) -> None:
        width, height = self._size
        side = min(0.62 * height, 1.05 * width)
        first, second, third = self._phases
        pose = Pose(
            width * (0.5 + 0.022 * float(np.sin(0.9 * t_s + first))),
            self._table_row - 0.4 * side + 0.006 * height * float(np.sin(2.1 * t_s + second)),
            side,
            2.2 * float(np.sin(0.7 * t_s + third)),
        )
        # Speech: the mouth opens and closes unevenly, with breaks.
        talking = np.sin(11 * t_s + first) + np.sin(7.3 * t_s) > 0.2 and np.sin(0.8 * t_s + second) > -0.6
        paint(scene, self._host[int(talking)], pose)
        scene[self._table_row :] = self._room[self._table_row :]


def _draw_room(size_px: tuple[int, int], rng: np.random.Generator) -> Rgb:
    width, height = size_px
    wall, table = _shade(rng, 0.72, 0.92, 0.22), _shade(rng, 0.5, 0.8, 0.3)
    image = _glow(size_px, wall, (float(rng.uniform(0.3, 0.7)), 0.2))
    draw = ImageDraw.Draw(image)
    for row in (0.14, 0.27):
        _shelf(draw, size_px, row * height, rng)
    _lamp(draw, size_px, rng)
    # Behind the host the room is out of focus.
    blurred = cv2.GaussianBlur(np.asarray(image), (0, 0), max(1.0, width * 0.004))
    image = Image.fromarray(np.asarray(blurred, np.uint8))
    top = round(TABLE_TOP * height)
    surface = _glow((width, height - top), table, (0.5, 0.0))
    image.paste(surface, (0, top))
    ImageDraw.Draw(image).line((0, top, width, top), fill=_scaled(table, 0.7), width=max(2, height // 260))
    return np.array(image, np.uint8)


def _glow(size_px: tuple[int, int], colour: RgbColour, middle: tuple[float, float]) -> Image.Image:
    """The colour, brighter about ``middle`` (shares of the size)."""
    width, height = size_px
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    away = np.hypot(x / width - middle[0], (y - middle[1] * height) / width)
    light = 1.1 - 0.32 * np.clip(away, 0, 1.2)
    return Image.fromarray(np.clip(np.array(colour) * light[..., None], 0, 255).astype(np.uint8))


def _shelf(draw: ImageDraw.ImageDraw, size_px: tuple[int, int], y: float, rng: np.random.Generator) -> None:
    """A board with books, pots and plants: nothing that could be a product."""
    width, height = size_px
    draw.rectangle((0, y, width, y + height * 0.008), fill=(140, 112, 88))
    x = width * 0.02
    while x < width * 0.96:
        kind, tall = int(rng.integers(4)), height * float(rng.uniform(0.035, 0.085))
        wide = width * float(rng.uniform(0.03, 0.07))
        colour = _shade(rng, 0.45, 0.9, 0.45)
        if kind == 0:
            draw.ellipse((x, y - wide * 1.2, x + wide, y), fill=colour)
        elif kind == 1:
            draw.polygon(
                (x, y - tall * 0.5, x + wide, y - tall * 0.5, x + wide * 0.8, y, x + wide * 0.2, y), fill=colour
            )
            for lean in (-0.5, -0.1, 0.3, 0.7):
                draw.line((x + wide / 2, y - tall * 0.5, x + wide * (0.5 + lean), y - tall), (84, 130, 84), 5)
        elif kind == 2:
            draw.rectangle((x, y - tall, x + wide * 0.4, y), fill=colour)
            draw.rectangle((x + wide * 0.42, y - tall * 0.9, x + wide * 0.75, y), fill=_shade(rng, 0.4, 0.9, 0.5))
        x += wide + width * float(rng.uniform(0.01, 0.06))


def _lamp(draw: ImageDraw.ImageDraw, size_px: tuple[int, int], rng: np.random.Generator) -> None:
    """A ring light at one side."""
    width, height = size_px
    x, y, radius = width * float(rng.choice([0.12, 0.88])), height * 0.4, width * 0.1
    draw.line((x, y + radius, x, height), fill=(70, 70, 74), width=max(3, width // 90))
    box = (x - radius, y - radius, x + radius, y + radius)
    draw.ellipse(box, outline=(255, 252, 240), width=max(4, width // 45))


def _draw_host(skin: RgbColour, shirt: RgbColour, hair: RgbColour, mouth: float) -> Sprite:
    """Head and shoulders down to the table; ``mouth`` is how far it is open, 0 to 1."""
    side = _HOST_PX * _SUPERSAMPLE
    image = Image.new("RGBA", (side, side), (*shirt, 0))
    draw = ImageDraw.Draw(image)

    def ellipse(x: float, y: float, across: float, down: float, colour: RgbColour) -> None:
        draw.ellipse(((x - across) * side, (y - down) * side, (x + across) * side, (y + down) * side), (*colour, 255))

    shade, dark = _scaled(skin, 0.86), _scaled(hair, 0.75)
    ellipse(0.5, 0.3, 0.2, 0.24, hair)
    draw.rounded_rectangle((0.31 * side, 0.3 * side, 0.69 * side, 0.6 * side), 0.1 * side, (*hair, 255))
    draw.rounded_rectangle((0.14 * side, 0.57 * side, 0.86 * side, 1.3 * side), 0.17 * side, (*shirt, 255))
    for x in (0.27, 0.73):
        draw.line((x * side, 0.76 * side, x * side, side), (*_scaled(shirt, 0.82), 255), 6 * _SUPERSAMPLE)
    draw.polygon([(x * side, y * side) for x, y in ((0.4, 0.57), (0.6, 0.57), (0.5, 0.7))], (*skin, 255))
    draw.rounded_rectangle((0.435 * side, 0.45 * side, 0.565 * side, 0.62 * side), 0.06 * side, (*shade, 255))
    ellipse(0.5, 0.33, 0.145, 0.185, skin)
    draw.chord((0.35 * side, 0.1 * side, 0.65 * side, 0.36 * side), 180, 360, (*hair, 255))
    for x in (0.44, 0.56):
        ellipse(x, 0.325, 0.026, 0.017, (250, 250, 250))
        ellipse(x, 0.325, 0.014, 0.016, (52, 36, 30))
        draw.arc(((x - 0.036) * side, 0.27 * side, (x + 0.036) * side, 0.32 * side), 200, 340, (*dark, 255), 8)
        ellipse(x + (0.035 if x > 0.5 else -0.035), 0.385, 0.026, 0.016, _mixed(skin, (240, 120, 120), 0.3))
    draw.line((0.5 * side, 0.34 * side, 0.492 * side, 0.385 * side), (*shade, 255), 5 * _SUPERSAMPLE)
    ellipse(0.5, 0.44, 0.045, 0.009 + 0.018 * mouth, (186, 72, 76))
    if mouth > 0.5:
        ellipse(0.5, 0.432, 0.03, 0.007, (250, 246, 242))
    pixels = np.asarray(image.resize((_HOST_PX, _HOST_PX), Image.Resampling.BOX))
    return make_sprite(np.ascontiguousarray(pixels[..., :3]), np.asarray(pixels[..., 3], np.float32) / np.float32(255))


def _shade(rng: np.random.Generator, least: float, most: float, saturation: float = 0.4) -> RgbColour:
    red, green, blue = colorsys.hsv_to_rgb(float(rng.random()), saturation, float(rng.uniform(least, most)))
    return round(255 * red), round(255 * green), round(255 * blue)


def _scaled(colour: RgbColour, factor: float) -> RgbColour:
    return _mixed(colour, (0, 0, 0), 1 - factor)


def _mixed(first: RgbColour, second: RgbColour, share: float) -> RgbColour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
