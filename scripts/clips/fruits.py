"""Fruit, leaves and waves that are printed on packages for their flavour, and the colours that go with them."""

import colorsys
import math

from PIL import ImageDraw

from clips.designs import Fruit, RgbColour

Point = tuple[float, float]

_WHITE: RgbColour = (255, 255, 255)
_PITH: RgbColour = (253, 248, 220)
_GREEN: RgbColour = (70, 140, 60)


def draw_fruit(draw: ImageDraw.ImageDraw, fruit: Fruit, middle: Point, radius: float, flesh: RgbColour) -> None:
    """One of the fruit about ``middle``, pixels, in the colour ``flesh`` and neighbours of it."""
    drawings = {
        "citrus": _citrus,
        "berries": _berries,
        "round": _round,
        "leaf": _leaves,
        "wave": _waves,
        "grain": _grains,
    }
    drawings[fruit](draw, middle, radius, flesh)


def around(middle: Point, radius: float) -> tuple[float, float, float, float]:
    """The box of a circle: left, top, right, bottom."""
    x, y = middle
    return (x - radius, y - radius, x + radius, y + radius)


def turned_hue(colour: RgbColour, turn_deg: float, brightness: float) -> RgbColour:
    """The colour with its hue turned and its value multiplied, at most to 1."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in colour))
    return from_hue(hue * 360 + turn_deg, saturation, min(1.0, value * brightness))


def from_hue(hue_deg: float, saturation: float, value: float) -> RgbColour:
    """A colour by hue in degrees, saturation and value, both 0 to 1."""
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue_deg % 360 / 360, saturation, value))
    return red, green, blue


def _citrus(draw: ImageDraw.ImageDraw, middle: Point, radius: float, flesh: RgbColour) -> None:
    draw.ellipse(around(middle, radius), fill=turned_hue(flesh, -12, 0.72))
    draw.ellipse(around(middle, radius * 0.9), fill=_PITH)
    for turn in range(0, 360, 45):
        draw.pieslice(around(middle, radius * 0.82), turn + 4, turn + 41, fill=turned_hue(flesh, 8, 1.12))


def _berries(draw: ImageDraw.ImageDraw, middle: Point, radius: float, flesh: RgbColour) -> None:
    for place in range(6):
        turn = place * math.pi / 3
        x, y = middle[0] + radius * 0.5 * math.cos(turn), middle[1] + radius * 0.5 * math.sin(turn)
        draw.ellipse(around((x, y), radius * 0.42), fill=turned_hue(flesh, -12, 0.72) if place % 2 else flesh)
        draw.ellipse(around((x - radius * 0.12, y - radius * 0.14), radius * 0.1), fill=_WHITE)


def _round(draw: ImageDraw.ImageDraw, middle: Point, radius: float, flesh: RgbColour) -> None:
    x, y = middle
    draw.ellipse(around(middle, radius * 0.9), fill=flesh)
    draw.chord(around((x + radius * 0.1, y), radius * 0.78), -80, 100, fill=turned_hue(flesh, 8, 1.12))
    draw.polygon(_leaf((x, y - radius * 0.85), radius * 0.6, 0.5), fill=_GREEN)


def _leaves(draw: ImageDraw.ImageDraw, middle: Point, radius: float, flesh: RgbColour) -> None:
    for lean in (-0.9, 0.9, 0.0):
        colour = turned_hue(flesh, -12, 0.72) if lean else flesh
        draw.polygon(_leaf((middle[0], middle[1] + radius * 0.6), radius * 1.2, lean - math.pi / 2), fill=colour)


def _waves(draw: ImageDraw.ImageDraw, middle: Point, radius: float, flesh: RgbColour) -> None:
    x, y = middle
    for line in range(4):
        points = [
            (x - radius + step * radius / 12, y + radius * (line * 0.35 - 0.5 + 0.12 * math.sin(step * 0.8 + line)))
            for step in range(25)
        ]
        colour = turned_hue(flesh, 8, 1.12) if line % 2 else turned_hue(flesh, -12, 0.72)
        draw.line(points, fill=colour, width=max(2, int(radius * 0.14)), joint="curve")


def _grains(draw: ImageDraw.ImageDraw, middle: Point, radius: float, flesh: RgbColour) -> None:
    for place in range(12):
        x = middle[0] + radius * 0.75 * math.cos(place * 2.4)
        y = middle[1] + radius * (0.06 * place - 0.35)
        box = (x - radius * 0.18, y - radius * 0.1, x + radius * 0.18, y + radius * 0.1)
        draw.ellipse(box, fill=turned_hue(flesh, -12, 0.72))


def _leaf(base: Point, length: float, angle_rad: float) -> list[Point]:
    """A leaf's outline from its stalk at ``base``."""
    points: list[Point] = []
    for step in range(21):
        along = step / 10 if step <= 10 else 2 - step / 10
        across = (0.24 if step <= 10 else -0.24) * math.sin(math.pi * along)
        x = base[0] + length * (along * math.cos(angle_rad) - across * math.sin(angle_rad))
        y = base[1] + length * (along * math.sin(angle_rad) + across * math.cos(angle_rad))
        points.append((x, y))
    return points
