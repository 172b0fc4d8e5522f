"""A product as the catalog takes it (`ProductPatch`) and gives it (`Product`); no database in here."""

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contract.card import HIGHEST_SLOT, PLATFORM, PLATFORM_ID, PlatformOffer
from contract.catalog import Variant
from contract.links import check_link
from livecart.core.printable import is_printable
from livecart.shop.errors import InvalidValue
from livecart.shop.schemas.money import check_currency, check_price

PhotoKind = Literal["jpeg", "png", "webp"]
#: Values as OpenAPI explains them.
Sku = Annotated[str, Meta(examples=["1001"])]
ProductName = Annotated[str, Meta(examples=["好欢螺螺蛳粉 300g"])]
Link = Annotated[str, Meta(examples=["https://shop.example.com/item/1001"])]
Price = Annotated[Decimal, Meta(description="An exact decimal, as it was written.", examples=["12.90"])]
RoomName = Annotated[str, Meta(examples=["room-1"])]
Digest = Annotated[str, Meta(description="SHA-256 of the file, in hex.", examples=["e3b0c44298fc1c14" * 4])]
Seconds = Annotated[float, Meta(description="UNIX time in seconds.", examples=[1_760_000_000.0])]

SKU_CHARS = 128
NAME_CHARS = 255
BRAND_CHARS = 128
ROOM_CHARS = 128
URL_CHARS = 2048
MOST_IMAGES = 8
#: Of all words, or labels, of a product together, as JSON: what a MySQL TEXT column surely holds.
LIST_BYTES = 16_000
_LIST_ENTRIES = 500
_MOST_OFFERS = 16
MOST_VARIANTS = 200
COUPON_CHARS = 40
HIGHEST_LIMIT = 9999
#: The end of the year 9999.
LATEST_S = 253_402_300_799
_PLATFORM = re.compile(PLATFORM)
_PLATFORM_ID = re.compile(PLATFORM_ID)
STOCK_HIGHEST = 2_000_000_000
SEARCH_CHARS = 500
_BOUNDS: dict[str, tuple[int, int]] = {
    "stock": (0, STOCK_HIGHEST),
    "limit_per_buyer": (1, HIGHEST_LIMIT),
    "sale_to_s": (0, LATEST_S),
    "threshold": (0, 1),
}


class PhotoInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A photo of a product. `digest` names the file; `name` is the path it came with."""

    digest: Digest
    kind: PhotoKind
    name: Annotated[str, Meta(examples=["front.jpg"])]
    width_px: Annotated[int, Meta(examples=[800])]
    height_px: Annotated[int, Meta(examples=[800])]
    size_bytes: Annotated[int, Meta(examples=[81_234])]


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it stands."""

    sku: Sku
    name: ProductName
    url: Link
    brand: Annotated[str | None, Meta(examples=["好欢螺"])] = None
    words: Annotated[tuple[str, ...], Meta(description="Print on the packaging.", examples=[["螺蛳粉", "柳州"]])] = ()
    labels: Annotated[tuple[str, ...], Meta(description="Labels of the classifier.", examples=[["螺蛳粉"]])] = ()
    image_urls: Annotated[
        tuple[str, ...],
        Meta(description="Pictures of it elsewhere, fetched as photos.", examples=[["https://cdn.example.com/1.jpg"]]),
    ] = ()
    price: Price | None = None
    currency: Annotated[str | None, Meta(examples=["CNY"])] = None
    sale_price: Annotated[Price | None, Meta(description="Counts while it is below `price`, until `sale_to_s`.")] = None
    sale_to_s: Annotated[float | None, Meta(description="UNIX time at which the sale ends; null: it has no end.")] = (
        None
    )
    coupon: Annotated[str | None, Meta(examples=["满 200 减 20"])] = None
    limit_per_buyer: Annotated[int | None, Meta(examples=[2])] = None
    stock: Annotated[int | None, Meta(description="null: not counted.", examples=[40])] = None
    on_sale: bool = True
    threshold: Annotated[float | None, Meta(description="Confidence from which it is shown; null: the usual one.")] = (
        None
    )
    rooms: Annotated[tuple[str, ...] | None, Meta(description="null: in every room.")] = None
    offers: Annotated[tuple[PlatformOffer, ...], Meta(description="The same on other platforms, one on each.")] = ()
    variants: Annotated[
        tuple[Variant, ...], Meta(description="Forms that it is sold in; price and stock follow from them.")
    ] = ()
    is_from_price: Annotated[bool, Meta(description="Variants in stock cost more than `price`.")] = False
    photos: tuple[PhotoInfo, ...] = ()
    source: Annotated[str | None, Meta(description="The feed that owns it; null: staff.")] = None
    version: Annotated[int, Meta(description="Grows with each change.", examples=[3])] = 1
    updated_at_s: Seconds = 0.0


