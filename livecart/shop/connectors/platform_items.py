"""Products as platforms have them, and as the catalog keeps them."""

import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from contract.catalog import Variant
from livecart.core.errors import SettingsError
from livecart.shop.errors import InvalidValue
from livecart.shop.import_export.cells import Verbatim
from livecart.shop.import_export.rows import image_urls, read_row
from livecart.shop.schemas.product import LIST_BYTES, MOST_VARIANTS, STOCK_HIGHEST, ProductPatch, check_sku

SkuFrom: TypeAlias = Literal["item_id", "outer_id"]
_SCHEME = re.compile(r"^(?:https?:)?//")

#: Ids of platforms come as numbers or texts, and are texts from here on: some have more digits than a float keeps.
Id = int | str


class ItemSku(msgspec.Struct, frozen=True, omit_defaults=True):
    """A form of a product with a price and a stock of its own. `stock`: unset where the platform does not say it."""

    sku_id: str
    name: str = ""
    outer_id: str = ""
    price: Decimal | None = None
    stock: int | UnsetType | None = UNSET
    image: str = ""
    on_sale: bool = True


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """A product as a platform has it. `url` "": nobody can buy it by a link."""

    item_id: str
    title: str
    url: str
    images: tuple[str, ...]
    currency: str
    on_sale: bool = True
    outer_id: str = ""
    brand: str = ""
    #: Where there are no variants.
    price: Decimal | None = None
    stock: int | UnsetType | None = UNSET
    skus: tuple[ItemSku, ...] = ()


def skus_of(items: dict[str, Item], platform: str, sku_from: SkuFrom) -> dict[str, str]:
    """Skus of products by item id, and of their forms by item and sku id."""
    ids = {item_id: item_id for item_id in items}
    ids |= {_form(item, sku): sku.sku_id for item in items.values() for sku in item.skus}
    if sku_from == "item_id":
        return {key: f"{platform}:{platform_id}" for key, platform_id in ids.items()}
    of_products = {item_id: _outer_id(item) for item_id, item in items.items()}
    of_forms = {_form(item, sku): _as_sku(sku.outer_id) for item in items.values() for sku in item.skus}
    counts, form_counts = Counter(of_products.values()), Counter(of_forms.values())
    unique = {key: outer_id for key, outer_id in of_products.items() if counts[outer_id] == 1}
    unique |= {key: outer_id for key, outer_id in of_forms.items() if form_counts[outer_id] == 1}
    return {key: unique.get(key) or f"{platform}:{platform_id}" for key, platform_id in ids.items()}


def patch_of(item: Item, platform: str, skus: dict[str, str], where: str) -> ProductPatch | InvalidValue:
    """The product as it is kept. `skus`: of `skus_of`."""
    url = _SCHEME.sub("https://", item.url)
    values: dict[str, Any] = {
        "sku": Verbatim(skus[item.item_id]),
        "name": item.title,
        "image_urls": list(item.images),
        "currency": item.currency,
        "variants": _variants(item, skus),
    }
    sold = [sku for sku in item.skus if sku.on_sale]
    values["on_sale"] = item.on_sale and bool(url) and bool(sold or not item.skus)
    if not values["variants"]:
        prices = [sku.price for sku in sold if sku.stock != 0 and sku.price is not None]
        prices = prices or [sku.price for sku in sold if sku.price is not None]
        if (price := min(prices, default=item.price)) is not None:
            values["price"] = price
        stocks: list[Any] = [sku.stock for sku in sold] if item.skus else [item.stock]
        if UNSET not in stocks:
            values["stock"] = None if None in stocks else _countable(sum(max(0, each) for each in stocks))
    if item.brand:
        values["brand"] = item.brand
    if url:
        values["url"] = url
        values["offers"] = [{"platform": platform, "item_id": item.item_id, "url": url}]
    try:
        return read_row(values, where)
    except InvalidValue as error:
        return error


def _form(item: Item, sku: ItemSku) -> str:
    return f"{item.item_id} {sku.sku_id}"


def _variants(item: Item, skus: dict[str, str]) -> list[Variant]:
    """What is on sale of it as variants; none where there is one, or more than a product may have."""
    sold = [sku for sku in item.skus if sku.on_sale]
    variants = [
        Variant(
            sku=skus[_form(item, sku)],
            name=sku.name or sku.sku_id,
            price=sku.price,
            stock=_countable(sku.stock),
            image_url=next(iter(image_urls(sku.image)), None),
        )
        # A stock that is not told is not one that is not counted.
        for sku in sold
        if sku.stock is not UNSET
    ]
    if not 1 < len(variants) <= MOST_VARIANTS or len(variants) < len(sold):
        return []
    plain = [msgspec.structs.replace(variant, image_url=None) for variant in variants]
    return next((each for each in (variants, plain) if len(msgspec.json.encode(each)) <= LIST_BYTES), [])


def _countable(stock: int | None) -> int | None:
    """As the catalog counts it; less than none, as platforms say of what was oversold, is none."""
    return None if stock is None else min(max(stock, 0), STOCK_HIGHEST)


def _outer_id(item: Item) -> str:
    """The shop's own id, of the product or of its only form."""
    return _as_sku(item.outer_id or (item.skus[0].outer_id if len(item.skus) == 1 else ""))


def _as_sku(outer_id: str) -> str:
    """As it is, or empty where it cannot be a sku."""
    try:
        return check_sku(outer_id.strip())
    except InvalidValue:
        return ""


def fen(amount: int | None) -> Decimal | None:
    """Yuan of a whole number of fen."""
    return None if amount is None else Decimal(amount).scaleb(-2)


def known(stock: int | None) -> int | UnsetType:
    """What a platform does not say, or says null of, is not a stock that is not counted."""
    return UNSET if stock is None else stock


def link_of(template: str, item_id: str) -> str:
    return template.replace("{id}", item_id)


def check_template(feed: str, template: str) -> None:
    if not template.startswith("https://") or "{id}" not in template:
        raise SettingsError(f"feed {feed}: link must be https://… with {{id}} in it")


def texts(values: Iterable[str | None]) -> tuple[str, ...]:
    """What is there, each once."""
    return tuple(dict.fromkeys(value for value in values if value))
