"""Values as people and their programs write them, made exact: ids, prices, stock and text of tables and feeds.

What cannot be understood for sure is refused, never guessed. docs/tables.md has examples.
"""

import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from livecart.shop.errors import InvalidValue
from livecart.shop.import_export.columns import to_patch
from livecart.shop.import_export.number_cells import KEPT_DIGITS, NumberCell, kept_digits
from livecart.shop.schemas.money import PRICE_DIGITS, digits_of
from livecart.shop.schemas.product import ProductPatch, tidy


class Verbatim(str):
    """A text that is meant as it stands."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class DateCell:
    """A date of a spreadsheet."""

    iso: str


@dataclass(frozen=True, slots=True)
class OpenFormula:
    """A formula that nobody has calculated."""


#: The key, and beside the fields of a patch: a lower price, from when until when, and whether there is any.
_MORE_FIELDS = frozenset({"sku", "sale_price", "sale_from", "sale_to", "in_stock"})

_ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"})
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,31});")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
#: ="001": what is written so that no spreadsheet takes it for a number.
_AS_TEXT = re.compile(r'="([^"]*)"')
_SHORTENED = re.compile(r"[+-]?\d+(?:[.,]\d+[eE]|[eE]\+)[+]?\d+")
_FLOAT_ID = re.compile(r"(\d+)\.0+")
_FULL_WIDTH = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}

#: A word or sign: the currency that it says. A bare $ says none.
_CURRENCIES = {
    "¥": "CNY",
    "元": "CNY",
    "圆": "CNY",
    "块": "CNY",
    "rmb": "CNY",
    "人民币": "CNY",
    "人民币元": "CNY",
    "$": "",
    "us$": "USD",
    "美元": "USD",
    "hk$": "HKD",
    "港元": "HKD",
    "港币": "HKD",
    "nt$": "TWD",
    "新台币": "TWD",
    "€": "EUR",
    "欧元": "EUR",
    "£": "GBP",
    "英镑": "GBP",
    "cn¥": "CNY",
    "jp¥": "JPY",
    "円": "JPY",
    "日元": "JPY",
    "₩": "KRW",
    "韩元": "KRW",
}
#: The yuan's sign is the yen's too.
_SHARED = {"¥": frozenset({"CNY", "JPY"}), "$": frozenset()}
_AMOUNT = r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?"
_PRICE = re.compile(rf"(?P<before>[^\d.,+-]*?)\s*(?P<amount>{_AMOUNT})\s*(?P<behind>[^\d.,/]*?)(?:/\s*[^/]{{1,8}})?")
_ONE_GROUP = re.compile(r"[+-]?\d{1,3},\d{3}")
#: A point of thousands, or of decimals.
_POINT_AND_THREE = re.compile(r"[+-]?(?!0)\d{1,3}\.\d{3}")
#: A point that is of decimals alone.
_DECIMAL_POINT = re.compile(
    r"(?<![\d.,])(?:(?:\d[\d,]*)?\.(?:\d{1,2}|\d{4,})|0+\.\d{3}|(?:\d{4,}|\d{1,3}(?:,\d{3})+)\.\d+)(?![\d.,])"
)
#: Currencies of three decimals (ISO 4217).
_OF_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_SEVERAL = re.compile(r"\d\D*[-~—–至到]\D*\d|起$|以上$|^from\b|\+$")
_DIGIT = re.compile(r"\d")
_COMMA = re.compile(r"\d,\d")
_PRICE_CHARS, _STOCK_CHARS = 40, 200

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
_DAY = re.compile(r"^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_HIGHEST = 10**12


def read_row(
    values: Mapping[str, Any], where: str, at: datetime | None = None, *, point_is_decimal: bool = False
) -> ProductPatch:
    """A patch of one row or item; what is not named stays as it is, what is empty is cleared.

    Args:
        values: field to text, number, list, or a cell of a spreadsheet; also `sale_price`, `sale_from`, `sale_to` and
            `in_stock`.
        where: for the message.
        at: when: a sale counts from its beginning to its end. None: now.
        point_is_decimal: as of `read_price`.

    Raises:
        InvalidValue: naming `where` and the field; its `sku` is the row's, where that can be read.
    """
    sku = ""
    try:
        sku = read_sku(values.get("sku"))
        exact = {name: _field(name, value) for name, value in values.items() if name not in _MORE_FIELDS}
        if "in_stock" in values:
            there = read_stock(values["in_stock"])
            exact["stock"] = 0 if there == 0 else exact.get("stock", there)
        _price_and_currency(values, exact, at, point_is_decimal)
    except InvalidValue as error:
        error.where, error.sku = where, sku
        raise
    try:
        return to_patch(exact | {"sku": sku}, where)
    except InvalidValue as error:
        error.sku = sku
        raise


def row_or_refusal(
    values: Mapping[str, Any], where: str, at: datetime | None = None, *, point_is_decimal: bool = False
) -> ProductPatch | InvalidValue:
    """`read_row` of one of many: a bad one does not end the reading."""
    try:
        return read_row(values, where, at, point_is_decimal=point_is_decimal)
    except InvalidValue as error:
        return error


def read_sku(value: Any) -> str:
    """The id that a person sees.

    Raises:
        InvalidValue: it is missing, a date, or has lost digits.
    """
    _check_cell("sku", value)
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, NumberCell):
        if value.has_lost_digits:
            raise InvalidValue("sku", "digits_lost", value=f"{value.number:.5E}")
        return value.shown()
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        # 1001.0 is 1001; 6.92E+12 may be any of a million.
        if not value.is_finite() or "E+" in str(value) or abs(value.adjusted()) >= KEPT_DIGITS:
            raise InvalidValue("sku", "digits_lost", value=str(value)[:40])
        return NumberCell(value).plain()
    text = clean_text("sku", value).strip()
    match = _AS_TEXT.fullmatch(text)
    if match:
        return match[1].strip()
    text = text.translate(_FULL_WIDTH).strip()
    if _SHORTENED.fullmatch(text):
        raise InvalidValue("sku", "digits_lost", value=text[:40])
    whole = _FLOAT_ID.fullmatch(text)
    return whole[1] if whole else text


def has_decimal_point(text: str) -> bool:
    """True for a price by which `1.299` of the same column has decimals, and is not 1,299."""
    return bool(_DECIMAL_POINT.search(unicodedata.normalize("NFKC", text[:_PRICE_CHARS])))


def is_like_thousands(text: str) -> bool:
    """True for `1.299`."""
    return bool(_POINT_AND_THREE.fullmatch(text))


def read_price(value: Any, currency: str = "", *, point_is_decimal: bool = False) -> tuple[Decimal | None, str]:
    """An amount, and the sign or word of a currency beside it.

    Args:
        value: text, number, or a cell of a spreadsheet.
        currency: given elsewhere.
        point_is_decimal: `1.299` is not 1,299: other prices say so.

    Raises:
        InvalidValue: it is no price, may be several, or has a comma or point that may mean either.
    """
    if value is None:
        return None, ""
    _check_cell("price", value)
    if isinstance(value, NumberCell):
        return _few_digits(value.amount()), _known_sign(value.literals())
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return _few_digits(Decimal(value)), ""
    text = unicodedata.normalize("NFKC", clean_text("price", value)).strip()
    if not text:
        return None, ""
    match = _PRICE.fullmatch(text) if len(text) <= _PRICE_CHARS else None
    beside = (match["before"], match["behind"]) if match else ()
    signs = {re.sub(r"\s", "", each.casefold()) for each in beside} - {""}
    if match and _DIGIT.search(match["amount"]) and all(map(_is_sign, signs)) and len(signs) <= 1:
        if _ONE_GROUP.fullmatch(match["amount"]):
            raise InvalidValue("price", "price_ambiguous", value=text)
        is_sure = point_is_decimal or isinstance(value, Verbatim)
        of_three = not _OF_THREE_DECIMALS.isdisjoint({currency.upper(), *map(_currency, signs)})
        if is_like_thousands(match["amount"]) and not (is_sure or of_three):
            raise InvalidValue("price", "price_ambiguous", value=text)
        return _few_digits(Decimal(match["amount"].replace(",", ""))), next(iter(signs), "")
    shown = text[:_PRICE_CHARS]
    if _DIGIT.search(shown) and _SEVERAL.search(shown.casefold()):
        raise InvalidValue("price", "price_several", value=shown)
    if _COMMA.search(shown):
        raise InvalidValue("price", "price_ambiguous", value=shown)
    raise InvalidValue("price", "not_a_price", value=shown)


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
    _check_cell("stock", value)
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


def clean_text(field: str, value: Any) -> str:
    """Text without what nobody sees, its lines and entities (`&amp;`) resolved.

    Raises:
        InvalidValue: it is no text or number, or its characters are lost.
    """
    _check_cell(field, value)
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, NumberCell):
        return value.shown()
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float | Decimal):
        raise InvalidValue(field, "not_text_or_number", value=str(value)[:40])
    text = str(value)
    if field == "url":
        # `&copy=1` of a query is no entity.
        return tidy(text.replace("&amp;", "&")).strip()
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    text = tidy(_CONTROLS.sub(" ", text))
    if "\ufffd" in text:
        raise InvalidValue(field, "characters_lost", value=text.strip()[:40])
    return text


def currency_of(text: str) -> str | None:
    """The code that a heading or cell says: CNY for 元. None: it says none."""
    known = _CURRENCIES.get(unicodedata.normalize("NFKC", text).strip().casefold())
    return known or None


def _field(name: str, value: Any) -> Any:
    if name == "stock":
        return read_stock(value)
    if name == "currency":
        text = clean_text(name, value).strip()
        return currency_of(text) or text.upper()
    if name == "price":
        # With its currency, below.
        return None
    if name == "threshold" and isinstance(value, NumberCell):
        return value.plain()
    if isinstance(value, list | tuple):
        return tuple(clean_text(name, each) for each in value)
    if name in ("words", "labels", "rooms") and not isinstance(value, Verbatim):
        # Lines separate; the others are cleaned when the list is taken apart.
        return "\n".join(
            clean_text(name, line) for line in (str(value).splitlines() if isinstance(value, str) else [value])
        )
    return clean_text(name, value)


def _price_and_currency(
    values: Mapping[str, Any], exact: dict[str, Any], at: datetime | None, point_is_decimal: bool
) -> None:
    """Puts into `exact` the price that counts, and the currency that it names where no other field does."""
    if "price" not in values and "sale_price" not in values:
        return
    currency = str(exact.get("currency") or "")
    price, sign = read_price(values.get("price"), currency, point_is_decimal=point_is_decimal)
    sale, sale_sign = read_price(values.get("sale_price"), currency, point_is_decimal=point_is_decimal)
    is_lower = sale is not None and (price is None or sale < price)
    if is_lower and _is_within(values, at or datetime.now().astimezone()):
        price, sign = sale, sale_sign or sign
    exact["price"] = price
    said = _currency(sign)
    given = exact.get("currency")
    if not given and said:
        exact["currency"] = said
    elif given and said and given != said and given not in _SHARED.get(sign, ()):
        raise InvalidValue("currency", "currency_differs", written=said, given=str(given)[:40])


def _is_within(values: Mapping[str, Any], at: datetime) -> bool:
    begins, ends = read_date(values.get("sale_from")), read_date(values.get("sale_to"), is_end=True)
    return (begins is None or begins <= at) and (ends is None or at < ends)


def read_date(value: Any, *, is_end: bool = False) -> datetime | None:
    """A day or a time, without a zone in this machine's; of a day its end, where `is_end`.

    Raises:
        InvalidValue: it is neither.
    """
    if isinstance(value, DateCell):
        # A spreadsheet's dates are times at midnight.
        text = value.iso.removesuffix(" 00:00:00").removesuffix("T00:00:00")
    else:
        text = clean_text("price", value).strip()
    if not text:
        return None
    text = _DAY.sub(lambda day: f"{day[1]}-{day[2]:0>2}-{day[3]:0>2}", text)
    try:
        read = datetime.fromisoformat(text)
        read = read.astimezone() if read.tzinfo is None else read
        return read + timedelta(days=1) if is_end and len(text) <= len("2026-11-11") else read
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidValue("price", "not_a_date", value=text[:40]) from error


def _check_cell(field: str, value: Any) -> None:
    if isinstance(value, OpenFormula):
        raise InvalidValue(field, "formula_not_calculated")
    if isinstance(value, DateCell):
        raise InvalidValue(field, "is_a_date", value=value.iso)
    if isinstance(value, str) and not isinstance(value, Verbatim) and value.startswith("#"):
        text = value.strip()
        if text.upper() in _ERRORS or not text.strip("#"):
            raise InvalidValue(field, "cell_error", value=text[:40])


def _few_digits(price: Decimal) -> Decimal:
    """As it is, unless it has digits that calculating added."""
    if not price.is_finite() or digits_of(price) <= PRICE_DIGITS or abs(price.adjusted()) > KEPT_DIGITS:
        return price
    return kept_digits(price)


def _is_sign(sign: str) -> bool:
    return sign in _CURRENCIES or (len(sign) == 3 and sign.isascii() and sign.isalpha())


def _known_sign(text: str) -> str:
    sign = unicodedata.normalize("NFKC", text).strip().casefold()
    return sign if sign in _CURRENCIES else ""


def _currency(sign: str) -> str:
    return _CURRENCIES.get(sign, sign.upper())


def _bounded(digits: str, text: str) -> int:
    count = int(digits.replace(",", "")) if len(digits) <= 20 else _HIGHEST
    if abs(count) >= _HIGHEST:
        raise InvalidValue("stock", "not_a_stock", value=text[:40])
    return count
