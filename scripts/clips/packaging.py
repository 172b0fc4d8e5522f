"""Packages drawn whole: a printed front on a bottle, a can, a box or a bag, lit and seen from a little aside."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from clips.designs import Design, Shape
from clips.printing import print_front
from evaluation.cutout import Cutout

#: Width and height of each kind of package, as drawn.
_SIZE_PX: dict[Shape, tuple[int, int]] = {"bottle": (230, 640), "can": (260, 470), "box": (390, 520), "bag": (400, 540)}
_SUPERSAMPLE = 2
#: A bottle's label begins and ends at these shares of its height.
_LABEL = (0.33, 0.9)


@dataclass(frozen=True)
class View:
    """View of a package: light from the left (-1) to the right (1), its brightness, the print's turn."""

    light_from: float = -0.4
    brightness: float = 1.0
    #: How far a round package is turned about its axis, as a share of its visible print, -0.5 to 0.5.
    turn: float = 0.0


def any_view(rng: np.random.Generator) -> View:
    """A view as one photo differs from the next."""
    return View(float(rng.uniform(-0.9, 0.9)), float(rng.uniform(0.86, 1.08)), float(rng.uniform(-0.1, 0.1)))


def draw_package(design: Design, view: View) -> Cutout:
    """The package, cut out: what a perfect mask would leave of its photo."""
    width, height = _SIZE_PX[design.kind.shape]
    makers = {"bottle": _bottle, "can": _can, "box": _box, "bag": _bag}
    rgb, alpha = makers[design.kind.shape](design, view, width, height)
    rgb = np.clip(rgb * view.brightness, 0, 255)
    return Cutout(np.rint(rgb).astype(np.uint8), alpha.astype(np.float32), "flood")


Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def _bottle(design: Design, view: View, width: int, height: int) -> Layer:
    top, bottom = round(_LABEL[0] * height), round(_LABEL[1] * height)
    drink = np.array(design.paper, np.float32) * 0.55 + 70
    rgb = np.broadcast_to(drink, (height, width, 3)).astype(np.float32)
    label = _rolled(_front(design, (width, bottom - top)), view.turn)
    rgb[top:bottom] = label
    # What is filled in ends below the neck; the cap is the brand's colour.
    rgb[: round(0.16 * height)] = np.array((222, 232, 236), np.float32)
    rgb[: round(0.085 * height)] = np.array(design.ink, np.float32) * 0.8 + 30
    rgb *= _roundness(width, view, gloss=0.55)[None, :, None]
    rgb[top - 2 : top + 2] *= 0.8
    rgb[bottom - 2 : bottom + 2] *= 0.8
    cap, neck = 0.19, 0.15
    outline = [
        (0.5 - cap, 0.0), (0.5 + cap, 0.0), (0.5 + cap, 0.085), (0.5 + neck, 0.09), (0.5 + neck, 0.14),
        (0.8, 0.21), (0.97, 0.27), (1.0, 0.33), (1.0, 0.6), (0.985, 0.63), (1.0, 0.66), (1.0, 0.95),
        (0.96, 0.99), (0.9, 1.0),
    ]  # fmt: skip
    return rgb, _outlined(_mirrored(outline), width, height)


def _can(design: Design, view: View, width: int, height: int) -> Layer:
    rim = round(0.055 * height)
    rgb = np.full((height, width, 3), 205, np.float32)
    rgb[rim : height - rim] = _rolled(_front(design, (width, height - 2 * rim)), view.turn)
    rgb *= _roundness(width, view, gloss=0.4)[None, :, None]
    rgb[rim - 2 : rim + 1] *= 0.7
    outline = [(0.92, 0.0), (0.94, 0.02), (1.0, 0.07), (1.0, 0.93), (0.94, 0.985), (0.9, 1.0)]
    return rgb, _outlined(_mirrored(outline), width, height)


def _box(design: Design, view: View, width: int, height: int) -> Layer:
    """A front and, on the side away from the light, a strip of the side in perspective."""
    side = round(width * 0.13)
    front = _front(design, (width - side, height))
    shade = np.linspace(1.04, 0.96, width - side) if view.light_from < 0 else np.linspace(0.96, 1.04, width - side)
    front *= shade[None, :, None].astype(np.float32)
    edge = cv2.resize(front[:, : max(2, side)], (side, height), interpolation=cv2.INTER_AREA)
    flap = np.asarray(edge, np.float32) * 0.25 + np.array(design.paper, np.float32) * 0.4
    slope = 0.045
    if view.light_from < 0:
        rgb = np.concatenate([front, flap], axis=1)
        outline = [(0, 0), (1 - side / width, 0), (1, slope), (1, 1 - slope), (1 - side / width, 1), (0, 1)]
    else:
        rgb = np.concatenate([flap, front], axis=1)
        outline = [(side / width, 0), (1, 0), (1, 1), (side / width, 1), (0, 1 - slope), (0, slope)]
    return rgb, _outlined(outline, width, height)


