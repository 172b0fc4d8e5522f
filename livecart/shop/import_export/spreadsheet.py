"""CSV and Excel: what staff upload and download. Bounded on the way in, harmless on the way out."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import PurePath
from typing import Any

from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export.cells import KEPT_DIGITS, Verbatim, clean_text, read_sku
from livecart.shop.import_export.columns import (
    MOST_ROWS_ABOVE,
    PRODUCT_TITLES,
    Heading,
    Titles,
    cell_of,
    find_heading,
    is_title_of_sku,
)
from livecart.shop.import_export.encodings import decode_text
from livecart.shop.import_export.excel import Row, excel_table
from livecart.shop.import_export.prices import currency_of, has_decimal_point, is_like_thousands
from livecart.shop.import_export.rows import RowReader
from livecart.shop.schemas.product import PATCH_FIELDS, Product, ProductPatch

MOST_BYTES = 32 * 1024 * 1024
MOST_ROWS = 200_000
#: A table's file name ends so.
TABLE_ENDINGS = frozenset({".csv", ".tsv", ".txt", ".xlsx", ".xlsm"})
_CELL_CHARS = 20_000
#: What a spreadsheet takes for the start of a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBERS = frozenset({"price", "sale_price", "stock", "on_sale", "threshold", "limit_per_buyer"})
#: A whole number that a spreadsheet shows as it was written: of more digits it shows 6.92E+12.
_PLAIN_NUMBER = re.compile(r"0|[1-9]\d{0,10}")
#: Letters that a date, time or number may hold: months, AM and PM, an exponent, 年月日, units of money.
_OF_DATES = re.compile(
    r"jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?|"
    r"dec(ember)?|[ap]m|e|[年月日时分秒元时點点]|上午|下午|星期.|周."
)
_WORDS = frozenset({"true", "false"})
#: Before the second copy of a sku.
_COPY = "sku:"


@dataclass(frozen=True)
class Table:
    """A table whose heading was found. `rows` are read once."""

    file_name: str
    heading: Heading
    rows: Iterator[Row]
    #: Its prices say that `1.299` is not 1,299.
    point_is_decimal: bool = False
    #: By product, the files that its cells of pictures name, of the rows read so far.
    image_files: dict[str, list[str]] = field(default_factory=dict)

    @property
    def has_sale_dates(self) -> bool:
        """True where it may mean other prices tomorrow."""
        return not {"sale_from", "sale_to"}.isdisjoint(self.heading.columns.values())

    def cells(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Of each row that is not empty `(where, cells by field)`.

        Raises:
            FeedError: it is damaged, or has too many rows.
        """
        for count, (number, cells) in enumerate(self.rows, 1):
            if count > MOST_ROWS:
                raise FeedError("too_many_rows", where=self.file_name, most=MOST_ROWS)
            where = f"{self.file_name}: row {number}"
            values = {name: _unguarded(name, value, where) for name, value in self.heading.values(cells).items()}
            if not all(map(_is_empty, values.values())):
                yield where, values

    def products(self, at: datetime | None = None) -> Iterator[tuple[str, ProductPatch | InvalidValue]]:
        """Of each row `(where, patch)`, or `(where, what is wrong)`.

        Args:
            at: when, for prices of a sale. None: now.

        Raises:
            FeedError: it is damaged, or has too many rows.
        """
        currency = currency_of(self.heading.price_unit)
        reader = RowReader(at, self.point_is_decimal, self.image_files)
        for where, values in self.cells():
            copied = values.pop("sku_text", None)
            if isinstance(copied, str) and copied.startswith(_COPY):
                values["sku"] = _exact_sku(copied.removeprefix(_COPY), values.get("sku"))
            sku = values.get("sku")
            if is_title_of_sku(sku) and not isinstance(sku, Verbatim):
                continue
            if currency and not _is_empty(values.get("price")) and _is_empty(values.get("currency")):
                values["currency"] = currency
            entry = reader.read(values, where)
            if entry is not None:
                yield where, entry
        for patch in reader.groups():
            yield f"{self.file_name}: {patch.sku}", patch


def read_table(data: bytes, file_name: str) -> Iterator[tuple[str, ProductPatch | InvalidValue]]:
    """The products of an uploaded table, as of `open_table`."""
    return open_table(data, file_name).products()


def open_table(data: bytes, file_name: str, of: Titles = PRODUCT_TITLES) -> Table:
    """A table; one of its first rows names the columns, in Chinese or English, others are not looked at.

    Args:
        data: text, in any encoding that can be told, parted by comma, semicolon or tab; or a workbook.
        file_name: for messages; its ending says that it is a table.
        of: titles that are looked for.

    Raises:
        FeedError: too large, neither kind, damaged, or without a column for the sku.
    """
    if len(data) > MOST_BYTES:
        raise FeedError("table_too_large", where=file_name, most_bytes=MOST_BYTES)
    if PurePath(file_name).suffix.casefold() not in TABLE_ENDINGS:
        raise FeedError("table_of_no_kind", where=file_name)
    return Table(file_name, *_table(data, file_name, of))


