"""Columns of a table: the titles that each field may have, and its values in the exact form that is written.

Links files, catalog folders and forms are read by it as they stand; rows.py makes exact before what people write.
"""

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from contract.card import PlatformOffer
from contract.catalog import Variant
from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export.prices import read_date
from livecart.shop.schemas.money import parse_price
from livecart.shop.schemas.product import PATCH_FIELDS, ProductPatch

#: In a list of rooms: for no room. An empty one is for every room.
NO_ROOM = "none"
_SEPARATORS = "|;；、\n"
_YES = frozenset({"1", "true", "yes", "y", "on", "是", "在售", "上架", "已上架", "in_stock", "in stock"})
_NO = frozenset({"0", "-1", "false", "no", "n", "off", "否", "停售", "下架", "已下架", "out_of_stock", "out of stock"})
#: The titles of each field, beside its own name; of those further back a column counts only where none stands before.
TITLES: dict[str, tuple[str, ...]] = {
    "sku": (
        "货号 商品编码 商品编号 商家编码 商品货号 商家货号 款号 sku编码 sku编号 variantsku",
        "id 编码 编号 商品id 产品id 产品编码 宝贝id productid itemid skuid 商品代码",
    ),
    "sku_text": ("",),
    "name": (
        "名称 商品名称 商品名 品名 产品名称 productname itemname",
        "标题 title 商品标题 产品标题 宝贝标题 宝贝名称",
    ),
    "url": (
        "链接 商品链接 购买链接 宝贝链接 产品链接 商品url link producturl productlink",
        "商品网址 网址 externalurl",
    ),
    "brand": ("品牌 品牌名称 vendor",),
    "words": ("关键词 包装文字",),
    "labels": ("标签 类别",),
    "price": ("价格 售价 单价 商品价格 销售价 销售价格 零售价 一口价 variantprice", "原价 regularprice listprice"),
    "sale_price": ("促销价 活动价 特价 优惠价 折扣价 specialprice",),
    "sale_from": ("促销开始 促销开始时间 促销开始日期 活动开始时间 datesalepricestarts",),
    "sale_to": ("saletos 促销结束 促销结束时间 促销结束日期 活动结束时间 datesalepriceends",),
    "coupon": ("优惠券",),
    "limit_per_buyer": ("每人限购 限购 限购数量",),
    "currency": ("币种 货币 货币单位 currencycode",),
    "stock": (
        "库存 库存数量 库存量 商品库存 可用库存 可售库存 总库存 "
        "quantity qty stockquantity inventory variantinventoryqty",
    ),
    "in_stock": ("有货 是否有货 库存状态 stockstatus availability",),
    "on_sale": ("在售 上架 是否在售 是否上架", "published"),
    "threshold": ("阈值",),
    "rooms": ("直播间 房间",),
    "offers": ("平台商品",),
    "variants": ("商品规格",),
    "item_group_id": ("商品组 商品组编号",),
    "spec": ("规格 规格名称 颜色 颜色分类 尺码 尺寸 color colour size",),
    "image_urls": (
        "图片 图片链接 图片地址 图片url 商品图片 主图 商品主图 主图链接 "
        "image images imageurl imagelink additionalimagelink imagesrc productimage "
        "图片{n} 主图{n} image{n} imagelink{n}",
    ),
}
#: The same of a table of orders, where any of them may stand beside another: the first one counts.
_ORDER_TITLES = {
    "sku": "货号 商家编码 商家货号 商品货号 款号 sellersku lineitemsku sku编码 sku编号 variantsku 外部编码 "
    "外部系统编号 规格编码 商品编码 商品编号 商品代码 产品编码 商品id 产品id 宝贝id productid skuid",
    "ordered_at": "付款时间 订单付款时间 支付时间 订单支付时间 支付完成时间 paidat paidtime datepaid 下单时间 "
    "订单下单时间 订单提交时间 订单创建时间 创建时间 成交时间 订单日期 ordertime orderdate createdat createdtime "
    "datecreated 时间 time",
}
#: Title as `_plain_title` has it: field, and how far back it stands.
Titles: TypeAlias = Mapping[str, tuple[str, int]]


