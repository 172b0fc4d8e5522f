"""Overlays of a live room: banner, price stickers, captions, chat bubbles, hearts.

The words name no product, unless they are to: then banner, captions and chat mislead a reader of print.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from clips.fonts import font
from clips.sprites import Pose, Rgb, Sprite, make_sprite, paint
from clips.storyboard import Slot

_CAPTIONS = (
    "家人们看过来", "这个价格真的没有了", "三二一，上链接！", "喜欢的点点关注", "库存不多，拍完就没",
    "今天下单今天发货", "新来的朋友扣个1", "我自己家里也在吃", "倒计时开始", "先领券再下单",
)  # fmt: skip
_CHAT = (
    ("小鱼", "主播这个好吃吗"), ("阿明", "已拍"), ("夏天", "多少钱一份"), ("Leo", "上次买的还没到"),
    ("糖糖", "想看看背面"),
    ("老周", "保质期多久"), ("木木", "可以用券吗"), ("七七", "冲冲冲"), ("大海", "给讲讲成分表"),
    ("Amy", "还有别的口味吗"),
)  # fmt: skip
_BANNERS = ("今日直播专享", "限时福利场", "工厂直发")
#: Words that name a product.
_NAMING = ("{}", "{}多少钱", "主播看看{}", "上次的{}很好喝", "{}还有货吗")
_BUBBLES = 4
_HEART_RISE_S = 2.6


@dataclass(frozen=True)
class Label:
    """A drawn text at a fixed place, from when to when."""

    sprite: Sprite
    pose: Pose
    from_s: float
    to_s: float


@dataclass(frozen=True)
class Heart:
    """A heart that rises from the lower right corner, from ``from_s`` on."""

    sprite: Sprite
    from_s: float
    x: float
    phase_rad: float


@dataclass
class Overlays:
    labels: list[Label]
    hearts: list[Heart] = field(default_factory=list)

    def draw(self, frame: Rgb, t_s: float) -> None:
        """Draw what is there at a time over the frame, in place."""
        height, width = frame.shape[:2]
        for label in self.labels:
            if label.from_s <= t_s < label.to_s:
                paint(frame, label.sprite, label.pose)
        for heart in self.hearts:
            share = (t_s - heart.from_s) / _HEART_RISE_S
            if 0 <= share < 1:
                x = width * (heart.x + 0.025 * np.sin(7 * share + heart.phase_rad))
                pose = Pose(float(x), height * (0.93 - 0.33 * share), 0.03 * height * (0.6 + 0.5 * share))
                paint(frame, heart.sprite, pose)


def plan_overlays(
    size_px: tuple[int, int],
    duration_s: float,
    slots: Sequence[Slot],
    prices: Sequence[str | None],
    *,
    still: bool,
    rng: np.random.Generator,
    names: Sequence[str] = (),
) -> Overlays:
    """A still clip has its banner alone; others have it all, with a price for each show.

    ``prices`` are those of the slots' products, in yuan; where there is None one is invented. Banner, captions and chat
    name the products of these ``names``.
    """
    words = str(rng.choice(_BANNERS))
    banner = _text(names[0] if names else words, _unit(size_px) * 0.045, (255, 255, 255), (20, 20, 24, 130))
    labels = [_label(banner, (0.04, 0.045), size_px, 0.0, duration_s + 1)]
    if still:
        return Overlays(labels)
    labels += _prices(size_px, slots, prices, rng)
    labels += _captions(size_px, duration_s, rng, names)
    labels += _chat(size_px, duration_s, rng, names)
    return Overlays(labels, _hearts(duration_s, rng))


def _prices(
    size_px: tuple[int, int], slots: Sequence[Slot], prices: Sequence[str | None], rng: np.random.Generator
) -> list[Label]:
    labels = []
    for slot, own in zip(slots, prices, strict=True):
        # Drawn in any case: what comes later in the clip is the same with and without prices.
        invented = f"{int(rng.integers(6, 90))}.9"
        price = invented if own is None else own.removesuffix("0")
        sticker = _text(f"到手价 ￥{price}", _unit(size_px) * 0.05, (255, 244, 120), (224, 36, 48, 240))
        # It goes up a little after the product has come in.
        labels.append(_label(sticker, (0.58, 0.13), size_px, slot.start_s + 1.2, slot.stop_s))
    return labels


def _naming(words: str, names: Sequence[str], place: int) -> str:
    """The words, or the ``place``-th that name a product."""
    return _NAMING[place % len(_NAMING)].format(names[place % len(names)]) if names else words


def _captions(
    size_px: tuple[int, int], duration_s: float, rng: np.random.Generator, names: Sequence[str]
) -> list[Label]:
    labels: list[Label] = []
    t_s = float(rng.uniform(0.3, 2))
    while t_s < duration_s:
        length_s = float(rng.uniform(1.8, 3.6))
        words = _naming(str(rng.choice(_CAPTIONS)), names, len(labels))
        caption = _text(words, _unit(size_px) * 0.055, (255, 255, 255), (0, 0, 0, 0), outlined=True)
        left = 0.5 - 0.5 * caption.aspect * caption.unit_px / size_px[0]
        labels.append(_label(caption, (left, 0.955), size_px, t_s, t_s + length_s))
        t_s += length_s + float(rng.uniform(0.2, 1.5))
    return labels


def _chat(size_px: tuple[int, int], duration_s: float, rng: np.random.Generator, names: Sequence[str]) -> list[Label]:
    """Each message comes in below and moves up a row with each that follows."""
    times: list[float] = []
    while not times or times[-1] < duration_s:
        times.append((times[-1] if times else 0.0) + float(rng.uniform(0.7, 2.8)))
    labels = []
    for place in range(len(times)):
        name, words = _CHAT[int(rng.integers(len(_CHAT)))]
        bubble = _text(
            f"{name}：{_naming(words, names, place)}", _unit(size_px) * 0.034, (255, 255, 255), (30, 30, 36, 120)
        )
        for row in range(_BUBBLES):
            shown = [*times, float("inf")][place + row : place + row + 2]
            if len(shown) == 2:
                labels.append(_label(bubble, (0.03, 0.9 - 0.038 * row), size_px, shown[0], shown[1]))
    return labels


def _hearts(duration_s: float, rng: np.random.Generator) -> list[Heart]:
    sprites = [_heart(colour) for colour in ((240, 60, 90), (255, 150, 60), (190, 90, 230))]
    times = np.cumsum(rng.exponential(0.6, int(duration_s * 3) + 5))
    return [
        Heart(
            sprites[int(rng.integers(len(sprites)))],
            float(from_s),
            float(rng.uniform(0.87, 0.94)),
            float(rng.uniform(0, 6)),
        )
        for from_s in times
        if from_s < duration_s
    ]


def _unit(size_px: tuple[int, int]) -> float:
    """The side that sizes of text follow: the frame's shorter one."""
    return float(min(size_px))


