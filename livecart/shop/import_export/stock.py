"""Stock as people write it: a count, words for there and not there, warehouses."""

import re
import unicodedata
from decimal import Decimal
from typing import Any

from livecart.shop.errors import InvalidValue
from livecart.shop.import_export.cells import KEPT_DIGITS, NumberCell, check_cell, clean_text

_STOCK_CHARS = 200
#: Without blanks and low lines. What says nothing is not counted either.
_IN_STOCK = re.compile(
    "有货|有|正常|现货|有库存|充足|库存充足|库存紧张|低库存|少量|在售|可售|上架|是|预售中?|不限|无限|"
    r"\D{0,10}仓库?有货|异地有货|(其他|其它|外|异地)仓库?|调货|"
    "instock|lowstock|available|availablefororder|limitedavailability|instoreonly|onlineonly|madetoorder|"
    "yes|true|y|unlimited|inanotherwarehouse|otherwarehouse"
)
_SOLD_OUT = re.compile(
    r"\D{0,10}仓库?[无缺没]货|"
    "无货|无|无库存|没有|没有货|没货|没有库存|缺货|缺货中|已缺货|售罄|已售罄|售空|已售空|售完|已售完|卖完|卖光|已抢光|断货|"
    "脱销|已脱销|零库存|库存不足|暂无|暂无库存|暂无货|暂缺|下架|已下架|停售|已停售|停产|否|"
    "outofstock|oos|nostock|notinstock|soldout|unavailable|notavailable|currentlyunavailable|"
    "preorder|presale|backorder|onbackorder|reserved|discontinued|no|none|false|n"
)
#: Beside a number: it counts what is not there.
_NOT_THERE = re.compile(
    "无货|无库存|没货|缺货|售罄|售空|售完|卖完|断货|脱销|下架|停售|停产|已售|售出|销量|预售|预订|在途|占用|锁定|冻结|"
    "outofstock|oos|nostock|sold|unavailable|discontinued|ordered|reserved"
)
_SCHEMA_ORG = re.compile(r"https?://schema\.org/", re.IGNORECASE)
#: No 万 or k: a thousand times as many.
_UNIT = (
    "件|个|瓶|盒|袋|包|箱|罐|支|只|条|双|套|台|把|张|本|份|桶|杯|片|块|组|对|串|提|听|根|粒|枚|卷|板|排|款|"
    "pcs?|pieces?|units?"
)
_COUNT = re.compile(
    rf"[>≥]?=?\s*([+-]?\d{{1,3}}(?:,\d{{3}})+|[+-]?\d+)(?:\.0*)?\s*\+?\s*(?:{_UNIT})?\s*(?:\(([^()]*)\))?",
    re.IGNORECASE,
)
#: 1.000 may be a thousand.
_POINT_OF_THOUSANDS = re.compile(r"[+-]?\d{1,3}\.000(?!\d)")
_WORD_AND_COUNT = re.compile(r"([^\d()]+)\((\d+)\)")
_WAREHOUSE = re.compile(rf"([^\d\s:;,|/-][^\d:;,|/]*)[:\s]*(?<!\d)(\d+)\s*(?:{_UNIT})?", re.IGNORECASE)
_HIGHEST = 10**12


def read_stock(value: Any) -> int | None:
    """A count, 0 for what is oversold or sold out, None for what is there and not counted.

    A list is of warehouses: they are added up. What is in one of them and not counted is more than 0.

    Raises:
        InvalidValue: it is none of these.
    """
    if isinstance(value, list):
        counts = [read_stock(each) for each in value if not _is_blank(each)]
        total = sum(each for each in counts if each is not None)
        return None if not total and (not counts or None in counts) else total
    check_cell("stock", value)
    if isinstance(value, bool):
        return None if value else 0
    if isinstance(value, NumberCell):
        value = value.number
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < KEPT_DIGITS:
        value = NumberCell(value).plain()
    text = unicodedata.normalize("NFKC", clean_text("stock", str(value) if isinstance(value, float) else value))
    text = text.strip()
    text = text[:_STOCK_CHARS]
    return None if not text else _stock_of(text)


def _stock_of(text: str) -> int | None:
    word = _word(_SCHEMA_ORG.sub("", text, count=1))
    both = _WORD_AND_COUNT.fullmatch(word)
    word, count = (both[1], _bounded(both[2], text)) if both else (word, None)
    if _IN_STOCK.fullmatch(word):
        return count
    if _SOLD_OUT.fullmatch(word) and not count:
        return 0
    match = _COUNT.fullmatch(text)
    if match and not _POINT_OF_THOUSANDS.search(text) and not _NOT_THERE.search(_word(match[2] or "")):
        return max(0, _bounded(match[1], text))
    parts = [part.strip() for part in re.split(r"[;,、|/\n]", text) if part.strip()]
    found = [match for part in parts if (match := _WAREHOUSE.fullmatch(part)) and not _is_not_there(match[1])]
    if parts and len(found) == len(parts):
        return sum(_bounded(each[2], text) for each in found)
    raise InvalidValue("stock", "not_a_stock", value=text[:40])


def _word(text: str) -> str:
    return re.sub(r"[\s_-]", "", text.casefold())


def _is_not_there(name: str) -> bool:
    """True for a text before a number that is no warehouse's: 缺货 5, 已售 500."""
    word = _word(name)
    return bool(_SOLD_OUT.fullmatch(word) or _NOT_THERE.search(word))


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not clean_text("stock", value).strip())


def _bounded(digits: str, text: str) -> int:
    count = int(digits.replace(",", "")) if len(digits) <= 20 else _HIGHEST
    if abs(count) >= _HIGHEST:
        raise InvalidValue("stock", "not_a_stock", value=text[:40])
    return count
