"""Rows and items that are one product: of a table or feed, those of one group, put together at its end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from contract.catalog import Variant
from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.schemas.product import MOST_IMAGES, ProductPatch

T = TypeVar("T")
#: Kept until the file's end, since the rows of a group may stand anywhere: some 180 MiB.
MOST_GROUPED = 200_000


def as_variant(patch: ProductPatch, name: str = "") -> Variant:
    """A row as a variant; of one that is off sale none is left."""
    return Variant(
        sku=patch.sku,
        name=name or _given(patch.name) or patch.sku,
        price=_given(patch.price) if (sale := _given(patch.sale_price)) is None else sale,
        stock=0 if patch.on_sale is False else _given(patch.stock),
        image_url=next(iter(_given(patch.image_urls) or ()), None),
    )


@dataclass(slots=True)
class _Group:
    """`first` is what its first row says of the product; `title` is what all names begin with."""

    first: ProductPatch
    title: str
    variants: dict[str, tuple[Variant, tuple[str, ...]]] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    on_sale: bool | UnsetType = UNSET


class Groups:
    """The products of one file, by group id."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._count = 0

    def add(self, group_id: str, patch: ProductPatch, specs: tuple[str, ...], where: str) -> InvalidValue | None:
        """Keep a row.

        Args:
            group_id: becomes the product's sku.
            patch: of the row as if it were a product.
            specs: colour, size, ...: those in which the rows of a group differ name the variant.
            where: for the message.

        Raises:
            FeedError: more rows are grouped than are kept.
        """
        self._count += 1
        if self._count > MOST_GROUPED:
            raise FeedError("too_many_grouped", where=where, most=MOST_GROUPED)
        name = _given(patch.name) or ""
        group = self._groups.setdefault(group_id, _Group(patch, name))
        fault: InvalidValue | None = None
        if patch.sku in group.variants:
            fault = InvalidValue("sku", "sku_twice", where=where, sku=patch.sku)
        currency, others = _given(patch.currency), _given(group.first.currency)
        if currency and others and currency != others:
            fault = InvalidValue("currency", "group_currency_differs", where=where, written=currency, given=others)
        if fault:
            fault.sku = group_id
            return fault
        if currency:
            group.first = msgspec.structs.replace(group.first, currency=currency)
        variant = as_variant(patch)
        group.variants[patch.sku] = variant, specs
        group.title = _common_title(group.title, name) if name else group.title
        if variant.image_url and len(group.images) < MOST_IMAGES:
            group.images.append(variant.image_url)
        if patch.on_sale is not UNSET:
            group.on_sale = patch.on_sale or group.on_sale is True
        return None

    def products(self) -> Iterator[ProductPatch]:
        """In the order in which they began."""
        for group_id, group in self._groups.items():
            yield _product(group_id, group)


def _product(group_id: str, group: _Group) -> ProductPatch:
    listed = [specs for _, specs in group.variants.values()]
    is_alike = len({len(specs) for specs in listed}) == 1
    named = [index for index, told in enumerate(zip(*listed, strict=False)) if is_alike and len(set(told)) > 1]
    variants = []
    for variant, specs in group.variants.values():
        told = [specs[index] for index in named] if named else specs
        name = " ".join(filter(None, told))
        variants.append(msgspec.structs.replace(variant, name=name) if name else variant)
    first = group.first
    images = first.image_urls
    if images is not UNSET:
        # Each form is recognised by a picture of its own.
        images = tuple(dict.fromkeys([*group.images, *images]))[:MOST_IMAGES]
    return msgspec.structs.replace(
        first,
        sku=group_id,
        name=group.title or first.name,
        price=None,
        sale_price=UNSET,
        sale_to_s=UNSET,
        stock=None,
        on_sale=group.on_sale,
        image_urls=images,
        variants=tuple(variants),
    )


def _common_title(one: str, other: str) -> str:
    """What both begin with, up to the end of a word: 连衣裙 of 连衣裙 红色 and 连衣裙 红白."""
    title = "".join(a for a, b in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    rests = (one[len(title) :], other[len(title) :])
    if title and title[-1].isalnum() and any(rest[:1].isalnum() for rest in rests):
        cut = max((index for index, each in enumerate(title) if not each.isalnum()), default=None)
        if cut is not None:
            title = title[:cut]
        elif title.isascii():
            title = ""
    # 红 of 红色连衣裙 and 红白连衣裙 is no name.
    return "" if 3 * len(title) < len(other) else title.rstrip(" \u3000-–—_,，、/|·:：(（[【")


def _given(value: T | UnsetType) -> T | None:
    return None if isinstance(value, UnsetType) else value