def _label(sprite: Sprite, place: tuple[float, float], size_px: tuple[int, int], from_s: float, to_s: float) -> Label:
    """``place`` is the left end and the middle of the height, as shares of the frame's size."""
    x = place[0] * size_px[0] + 0.5 * sprite.aspect * sprite.unit_px
    return Label(sprite, Pose(x, place[1] * size_px[1], sprite.unit_px), from_s, to_s)


def _text(
    text: str,
    size_px: float,
    colour: tuple[int, int, int],
    ground: tuple[int, int, int, int],
    *,
    outlined: bool = False,
) -> Sprite:
    """One line on a rounded ground, or with a dark outline."""
    letters = font("sans", round(size_px))
    width = round(letters.getlength(text) + size_px * 1.1)
    height = round(size_px * 1.6)
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, width - 1, height - 1), height / 3, ground)
    stroke = max(1, round(size_px * (0.08 if outlined else 0.02)))
    dark = (30, 20, 20, 255) if outlined else (*colour, 255)
    draw.text((width / 2, height / 2), text, (*colour, 255), letters, "mm", stroke_width=stroke, stroke_fill=dark)
    return _from_rgba(image)


def _heart(colour: tuple[int, int, int]) -> Sprite:
    image = Image.new("RGBA", (160, 160), (*colour, 0))
    draw = ImageDraw.Draw(image)
    turns = np.linspace(0, 2 * np.pi, 80)
    x = 80 + 4.4 * 16 * np.sin(turns) ** 3
    y = 76 - 4.4 * (13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns))
    draw.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), (*colour, 230))
    return _from_rgba(image.resize((80, 80), Image.Resampling.BOX))


def _from_rgba(image: Image.Image) -> Sprite:
    pixels = np.asarray(image)
    return make_sprite(np.ascontiguousarray(pixels[..., :3]), np.asarray(pixels[..., 3], np.float32) / np.float32(255))