class ProductChange(msgspec.Struct, frozen=True):
    """The fields of a product that would differ, as JSON values."""

    sku: Sku
    before: Annotated[dict[str, Any], Meta(examples=[{"price": "12.90"}])]
    after: Annotated[dict[str, Any], Meta(examples=[{"price": "11.90"}])]


class ProductPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields to write of a product. One that is not given stays as it is; a new product needs `name` and `url`."""

    sku: str
    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    brand: str | UnsetType | None = UNSET
    words: tuple[str, ...] | UnsetType = UNSET
    labels: tuple[str, ...] | UnsetType = UNSET
    price: Decimal | UnsetType | None = UNSET
    currency: str | UnsetType | None = UNSET
    sale_price: Decimal | UnsetType | None = UNSET
    sale_to_s: float | UnsetType | None = UNSET
    coupon: str | UnsetType | None = UNSET
    limit_per_buyer: int | UnsetType | None = UNSET
    stock: int | UnsetType | None = UNSET
    on_sale: bool | UnsetType = UNSET
    threshold: float | UnsetType | None = UNSET
    rooms: tuple[str, ...] | UnsetType | None = UNSET
    offers: tuple[PlatformOffer, ...] | UnsetType = UNSET
    variants: tuple[Variant, ...] | UnsetType = UNSET
    image_urls: tuple[str, ...] | UnsetType = UNSET

    def given(self) -> dict[str, Any]:
        """The fields to write, by name, without the sku."""
        values = {name: getattr(self, name) for name in PATCH_FIELDS}
        return {name: value for name, value in values.items() if value is not UNSET}


#: Every field of a patch but the sku.
PATCH_FIELDS = tuple(name for name in ProductPatch.__struct_fields__ if name != "sku")


def check_patch(patch: ProductPatch, *, allowed_hosts: Iterable[str], where: str = "") -> ProductPatch:
    """The patch in the form that is stored: texts trimmed, empty brands and currencies None, prices in plain digits.

    Args:
        patch: may be of a new product or not.
        allowed_hosts: as of `contract.links.check_link`.
        where: line or row of a file, for the message.

    Raises:
        InvalidValue: naming the field: a text that is empty, too long or holds control characters, a link that must
            not be shown, a price, stock or threshold out of bounds.
    """
    try:
        sku = check_sku(patch.sku)
        values = {name: _checked(name, value, allowed_hosts) for name, value in patch.given().items()}
        return ProductPatch(sku=sku, **values)
    except InvalidValue as error:
        error.where = where
        raise


def check_sku(sku: str) -> str:
    """A sku that can stand in a URL, a file and a line of a log.

    Raises:
        InvalidValue: empty, too long, blank at an end, or unprintable.
    """
    if sku != sku.strip():
        raise InvalidValue("sku", "blank_at_end", value=sku[:40])
    return _text("sku", sku, SKU_CHARS)


def check_room(room: str) -> str:
    return _text("rooms", room, ROOM_CHARS)


def sold_as(product: Product) -> Product:
    """The product with price and stock as its variants have them.

    The price is the lowest of those in stock, of all where none is; where no variant names one, the product's own. The
    stock is the sum, not counted where one of them is not. A sale is in the variants' prices.
    """
    if not product.variants:
        return msgspec.structs.replace(product, is_from_price=False)
    there = [variant for variant in product.variants if variant.stock != 0] or product.variants
    prices = {variant.price for variant in there if variant.price is not None}
    counts = [variant.stock for variant in product.variants]
    return msgspec.structs.replace(
        product,
        price=min(prices, default=product.price),
        is_from_price=len(prices) > 1,
        sale_price=None,
        sale_to_s=None,
        stock=None if None in counts else min(STOCK_HIGHEST, sum(filter(None, counts))),
    )


def search_text(sku: str, name: str, brand: str | None, words: Iterable[str]) -> str:
    """The text that a search looks through: case, width and compatibility forms folded."""
    return fold(" ".join([sku, name, brand or "", *words]))[:SEARCH_CHARS]


def fold(text: str) -> str:
    """Unicode NFKC and case folded, blanks joined: ＡＢＣ is found by abc."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def to_json(value: Any) -> Any:
    """The JSON values of a struct or a dict: decimals as text."""
    return msgspec.to_builtins(value)


