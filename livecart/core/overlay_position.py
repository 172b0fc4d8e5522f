"""Position of the overlay's card in the picture: for the page that draws it, and for rooms that mask it."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from livecart.core.types import ShareBox

OverlayPosition = Literal["upper-left", "upper-right", "middle-left", "middle-right", "lower-left", "lower-right"]
#: An overlay's place by its name, or x, y, width, height as shares of the picture.
Region: TypeAlias = OverlayPosition | tuple[float, float, float, float]

#: x1, y1, x2, y2 that phones and platforms leave free, as percentages: upright what YouTube, Meta and TikTok have in
#: common (of 1080 x 1920 it is 120 to 888 and 288 to 1248), lying down what television calls title-safe.
_SAFE = {"portrait": (11.111, 15.0, 82.222, 65.0), "landscape": (5.0, 5.0, 95.0, 95.0)}
#: Width and height of the largest card in percent of the shorter side: 560 x 288 of 1080.
_CARD = (51.852, 26.667)
#: Of the free height, from which a card begins.
_DOWN = {"upper": 0.0, "middle": 0.5, "lower": 1.0}


def overlay_css(position: OverlayPosition) -> str:
    """Style rules that put `live-cart` there, in a window of the picture's size."""
    along, down = _along(position)
    align = "start" if down == 0 else "center" if down < 1 else "end"
    size = f"width:{_CARD[0]}vmin;height:{_CARD[1]}vmin"
    rules = [f"live-cart{{position:fixed;{size};--live-cart-align:{align}}}"]
    for orientation, (x1, y1, x2, y2) in _SAFE.items():
        left = f"calc({x1 + along * (x2 - x1):.3f}vw - {along * _CARD[0]:.3f}vmin)"
        top = f"calc({y1 + down * (y2 - y1):.3f}vh - {down * _CARD[1]:.3f}vmin)"
        rules.append(f"@media (orientation:{orientation}){{live-cart{{left:{left};top:{top}}}}}")
    return "".join(rules)


def share_box(region: Region, width_px: int, height_px: int) -> ShareBox:
    """The region in a picture of that size."""
    if not isinstance(region, str):
        x, y, width, height = region
        return x, y, x + width, y + height
    x1, y1, x2, y2 = _SAFE["portrait" if height_px >= width_px else "landscape"]
    along, down = _along(region)
    shorter_px = min(width_px, height_px)
    width, height = _CARD[0] * shorter_px / width_px, _CARD[1] * shorter_px / height_px
    left, top = x1 + along * (x2 - x1 - width), y1 + down * (y2 - y1 - height)
    return left / 100, top / 100, (left + width) / 100, (top + height) / 100


def unusable_region(regions: Sequence[Region]) -> Region | None:
    """The first one that is no rectangle inside the picture."""
    for region in regions:
        if isinstance(region, str):
            continue
        x, y, width, height = region
        # Not so strict that 0.7 + 0.3 were too much; NaN is inside nothing.
        if not (x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= 1.000001 and y + height <= 1.000001):
            return region
    return None


def _along(position: OverlayPosition) -> tuple[float, float]:
    height, side = position.split("-")
    return float(side == "right"), _DOWN[height]