def _by_title(fields: Mapping[str, Sequence[str]]) -> Titles:
    return {
        title: (name, rank)
        for name, ranks in fields.items()
        for rank, titles in enumerate(ranks)
        for pattern in (titles if rank else f"{name.replace('_', '')} {titles}").split()
        for title in ([pattern.format(n=n) for n in range(1, 10)] if "{n}" in pattern else [pattern])
    }


PRODUCT_TITLES = _by_title(TITLES)
ORDER_TITLES = _by_title({name: titles.split() for name, titles in _ORDER_TITLES.items()})
#: Fields that may stand in several columns.
_SEVERAL = ("stock", "image_urls", "spec")
_LISTS = frozenset({"words", "labels", "rooms"})
_IN_BRACKETS = re.compile(r"[(\[【{<《](.*?)[)\]】}>》]")
_NEEDED = re.compile(r"必填|选填|必须|required|optional")
_OTHER_UNITS = frozenset({"分", "cent", "cents", "万元", "千元"})
#: Rows before the titles: what a sheet is of, how it is filled in.
MOST_ROWS_ABOVE = 30


@dataclass(frozen=True, slots=True)
class Heading:
    """The row of titles.

    Attributes:
        row: its place among the rows, from 0.
        columns: index of each column that is looked at: its field. Of `stock` there may be one for each warehouse.
        price_unit: text in brackets behind the title of the price.
    """

    row: int
    columns: dict[int, str]
    price_unit: str = ""

    def values(self, row: Mapping[int, Any]) -> dict[str, Any]:
        """The cells by field; those of several warehouses as a list."""
        values = {name: row[index] for index, name in self.columns.items() if index in row}
        if len(values) < len(self.columns):
            for several in values.keys() & _SEVERAL:
                cells = [row[index] for index, name in self.columns.items() if name == several and index in row]
                values[several] = cells if len(cells) > 1 else cells[0]
        return values


def is_title_of_sku(cell: Any, of: Titles = PRODUCT_TITLES) -> bool:
    """True in a row of titles: the heading, the same in a second language, or again on every printed page."""
    return isinstance(cell, str) and of.get(_plain_title(cell), ("",))[0] == "sku"


def find_heading(rows: Sequence[Mapping[int, Any]], file_name: str, of: Titles = PRODUCT_TITLES) -> Heading:
    """The first row with a column for the sku, or one below it that names more.

    Args:
        rows: the first ones, each of index to cell.
        file_name: for the message.
        of: titles that are looked for.

    Raises:
        FeedError: there is none, or it names a field twice.
    """
    found: list[Heading] = []
    fault: FeedError | None = None
    for number, row in enumerate(rows[:MOST_ROWS_ABOVE]):
        titles = {index: cell for index, cell in row.items() if isinstance(cell, str)}
        if not any(is_title_of_sku(title, of) for title in titles.values()):
            continue
        try:
            found.append(_heading(number, titles, file_name, of))
        except FeedError as error:
            fault = fault or error
    if found:
        return max(found, key=lambda heading: len(set(heading.columns.values())))
    if fault:
        raise fault
    first = max(rows[:MOST_ROWS_ABOVE], key=len, default={})
    texts = ", ".join(str(cell).strip()[:20] for cell in list(first.values())[:10] if isinstance(cell, str))
    raise FeedError("no_sku_column", where=file_name, names=", ".join(TITLES["sku"][0].split()[:4]), found=texts)


def _heading(number: int, titles: Mapping[int, str], file_name: str, of: Titles) -> Heading:
    best: dict[str, tuple[int, list[int]]] = {}
    for index, title in titles.items():
        name, rank = of.get(_plain_title(title), ("", 0))
        if not name:
            continue
        before = best.get(name)
        if before is None or rank < before[0]:
            best[name] = (rank, [index])
        elif rank == before[0]:
            _check_several(name, titles[before[1][0]], title, file_name)
            before[1].append(index)
    columns = {index: name for name, (_, indices) in best.items() for index in indices}
    price = next((titles[index] for index, name in columns.items() if name == "price"), "")
    unit = _in_brackets(price)
    if unit in _OTHER_UNITS:
        raise FeedError("price_in_other_units", where=file_name, title=price.strip()[:40])
    return Heading(number, dict(sorted(columns.items())), unit)


