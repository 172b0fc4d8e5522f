"""Cells of tables and values of feeds as a person sees them: texts cleaned, ids, numbers by their format.

`0000` shows 7 as 0007, `"A-"000` as A-007, `0.00` 12.9 as 12.90. What cannot be understood for sure is refused.
"""

import html
import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from livecart.shop.errors import InvalidValue
from livecart.shop.schemas.money import PRICE_DIGITS, digits_of, with_digits
from livecart.shop.schemas.product import tidy

#: Of a number; a spreadsheet keeps no more.
KEPT_DIGITS = 15
#: A literal, a colour or currency in brackets, a blank as wide as a character, a fill; or one character.
_TOKEN = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|_.|\*.|(.)', re.DOTALL)
_SHOWN_AS_IT_IS = frozenset("-+/():! ¥￥$€£")
#: A format of fewer does not show a price.
_DIGITS_OF_MONEY = 2
_DECIMALS = re.compile(r"[0#?]\.([0#?]+)")
_ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"})
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,31});")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
#: ="001": what is written so that no spreadsheet takes it for a number.
_AS_TEXT = re.compile(r'="([^"]*)"')
_SHORTENED = re.compile(r"[+-]?\d+(?:[.,]\d+[eE]|[eE]\+)[+]?\d+")
_FLOAT_ID = re.compile(r"(\d+)\.0+")
_FULL_WIDTH = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


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


@dataclass(frozen=True, slots=True)
class NumberCell:
    """A number and its number format, such as `General` or `0.00`."""

    number: Decimal
    form: str = "General"

    @property
    def is_whole(self) -> bool:
        return self.number == self.number.to_integral_value()

    @property
    def has_lost_digits(self) -> bool:
        """True where it has more digits than a spreadsheet keeps."""
        return self.number.adjusted() >= KEPT_DIGITS

    def plain(self) -> str:
        return format(self.number.normalize(), "f") if self.number else "0"

    def shown(self) -> str:
        """A whole number by a format of zeros and literals; by any other, plain."""
        if not self.is_whole or self.number < 0:
            return self.plain()
        return _by_zeros(self.plain(), self.form) or self.plain()

    def amount(self) -> Decimal:
        """With the digits behind the point that the format shows, if it shows any.

        A format of one digit may be of a column made for others: it takes nothing away.
        """
        match = _DECIMALS.search(self.form)
        if match is None or self.has_lost_digits or "%" in self.form or "E" in self.form:
            return self.number
        most = min(len(match[1]), PRICE_DIGITS)
        if digits_of(self.number) > most:
            if most < _DIGITS_OF_MONEY:
                return self.number
            return self.number.quantize(Decimal(1).scaleb(-most), ROUND_HALF_UP)
        return with_digits(self.number, max(digits_of(self.number), min(match[1].count("0"), most)))

    def literals(self) -> str:
        """The text that the format adds: a sign of a currency, a unit."""
        return "".join(text for text, is_literal in _tokens(self.form) if is_literal)


def kept_digits(number: Decimal) -> Decimal:
    """Without the digits that calculating in binary adds: 59.7 for 59.699999999999996."""
    if number.adjusted() >= KEPT_DIGITS:
        return number
    lowest = number.adjusted() - KEPT_DIGITS + 1
    rounded = number.quantize(Decimal(1).scaleb(lowest), ROUND_HALF_UP) if digits_of(number) > -lowest else number
    return with_digits(rounded, digits_of(rounded.normalize()))


def _tokens(form: str) -> list[tuple[str, bool]]:
    """Characters of the part for positive numbers; True: shown as they are."""
    tokens = []
    for match in _TOKEN.finditer(form):
        quoted, escaped, currency, plain = match.groups()
        if plain == ";":
            break
        text = next((each for each in (quoted, escaped, currency, plain) if each is not None), "")
        tokens += [(each, plain is None or each in _SHOWN_AS_IT_IS) for each in text]
    return tokens


def _by_zeros(digits: str, form: str) -> str | None:
    tokens = _tokens(form)
    if any(not is_literal and each not in "0#" for each, is_literal in tokens):
        return None
    places = [index for index, (each, is_literal) in enumerate(tokens) if not is_literal]
    if not any(tokens[index][0] == "0" for index in places):
        return None
    shown = [each for each, _ in tokens]
    left = list(digits)
    for index in reversed(places):
        shown[index] = left.pop() if left else "0" * (tokens[index][0] == "0")
    shown[places[0]] = "".join(left) + shown[places[0]]
    return "".join(shown).strip()


def clean_text(field: str, value: Any) -> str:
    """Text without what nobody sees, its lines and entities (`&amp;`) resolved.

    Raises:
        InvalidValue: it is no text or number, or its characters are lost.
    """
    check_cell(field, value)
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
    if field in ("url", "offers", "variants", "image_urls"):
        # `&copy=1` of a query is no entity.
        return tidy(text.replace("&amp;", "&")).strip()
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    text = tidy(_CONTROLS.sub(" ", text))
    if "\ufffd" in text:
        raise InvalidValue(field, "characters_lost", value=text.strip()[:40])
    return text


def read_sku(value: Any) -> str:
    """The id that a person sees.

    Raises:
        InvalidValue: it is missing, a date, or has lost digits.
    """
    check_cell("sku", value)
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


def check_cell(field: str, value: Any) -> None:
    if isinstance(value, OpenFormula):
        raise InvalidValue(field, "formula_not_calculated")
    if isinstance(value, DateCell):
        raise InvalidValue(field, "is_a_date", value=value.iso)
    if isinstance(value, str) and not isinstance(value, Verbatim) and value.startswith("#"):
        text = value.strip()
        if text.upper() in _ERRORS or not text.strip("#"):
            raise InvalidValue(field, "cell_error", value=text[:40])