def tidy(text: str) -> str:
    """Blanks as plain ones, but for the wide one of Chinese; without what nobody sees, but for what joins emoji."""
    if not _TIDIED.search(text):
        return text
    kept: list[str] = []
    for index, character in enumerate(text):
        kind = unicodedata.category(character)
        if kind == "Zs" and character != "\u3000":
            kept.append(" ")
        elif character in _JOINERS:
            if kept and _is_joined(kept[-1]) and _is_joined(text[index + 1 : index + 2]):
                kept.append(character)
        elif "\U000e0020" <= character <= "\U000e007f":
            # The flags of England, Scotland and Wales.
            if kept and (kept[-1] == "\U0001f3f4" or kept[-1] >= "\U000e0020"):
                kept.append(character)
        elif kind not in ("Cf", "Co") and character not in _BLANK_LETTERS:
            kept.append(character)
    return "".join(kept)


#: All that is changed is of these.
_TIDIED = re.compile(
    "[\u00a0\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f"
    "\u2800\u3164\ue000-\uf8ff\ufeff\uffa0\ufff9-\ufffb\U000110bd-\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U0010ffff]"
)
#: Zero-width joiner and non-joiner.
_JOINERS = "\u200d\u200c"
#: Letters and marks that show nothing.
_BLANK_LETTERS = "\u034f\u115f\u1160\u3164\uffa0\u2800"


def _is_joined(neighbour: str) -> bool:
    """True for emoji and for letters that joiners shape (Arabic, India's scripts): beside others they are left over."""
    return bool(neighbour) and (
        "\u0600" <= neighbour < "\u1100" or "\u2190" <= neighbour < "\u2e80" or neighbour >= "\ufe00"
    )


def _checked(field: str, value: Any, allowed_hosts: Iterable[str]) -> Any:
    if field == "name":
        return _text(field, value, NAME_CHARS)
    if field == "url":
        _check_link(field, value, allowed_hosts)
    elif field == "offers":
        _check_offers(value, allowed_hosts)
    elif field == "variants":
        return _variants(value)
    elif field == "image_urls":
        return _image_urls(value)
    elif field in {"brand", "coupon"}:
        most_chars = BRAND_CHARS if field == "brand" else COUPON_CHARS
        return _text(field, value, most_chars) if value and value.strip() else None
    elif field in {"words", "labels", "rooms"}:
        return None if value is None else _texts(field, value)
    elif field in {"price", "sale_price"}:
        return None if value is None else check_price(value, field)
    elif field == "currency":
        return check_currency(value) if value else None
    elif field in _BOUNDS:
        _check_bounds(field, value)
    return value


def _check_bounds(field: str, value: float | None) -> None:
    least, most = _BOUNDS[field]
    if value is not None and not least <= value <= most:
        raise InvalidValue(field, "out_of_range", value=value, least=least, most=most)


def _check_link(field: str, url: str, allowed_hosts: Iterable[str]) -> None:
    if len(url) > URL_CHARS:
        raise InvalidValue(field, "too_long", value=url[:40], most_chars=URL_CHARS)
    if fault := check_link(url, allowed_hosts):
        raise InvalidValue(field, fault.code, value=fault.value)


def _check_offers(offers: tuple[PlatformOffer, ...], allowed_hosts: Iterable[str]) -> None:
    if len(offers) > _MOST_OFFERS or len(msgspec.json.encode(offers)) > LIST_BYTES:
        raise InvalidValue("offers", "too_many_entries", most=_MOST_OFFERS, most_bytes=LIST_BYTES)
    seen: set[str] = set()
    for offer in offers:
        if not _PLATFORM.fullmatch(offer.platform):
            raise InvalidValue("offers", "platform_malformed", value=offer.platform[:40])
        if offer.platform in seen:
            raise InvalidValue("offers", "platform_twice", platform=offer.platform)
        seen.add(offer.platform)
        for item in (offer.item_id, offer.sku_id):
            if item is not None and not _PLATFORM_ID.fullmatch(item):
                raise InvalidValue("offers", "platform_id_malformed", value=item[:40])
        if offer.slot is not None and not 1 <= offer.slot <= HIGHEST_SLOT:
            raise InvalidValue("offers", "out_of_range", value=offer.slot, least=1, most=HIGHEST_SLOT)
        _check_link("offers", offer.url, allowed_hosts)


def _variants(variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
    checked = tuple(map(_variant, variants))
    for variant in checked:
        # It parts them where a variant is written in a line.
        if "|" in f"{variant.sku}{variant.image_url}":
            raise InvalidValue("variants", "holds_a_bar", value=variant.sku)
    if len(checked) > MOST_VARIANTS or len(msgspec.json.encode(checked)) > LIST_BYTES:
        raise InvalidValue("variants", "too_many_entries", most=MOST_VARIANTS, most_bytes=LIST_BYTES)
    seen: set[str] = set()
    for variant in checked:
        if variant.sku in seen:
            raise InvalidValue("variants", "sku_twice", sku=variant.sku)
        seen.add(variant.sku)
    return checked


def _variant(variant: Variant) -> Variant:
    try:
        sku = check_sku(variant.sku)
        name = _text("name", variant.name, NAME_CHARS)
        price = None if variant.price is None else check_price(variant.price)
        _check_bounds("stock", variant.stock)
        if variant.image_url is not None:
            _image_urls([variant.image_url])
    except InvalidValue as error:
        raise InvalidValue("variants", "variant", sku=variant.sku[:40], cause=error.text()) from error
    return msgspec.structs.replace(variant, sku=sku, name=name, price=price)


def is_image_url(url: str) -> bool:
    """True for an https address that a picture may be fetched from."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.username is None and (parts.port or 443) > 0
    except ValueError:
        return False
    return named and parts.scheme == "https" and len(url) <= URL_CHARS and is_printable(url) and " " not in url


def _image_urls(urls: Iterable[str]) -> tuple[str, ...]:
    """The first 8, each once: more views no longer help."""
    kept = tuple(dict.fromkeys(urls))[:MOST_IMAGES]
    for url in kept:
        if not is_image_url(url):
            raise InvalidValue("image_urls", "image_url_malformed", value=url[:80])
    return kept


def _text(field: str, value: str, most_chars: int) -> str:
    # A sku is a key: it is not changed.
    text = (value if field == "sku" else tidy(value)).strip()
    if not text:
        raise InvalidValue(field, "empty")
    if len(text) > most_chars:
        raise InvalidValue(field, "too_long", value=text[:40], most_chars=most_chars)
    # Half a surrogate pair is a control too, and no database takes it.
    if not (text.replace("\u3000", " ").isprintable() if field == "sku" else is_printable(text)):
        raise InvalidValue(field, "control_characters", value=text[:40])
    return text


def _texts(field: str, values: Iterable[str]) -> tuple[str, ...]:
    most_chars = ROOM_CHARS if field == "rooms" else NAME_CHARS
    texts = tuple(dict.fromkeys(_text(field, value, most_chars) for value in values))
    if len(texts) > _LIST_ENTRIES or len(msgspec.json.encode(texts)) > LIST_BYTES:
        raise InvalidValue(field, "too_many_entries", most=_LIST_ENTRIES, most_bytes=LIST_BYTES)
    return texts