def _check_several(name: str, first: str, second: str, file_name: str) -> None:
    """Stock may stand in a column for each warehouse, named in brackets; each picture and colour or size in its own."""
    if name in ("image_urls", "spec"):
        return
    units = {_in_brackets(first), _in_brackets(second)}
    if name != "stock" or len(units) < 2 or "" in units:
        raise FeedError(
            "column_twice", where=file_name, field=name, first=first.strip()[:40], title=second.strip()[:40]
        )


def _plain_title(title: str) -> str:
    """Letters and digits alone: `*商品名称（必填）` is 商品名称, `Regular price` regularprice."""
    text = _IN_BRACKETS.sub("", unicodedata.normalize("NFKC", title[:200]).casefold())
    return "".join(each for each in _NEEDED.sub("", text) if each.isalnum())


def _in_brackets(title: str) -> str:
    found = _IN_BRACKETS.search(unicodedata.normalize("NFKC", title[:200]).casefold())
    text = found[1].strip() if found else ""
    return "" if _NEEDED.search(text) else text


def to_patch(values: Mapping[str, Any], where: str) -> ProductPatch:
    """A patch of named values. A name that is not given is left as it is; an empty value clears its field.

    An empty `on_sale` says nothing: it is left as it is.

    Raises:
        InvalidValue: naming `where` and the field: a value that cannot be understood, or no sku.
    """
    try:
        sku = _sku(values.get("sku"))
        given = [name for name in PATCH_FIELDS if name in values]
        if "on_sale" in given and _text(values["on_sale"]) == "":
            given.remove("on_sale")
        fields = {name: parse_field(name, values[name]) for name in given}
        return ProductPatch(sku=sku, **fields)
    except InvalidValue as error:
        error.where = where
        raise


def _sku(value: Any) -> str:
    sku = _text(value)
    if not sku:
        raise InvalidValue("sku", "missing")
    return sku


def parse_field(name: str, value: Any) -> Any:
    """A field of a patch from text, a number or a list."""
    if name in _LISTS:
        return _list(name, value)
    if name == "offers":
        return _offers(value)
    if name == "variants":
        return _variants(value)
    if name == "image_urls":
        return tuple(value) if isinstance(value, list | tuple) else tuple(_text(value).split())
    if name == "on_sale":
        return _yes_or_no(value)
    text = _text(value)
    if name in {"name", "url"}:
        return text
    if not text:
        return None
    if name in {"price", "sale_price"}:
        return parse_price(text, name)
    if name == "sale_to_s":
        return value if isinstance(value, float) else _seconds(name, value)
    if name in {"stock", "limit_per_buyer"}:
        return _whole(name, text)
    if name == "threshold":
        return _number(name, text)
    return text


def _text(value: Any) -> str:
    """Spreadsheets make 1001.0 of a sku and 12.9 of a price."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, str | int | Decimal):
        return str(value).strip()
    raise InvalidValue("value", "not_text_or_number", value=str(value)[:40])


def _list(name: str, value: Any) -> tuple[str, ...] | None:
    if isinstance(value, list | tuple):
        return tuple(_text(entry) for entry in value)
    text = _text(value)
    if name == "rooms" and text == NO_ROOM:
        return ()
    if not text:
        return None if name == "rooms" else ()
    if text.startswith("["):
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidValue(name, "not_a_json_list", value=text[:40]) from error
        return tuple(_text(entry) for entry in entries)
    for separator in _SEPARATORS:
        text = text.replace(separator, "|")
    return tuple(entry.strip() for entry in text.split("|") if entry.strip())


def _offers(value: Any) -> tuple[PlatformOffer, ...]:
    """Of a feed a list of objects; else a line each: platform, item id, link, and if wanted sku=… and slot=…."""
    if isinstance(value, list | tuple):
        try:
            return msgspec.convert(value, tuple[PlatformOffer, ...])
        except msgspec.ValidationError as error:
            raise InvalidValue("offers", "not_an_offer", value=str(value)[:40]) from error
    return tuple(_offer(line) for line in _text(value).splitlines() if line.strip())


def _offer(line: str) -> PlatformOffer:
    parts = line.split()
    more = dict(part.partition("=")[::2] for part in parts[3:])
    if len(parts) < 3 or not more.keys() <= {"sku", "slot"}:
        raise InvalidValue("offers", "not_an_offer", value=line[:80])
    slot = _whole("offers", more["slot"]) if "slot" in more else None
    return PlatformOffer(platform=parts[0], item_id=parts[1], url=parts[2], sku_id=more.get("sku"), slot=slot)


def _written_offer(offer: PlatformOffer) -> str:
    more = {"sku": offer.sku_id, "slot": offer.slot}
    named = [f"{name}={value}" for name, value in more.items() if value is not None]
    return " ".join([offer.platform, offer.item_id, offer.url, *named])


def _variants(value: Any) -> tuple[Variant, ...]:
    """Of a list, or a line each: sku | name | price | stock, and if wanted | a picture's link."""
    if isinstance(value, list | tuple):
        try:
            return tuple(each if isinstance(each, Variant) else msgspec.convert(each, Variant) for each in value)
        except msgspec.ValidationError as error:
            raise InvalidValue("variants", "not_a_variant", value=str(value)[:80]) from error
    return tuple(_variant(line) for line in _text(value).splitlines() if line.strip())


def _variant(line: str) -> Variant:
    sku, *parts = line.split("|")
    image_url = parts.pop().strip() if parts and parts[-1].strip().startswith("https://") else None
    if len(parts) < 3:
        raise InvalidValue("variants", "not_a_variant", value=line[:80])
    *name, price, stock = parts
    return Variant(
        sku=sku.strip(), name="|".join(name).strip(), price=parse_price(price) if price.strip() else None,
        stock=_whole("variants", stock) if stock.strip() else None, image_url=image_url,
    )  # fmt: skip


def _written_variant(variant: Variant) -> str:
    told = [variant.sku, variant.name, variant.price, variant.stock, variant.image_url]
    # A form takes blanks at the end for none.
    return " | ".join("" if each is None else str(each) for each in told[: 5 if variant.image_url else 4]).rstrip()


def _yes_or_no(value: Any) -> bool:
    text = _text(value).casefold()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise InvalidValue("on_sale", "not_yes_or_no", value=text[:40])


def _whole(name: str, text: str) -> int:
    try:
        number = Decimal(text)
        if number.is_finite() and number == number.to_integral_value() and abs(number) < 10**12:
            return int(number)
    except ArithmeticError:
        pass
    raise InvalidValue(name, "not_a_whole_number", value=text[:40])


def _seconds(name: str, value: Any) -> float | None:
    try:
        ends = read_date(value, is_end=True)
    except InvalidValue as error:
        error.field = name
        raise
    return None if ends is None else ends.timestamp()


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise InvalidValue(name, "not_a_number", value=text[:40]) from error
    if not math.isfinite(number):
        raise InvalidValue(name, "not_a_number", value=text[:40])
    return number


def cell_of(name: str, value: Any) -> str:
    """A product's field as the text of a cell, which `parse_field` reads back."""
    if name == "rooms" and value is not None and not value:
        return NO_ROOM
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if name == "sale_to_s":
        return datetime.fromtimestamp(value).astimezone().isoformat(" ")
    if name == "offers":
        return "\n".join(map(_written_offer, value))
    if name == "variants":
        return "\n".join(map(_written_variant, value))
    if name == "image_urls":
        return "\n".join(value)
    if isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False) if _needs_json(value) else "|".join(value)
    return str(value)


def _needs_json(values: tuple[str, ...]) -> bool:
    """True where they would be read as something else when joined by |."""
    return values == (NO_ROOM,) or any(set(entry) & set(_SEPARATORS) or entry.startswith("[") for entry in values)
