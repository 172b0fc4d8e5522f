"""Prices: exact decimals that keep the digits they were written with, and how each database holds them."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import BigInteger, Numeric
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from livecart.shop.errors import InvalidValue

#: Digits behind the point: ISO 4217 knows up to 4 (CLF, UYW).
PRICE_DIGITS = 4
_TOTAL_DIGITS = 18
_HIGHEST = Decimal(10) ** (_TOTAL_DIGITS - PRICE_DIGITS)
_UNITS_PER_ONE = 10**PRICE_DIGITS
_CURRENCY = re.compile(r"[A-Z]{3}")


class Money(TypeDecorator[Decimal]):
    """NUMERIC(18, 4); in SQLite, whose NUMERIC is a float, an integer of ten-thousandths."""

    impl = Numeric(_TOTAL_DIGITS, PRICE_DIGITS)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        chosen: TypeEngine[Any] = (
            BigInteger() if dialect.name == "sqlite" else Numeric(_TOTAL_DIGITS, PRICE_DIGITS, asdecimal=True)
        )
        return dialect.type_descriptor(chosen)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return int(value * _UNITS_PER_ONE)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return Decimal(value) / _UNITS_PER_ONE if dialect.name == "sqlite" else Decimal(value)


def parse_price(text: str, field: str = "price") -> Decimal:
    """A price from text; "12.90" keeps both its digits."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation as error:
        raise InvalidValue(field, "not_a_price", value=text[:40]) from error
    return check_price(value, field)


def check_price(value: Decimal, field: str = "price") -> Decimal:
    """The price in plain digits: no exponent, no sign of a zero.

    Raises:
        InvalidValue: it is below 0, not finite, over 10^14, or has more than 4 digits behind the point.
    """
    if not value.is_finite() or value < 0 or value >= _HIGHEST:
        raise InvalidValue(field, "out_of_range", value=str(value)[:40], least=0, most=str(_HIGHEST))
    digits = digits_of(value)
    if digits > PRICE_DIGITS:
        raise InvalidValue(field, "too_many_digits", value=str(value)[:40], most_digits=PRICE_DIGITS)
    return with_digits(abs(value), digits)


def digits_of(value: Decimal) -> int:
    """Digits behind the point as written: 2 of 12.90."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def with_digits(value: Decimal, digits: int) -> Decimal:
    """The same number with that many digits behind the point."""
    return value.quantize(Decimal(1).scaleb(-digits))


def as_written(price: Decimal | None, digits: int) -> Decimal | None:
    """A stored price with the digits behind the point that it was written with."""
    return None if price is None else with_digits(price, digits)


def check_currency(code: str) -> str:
    """An ISO 4217 code such as CNY."""
    if not _CURRENCY.fullmatch(code):
        raise InvalidValue("currency", "not_a_currency", value=code[:40])
    return code
