"""Invented packaged products: brand, kind, flavour, weight, colours. No real brand is meant."""

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np

from clips.errors import ClipError
from evaluation.compose import seed_for
from evaluation.dataset import sku_of

Shape = Literal["bottle", "can", "box", "bag"]
Fruit = Literal["round", "citrus", "berries", "leaf", "wave", "grain"]
Layout = Literal["column", "centred", "banded"]
RgbColour = tuple[int, int, int]

_LAYOUTS: tuple[Layout, ...] = ("column", "centred", "banded")


@dataclass(frozen=True)
class Flavour:
    """A flavour's name, the hue that packages of it have (degrees, 0 to 360), and what is drawn for it."""

    name: str
    hue_deg: float
    fruit: Fruit

    @property
    def taste(self) -> str:
        """As it stands on a package."""
        return self.name if self.name.endswith("味") else f"{self.name}味"


@dataclass(frozen=True)
class Kind:
    """A kind of product: what it is called, how it is packed, what it weighs, in which flavours it comes."""

    name: str
    shape: Shape
    net: tuple[str, ...]
    slogan: str
    flavours: tuple[str, ...]


@dataclass(frozen=True)
class Design:
    """One product's looks. ``seed`` decides what the fields leave open; variants of a brand's kind share it."""

    sku: str
    name: str
    brand: str
    kind: Kind
    flavour: Flavour
    net: str
    layout: Layout
    ink: RgbColour
    paper: RgbColour
    seed: int


_FLAVOURS = {
    flavour.name: flavour
    for flavour in (
        Flavour("白桃", 348, "round"),
        Flavour("青柠", 95, "citrus"),
        Flavour("葡萄", 280, "berries"),
        Flavour("柠檬", 52, "citrus"),
        Flavour("草莓", 356, "berries"),
        Flavour("蓝莓", 232, "berries"),
        Flavour("海盐", 200, "wave"),
        Flavour("抹茶", 120, "leaf"),
        Flavour("香橙", 28, "citrus"),
        Flavour("黑芝麻", 265, "grain"),
        Flavour("番茄", 8, "round"),
        Flavour("香辣", 14, "leaf"),
        Flavour("原味", 40, "grain"),
        Flavour("茉莉", 150, "leaf"),
    )
}

_KINDS = (
    Kind("气泡水", "can", ("330ml", "310ml"), "0糖0脂 清爽一刻", ("白桃", "青柠", "葡萄", "海盐")),
    Kind("乌龙茶饮料", "bottle", ("500ml", "450ml"), "原叶萃取 回甘悠长", ("白桃", "茉莉", "柠檬", "葡萄")),
    Kind("曲奇饼干", "box", ("180克", "240克"), "黄油香浓 手工烘焙", ("原味", "抹茶", "蓝莓", "草莓")),
    Kind("薯片", "bag", ("75克", "104克"), "薄切脆爽 越嚼越香", ("番茄", "海盐", "香辣", "青柠")),
    Kind("燕麦奶", "box", ("1升", "250毫升"), "谷物醇香 植物营养", ("原味", "黑芝麻", "抹茶", "香橙")),
    Kind("果汁", "bottle", ("300ml", "420ml"), "冷压鲜榨 看得见果肉", ("香橙", "葡萄", "草莓", "番茄")),
    Kind("每日坚果", "bag", ("250克", "175克"), "七种好料 一天一袋", ("原味", "蓝莓", "海盐", "黑芝麻")),
    Kind("冷萃咖啡", "can", ("240ml", "270ml"), "低温慢萃 丝滑不苦", ("原味", "海盐", "香橙", "白桃")),
)

#: Two syllables each, chosen to mean nothing and to be no brand.
_FIRST = "澜芃鹿霁沐桐砚朵栗岚杳棠苡汀榆翎"
#: Of the 14,400 names that there are.
_MOST = 2000
_SECOND = "禾穗町谣麦屿溪野集刻坞拾木舍盏枝"


def design_products(count: int, seed: int) -> list[Design]:
    """``count`` products, the same for the same arguments, the first of them the same for any count.

    Of each brand's kind two to four flavours follow each other: the same package in other colours.

    Raises:
        ClipError: more products are asked for than names are certain to be found for.
    """
    if count > _MOST:
        raise ClipError(f"{count} drawn products: at most {_MOST} can be told apart by name; take fewer")
    designs: dict[str, Design] = {}
    family = 0
    while len(designs) < count:
        for design in _family(seed, family):
            designs.setdefault(design.sku, design)
        family += 1
    return list(designs.values())[:count]


def _family(seed: int, family: int) -> list[Design]:
    own = seed_for(seed, "family", str(family))
    rng = np.random.default_rng(own)
    # Brands differ within a catalog: neighbouring families take other first syllables.
    brand = _FIRST[(family + seed) % len(_FIRST)] + _SECOND[int(rng.integers(len(_SECOND)))]
    # Every kind comes up once before any comes up again.
    order = np.random.default_rng(seed_for(seed, "kinds", str(family // len(_KINDS)))).permutation(len(_KINDS))
    kind = _KINDS[int(order[family % len(_KINDS)])]
    net = str(rng.choice(kind.net))
    layout = _LAYOUTS[int(rng.integers(len(_LAYOUTS)))]
    dark = bool(rng.random() < 0.35)
    flavours = rng.permutation(len(kind.flavours))[: int(rng.integers(2, 5))]
    return [
        _design(brand, kind, _FLAVOURS[kind.flavours[int(place)]], net, layout=layout, dark=dark, seed=own)
        for place in flavours
    ]


def _design(brand: str, kind: Kind, flavour: Flavour, net: str, *, layout: Layout, dark: bool, seed: int) -> Design:
    name = f"{brand} {flavour.taste}{kind.name} {net}"
    hue = flavour.hue_deg / 360
    paper = _rgb(hue, 0.72, 0.42) if dark else _rgb(hue, 0.58, 0.93)
    ink = (250, 247, 240) if dark else _rgb(hue, 0.85, 0.24)
    return Design(sku_of(name), name, brand, kind, flavour, net, layout, ink, paper, seed)


def _rgb(hue: float, saturation: float, value: float) -> RgbColour:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue
