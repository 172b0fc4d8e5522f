"""Prices as people write them, and the currency beside them."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from livecart.shop.errors import InvalidValue
from livecart.shop.import_export.cells import (
    KEPT_DIGITS,
    DateCell,
    NumberCell,
    Verbatim,
    check_cell,
    clean_text,
    kept_digits,
)
from livecart.shop.schemas.money import PRICE_DIGITS, digits_of

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
_PRICE_CHARS = 40
_DAY = re.compile(r"^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")


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
    check_cell("price", value)
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


def has_decimal_point(text: str) -> bool:
    """True for a price by which `1.299` of the same column has decimals, and is not 1,299."""
    return bool(_DECIMAL_POINT.search(unicodedata.normalize("NFKC", text[:_PRICE_CHARS])))


def is_like_thousands(text: str) -> bool:
    """True for `1.299`."""
    return bool(_POINT_AND_THREE.fullmatch(text))


def currency_of(text: str) -> str | None:
    """The code that a heading or cell says: CNY for 元. None: it says none."""
    known = _CURRENCIES.get(unicodedata.normalize("NFKC", text).strip().casefold())
    return known or None


def price_and_currency(
    values: Mapping[str, Any], exact: dict[str, Any], at: datetime | None, point_is_decimal: bool
) -> None:
    """Puts into `exact` price, sale and its end, and the currency that they name where no other field does."""
    if "price" not in values and "sale_price" not in values:
        return
    currency = str(exact.get("currency") or "")
    price, sign = read_price(values.get("price"), currency, point_is_decimal=point_is_decimal)
    sale, sale_sign = read_price(values.get("sale_price"), currency, point_is_decimal=point_is_decimal)
    if sign and sale_sign and sign != sale_sign:
        raise InvalidValue("currency", "currency_differs", written=sale_sign, given=sign)
    begins, ends = read_date(values.get("sale_from")), read_date(values.get("sale_to"), is_end=True)
    at = at or datetime.now().astimezone()
    if sale is not None and not ((begins is None or begins <= at) and (ends is None or at < ends)):
        sale = None
    if price is None:
        price, sale = sale, None
    if sale is not None and price is not None and sale >= price:
        sale = None
    exact["price"] = price
    if "sale_price" in values:
        exact["sale_price"] = sale
        exact["sale_to_s"] = None if sale is None or ends is None else ends.timestamp()
    said = _currency(sign or sale_sign)
    given = exact.get("currency")
    if not given and said:
        exact["currency"] = said
    elif given and said and given != said and given not in _SHARED.get(sign, ()):
        raise InvalidValue("currency", "currency_differs", written=said, given=str(given)[:40])


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