def write_csv(products: Iterable[Product]) -> Iterator[str]:
    """The catalog as CSV, a line at a time, with a mark that makes Excel read it as UTF-8.

    A cell that a spreadsheet would take for a formula, or make a number or date of, starts with an apostrophe, which
    `open_table` takes off. Programs read skus: one of digits stands as it is, and once more in the last column, `sku:`
    before it, where a spreadsheet would change it.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    file.write("\ufeff")
    writer.writerow(["sku", *PATCH_FIELDS, "sku_text"])
    for product in products:
        cells = [_guarded(name, cell_of(name, getattr(product, name))) for name in ("sku", *PATCH_FIELDS)]
        writer.writerow([*cells, _COPY + product.sku if _is_changed("sku", product.sku) else ""])
        yield file.getvalue()
        file.seek(0)
        file.truncate()
    yield file.getvalue()


def guarded_text(text: str) -> str:
    """A cell that no spreadsheet takes for a formula, or makes a number or date of."""
    return _guarded("name", text)


def _guarded(name: str, text: str) -> str:
    return f"'{text}" if _needs_guard(name, text) else text


def _needs_guard(name: str, text: str) -> bool:
    if not text:
        return False
    if text.startswith((*_FORMULA, "'")):
        return True
    if name in _NUMBERS:
        return sum(map(str.isdigit, text)) >= KEPT_DIGITS - 4 or (
            name in ("price", "sale_price") and is_like_thousands(text)
        )
    return name != "sku" and _is_changed(name, text)


def _is_changed(name: str, text: str) -> bool:
    """True for a text of which a spreadsheet, or reading it as a person's, would make another."""
    is_title = name == "sku" and is_title_of_sku(text)
    return is_title or text.casefold() in _WORDS or _is_like_number(text) or _read(name, text) != text


def _is_like_number(text: str) -> bool:
    """True where a spreadsheet may make a number or date of it and show it otherwise, or may have."""
    if _PLAIN_NUMBER.fullmatch(text) or not any(map(str.isdigit, text)):
        return False
    return not any(map(str.isalpha, _OF_DATES.sub("", text.casefold())))


def _exact_sku(copy: str, cell: Any) -> Any:
    """The sku that was exported, unless its cell was changed by a person since."""
    try:
        seen = read_sku(cell)
        exact = read_sku(copy)
    except InvalidValue:
        return Verbatim(copy)
    is_kept = seen.casefold() in (copy.casefold(), exact.casefold()) or _number(seen) == _number(copy)
    return Verbatim(copy) if is_kept or _is_like_number(seen) else cell


def _number(text: str) -> Decimal | str:
    """The number that a spreadsheet makes of a text; the text where it makes none."""
    plain = re.sub(r"[\s,()¥$€£元%]", "", unicodedata.normalize("NFKC", text))
    try:
        return Decimal(plain) / (100 if "%" in text else 1)
    except ArithmeticError:
        return text


def _read(name: str, text: str) -> str | None:
    """The value of a cell with that text; None: refused."""
    try:
        return read_sku(text) if name == "sku" else clean_text(name, text)
    except InvalidValue:
        return None


def _unguarded(name: str, value: Any, where: str) -> Any:
    if isinstance(value, list):
        return [_unguarded(name, each, where) for each in value]
    if isinstance(value, str):
        if len(value) > _CELL_CHARS:
            raise FeedError("cell_too_long", where=where, most_chars=_CELL_CHARS)
        rest = value[1:]
        if value.startswith("'") and rest and (name in _NUMBERS or name == "sku" or _needs_guard(name, rest)):
            return Verbatim(rest)
    return value


def _is_empty(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_empty, value))
    return value is None or (isinstance(value, str) and not value.strip())


def _table(data: bytes, file_name: str, of: Titles) -> tuple[Heading, Iterator[Row], bool]:
    """By what the bytes are: programs give a table any ending."""
    if data.startswith(b"PK\x03\x04"):
        return *excel_table(data, file_name, MOST_ROWS, of), False
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise FeedError("table_is_old_excel", where=file_name)
    if PurePath(file_name).suffix.casefold() in {".xlsx", ".xlsm"} and b"\0" in data[:1000]:
        return *excel_table(data, file_name, MOST_ROWS, of), False
    text = decode_text(data, file_name)
    if text.lstrip()[:15].casefold().startswith(("<html", "<!doctype html", "<table", "<?xml")):
        raise FeedError("table_is_html", where=file_name)
    return _csv_table(text, file_name, of)


def _csv_table(text: str, file_name: str, of: Titles) -> tuple[Heading, Iterator[Row], bool]:
    """The delimiter is the one by which the heading names the most columns; and whether a price has a decimal point."""
    best: tuple[str, Heading] | None = None
    fault: FeedError | None = None
    for delimiter in ",;\t|":
        try:
            first = [cells for _, cells in islice(_csv_rows(text, delimiter, file_name), MOST_ROWS_ABOVE)]
            heading = find_heading(first, file_name, of)
        except FeedError as error:
            fault = fault if fault and error.reason == "no_sku_column" else error
            continue
        if best is None or len(heading.columns) > len(best[1].columns):
            best = (delimiter, heading)
    if best is None or (len(best[1].columns) == 1 and fault and fault.reason != "no_sku_column"):
        raise fault or FeedError("table_of_no_kind", where=file_name)
    delimiter, heading = best
    prices = [index for index, name in heading.columns.items() if name in ("price", "sale_price")]
    point_is_decimal = bool(prices) and any(
        has_decimal_point(cells.get(index, ""))
        for _, cells in _rows_below(text, delimiter, heading, file_name)
        for index in prices
    )
    return heading, _rows_below(text, delimiter, heading, file_name), point_is_decimal


def _rows_below(text: str, delimiter: str, heading: Heading, file_name: str) -> Iterator[Row]:
    return islice(_csv_rows(text, delimiter, file_name), heading.row + 1, None)


def _csv_rows(text: str, delimiter: str, file_name: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for number, row in enumerate(reader, 1):
            yield number, dict(enumerate(row))
    except csv.Error as error:
        raise FeedError("csv_malformed", where=f"{file_name}: line {reader.line_num}", cause=str(error)) from error