def _bag(design: Design, view: View, width: int, height: int) -> Layer:
    """A pillow bag: swollen in the middle, creased towards crimped ends."""
    rgb = _front(design, (width, height))
    y, x = np.mgrid[0 : 1 : complex(height), -1 : 1 : complex(width)].astype(np.float32)
    swell = np.clip(np.sin(np.pi * (y - 0.06) / 0.88), 0, 1) ** 0.5 * np.sqrt(np.clip(1 - 0.92 * x**2, 0, 1))
    rng = np.random.default_rng(design.seed)
    creases = sum(
        float(rng.uniform(0.02, 0.05)) * np.sin(x * float(rng.uniform(8, 26)) + float(rng.uniform(0, 6)))
        for _ in range(4)
    ) * np.exp(-np.minimum(y, 1 - y) * 9)
    glint = 0.28 * np.exp(-(((x - 0.55 * view.light_from) / 0.16) ** 2)) * np.sin(np.pi * y) ** 2
    light = 0.72 + 0.3 * swell + creases + 0.06 * view.light_from * x
    rgb = rgb * light[..., None] + 255 * glint[..., None] * 0.5
    crimp = round(0.055 * height)
    teeth = 0.86 + 0.14 * np.sign(np.sin(np.linspace(0, 2 * np.pi * 26, width)))
    for end in (np.s_[:crimp], np.s_[-crimp:]):
        rgb[end] = (rgb[end] * 0.35 + np.array(design.paper) * 0.5) * teeth[None, :, None]
    outline = [(0.985, 0.0), (0.985, 0.055), (0.955, 0.1), (0.985, 0.3), (1.0, 0.5), (0.985, 0.7), (0.955, 0.9),
               (0.985, 0.945), (0.985, 1.0)]  # fmt: skip
    return rgb.astype(np.float32), _outlined(_mirrored(outline), width, height)


def _front(design: Design, size_px: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(print_front(design, size_px), np.float32)


def _rolled(flat: NDArray[np.float32], turn: float) -> NDArray[np.float32]:
    """Print laid around a cylinder, seen from the front: x of the picture is the sine of the angle."""
    height, width = flat.shape[:2]
    across = np.linspace(-1, 1, width)
    # 1.35 rad to either side are printed: towards the outline the print is squeezed.
    where = (np.arcsin(across * 0.98) / 1.35 * 0.5 + 0.5 + turn) * (width - 1)
    columns = np.broadcast_to(where.astype(np.float32), (height, width))
    rows = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width))
    rolled = cv2.remap(
        flat, np.ascontiguousarray(columns), np.ascontiguousarray(rows), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(rolled, np.float32)


def _roundness(width: int, view: View, *, gloss: float) -> NDArray[np.float32]:
    """Brightness across a cylinder: dark towards both outlines, and a bright line where the light falls."""
    across = np.linspace(-1, 1, width)
    body = 0.48 + 0.55 * np.sqrt(np.clip(1 - 0.94 * across**2, 0, 1)) + 0.12 * view.light_from * across
    glint = gloss * np.exp(-(((across - 0.62 * view.light_from) / 0.07) ** 2))
    return np.asarray(body + glint, np.float32)


def _mirrored(right: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A closed outline from its right half, given from top to bottom."""
    return [*right, *((1 - x, y) for x, y in reversed(right))]


def _outlined(outline: list[tuple[float, float]], width: int, height: int) -> NDArray[np.float32]:
    """The mask of an outline given in shares of width and height, with smooth edges."""
    large = Image.new("L", (width * _SUPERSAMPLE, height * _SUPERSAMPLE), 0)
    points = [(x * (large.width - 1), y * (large.height - 1)) for x, y in outline]
    ImageDraw.Draw(large).polygon(points, fill=255)
    mask = np.asarray(large.resize((width, height), Image.Resampling.BOX), np.float32)
    return mask / np.float32(255)
