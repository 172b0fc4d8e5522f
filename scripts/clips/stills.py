"""Scenes in which nothing moves: a table of products, and slides."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from clips.fonts import font
from clips.products import ClipProduct
from clips.sprites import Pose, Rgb, Sprite, make_sprite, paint
from clips.studio import TABLE_TOP

#: Height of what stands on the table, as a share of the frame's.
_STANDING = (0.15, 0.19)
_SLIDE_S = 12.0
_TOPICS = (
    ("今日直播安排", ("上半场：零食饮料专场", "下半场：早餐冲调专场", "整点抽奖，关注不迷路")),
    ("下单须知", ("点击右下角小黄车", "现货 48 小时内发出", "支持七天无理由退换")),
    ("优惠规则", ("满 99 减 20，可叠加店铺券", "前 100 名下单赠小样", "会员积分双倍")),
    ("关于我们", ("产地直采，批批检测", "全程冷链，新鲜到家", "客服在线 9:00–23:00")),
)


@dataclass(frozen=True)
class StillPicture:
    """The same background at any time."""

    picture: Rgb

    def frame(self, _t_s: float) -> Rgb:
        return self.picture.copy()


@dataclass(frozen=True)
class Slides:
    """One slide after the other, each for ``each_s``, and then from the first again."""

    pictures: Sequence[Rgb]
    each_s: float = _SLIDE_S

    def frame(self, t_s: float) -> Rgb:
        """A copy of the slide that is shown at a time."""
        return self.pictures[int(t_s / self.each_s) % len(self.pictures)].copy()


@dataclass(frozen=True)
class Standing:
    """A product that stands on the table for the whole clip."""

    product: ClipProduct
    sprite: Sprite
    pose: Pose


def set_table(
    room: Rgb, products: Sequence[ClipProduct], rng: np.random.Generator
) -> tuple[StillPicture, list[Standing]]:
    """The room with products side by side on its table, clear of where shows come in at the picture's edges."""
    picture = room.copy()
    height, width = room.shape[:2]
    standing: list[Standing] = []
    for place, product in enumerate(products):
        sprite = make_sprite(product.cutout.rgb, product.cutout.alpha)
        share = 1 / max(1, len(products))
        tall = min(float(rng.uniform(*_STANDING)) * height, 0.8 * share * width / sprite.aspect)
        foot = (TABLE_TOP + float(rng.uniform(0.07, 0.13))) * height
        pose = Pose((place + 0.5) * share * width, foot - 0.5 * tall, tall, 0.0, float(rng.uniform(-10, 10)))
        _shadow(picture, (round(pose.x_px), round(foot)), round(0.55 * sprite.aspect * tall))
        paint(picture, sprite, pose)
        standing.append(Standing(product, sprite, pose))
    return StillPicture(picture), standing


def draw_slides(size_px: tuple[int, int]) -> Slides:
    """Slides of a live room: a title and lines of text."""
    return Slides([_draw_slide(size_px, place) for place in range(len(_TOPICS))])


def _draw_slide(size_px: tuple[int, int], place: int) -> Rgb:
    width, height = size_px
    title, lines = _TOPICS[place]
    accent = ((214, 60, 60), (36, 110, 190), (220, 130, 20), (40, 140, 90))[place]
    image = Image.new("RGB", size_px, (248, 247, 243))
    draw = ImageDraw.Draw(image)
    unit = min(width, height)
    draw.rectangle((0, 0, width, height * 0.2), fill=accent)
    draw.text((width / 2, height * 0.12), title, (255, 255, 255), font("sans", round(unit * 0.1)), "mm", stroke_width=2)
    for row, line in enumerate(lines):
        y = height * (0.32 + 0.11 * row)
        draw.ellipse((width * 0.09, y - unit * 0.015, width * 0.09 + unit * 0.03, y + unit * 0.015), fill=accent)
        draw.text((width * 0.16, y), line, (50, 50, 54), font("sans", round(unit * 0.055)), "lm")
    for bar in range(5):
        tall = height * (0.06 + 0.035 * ((bar * 3 + place) % 5))
        left = width * (0.14 + 0.15 * bar)
        draw.rectangle((left, height * 0.9 - tall, left + width * 0.1, height * 0.9), fill=accent)
    return np.array(image, np.uint8)


def _shadow(picture: Rgb, foot: tuple[int, int], reach_px: int) -> None:
    dark = np.zeros(picture.shape[:2], np.float32)
    cv2.ellipse(dark, foot, (max(2, reach_px), max(2, reach_px // 4)), 0, 0, 360, 0.5, -1)
    dark = np.asarray(cv2.GaussianBlur(dark, (0, 0), 6), np.float32)
    picture[...] = np.rint(picture * (1 - dark[..., None])).astype(np.uint8)
