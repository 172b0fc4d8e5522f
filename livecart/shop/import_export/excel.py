"""An Excel workbook's table of products, read in a process with limits: its one visible sheet that is one."""

import io
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from itertools import chain, islice
from typing import Any

from livecart.core.untrusted import OverLimit, run_untrusted
from livecart.shop.errors import FeedError
from livecart.shop.import_export.cells import DateCell, NumberCell, OpenFormula, kept_digits
from livecart.shop.import_export.columns import MOST_ROWS_ABOVE, PRODUCT_TITLES, Heading, Titles, find_heading

#: An Excel file is a zip: what it unpacks to, all parts together, and how many there are.
_MOST_UNPACKED_BYTES = 64 * 1024 * 1024
_MOST_PARTS = 2_000
#: 64 MiB of cells take a minute of a slow core; a text that many cells name is held once, until it is sent.
_LIMIT_S = 90.0
_MEMORY_MIB = 512
_MERGED = re.compile(rb'mergeCell\s[^<>]{0,80}?ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_MOST_MERGED, _MOST_ACROSS = 200_000, 100
#: How Excel writes characters that XML cannot hold.
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")

Row = tuple[int, dict[int, Any]]


def excel_table(
    data: bytes, file_name: str, most_rows: int, of: Titles = PRODUCT_TITLES
) -> tuple[Heading, Iterator[Row]]:
    """The heading, and the rows below it with their numbers.

    Args:
        data: the file.
        file_name: for messages.
        most_rows: rows that are not empty; one more is given where there are more.
        of: titles that are looked for.

    Raises:
        FeedError: it is no workbook, too large, or its table cannot be told.
    """
    _check_zip(data, file_name)
    try:
        found = run_untrusted(partial(_parse, of=of), data, limit_s=_LIMIT_S, memory_mib=_MEMORY_MIB)
    except OverLimit as error:
        raise FeedError("excel_too_costly", where=file_name) from error
    if found["problem"]:
        raise FeedError("excel_malformed", where=file_name, cause=found["problem"])
    _, heading = choose_sheet(found["heads"], file_name, of)
    # A cell that is not there is empty.
    empty = dict.fromkeys(heading.columns)
    rows = islice(found["rows"], most_rows + 1)
    return heading, ((number, empty | {index: _value(cell) for index, cell in cells.items()}) for number, cells in rows)


def choose_sheet(heads: Mapping[str, list[dict[int, Any]]], file_name: str, of: Titles) -> tuple[str, Heading]:
    """The sheet whose first rows have a heading.

    Raises:
        FeedError: none has, or several.
    """
    found: dict[str, Heading] = {}
    fault: FeedError | None = None
    for name, rows in heads.items():
        try:
            found[name] = find_heading(rows, file_name, of)
        except FeedError as error:
            if fault is None or error.reason != "no_sku_column":
                fault = error
    if len(found) > 1:
        names = ", ".join(name[:31] for name in list(found)[:5])
        raise FeedError("several_sheets", where=file_name, count=len(found), names=names)
    if not found:
        raise fault or FeedError("excel_malformed", where=file_name, cause="no visible sheet")
    return next(iter(found.items()))


def _parse(data: bytes, of: Titles) -> dict[str, Any]:
    """The first rows of each visible sheet by its name, all rows of the one that is a table, and what is wrong."""
    import openpyxl

    if not openpyxl.DEFUSEDXML:
        return {"problem": "defusedxml is not installed; pip install defusedxml"}
    heads: dict[str, list[dict[int, Any]]] = {}
    rows: list[Row] = []
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        sheets = {sheet.title: sheet for sheet in book.worksheets if sheet.sheet_state == "visible"}
        readers = {name: _rows(book, sheet) for name, sheet in sheets.items()}
        firsts = {name: list(islice(reader, MOST_ROWS_ABOVE)) for name, reader in readers.items()}
        heads = {name: [titles for _, _, titles in first] for name, first in firsts.items()}
        try:
            name, heading = choose_sheet(heads, "", of)
        except FeedError:
            # Said by who asked.
            pass
        else:
            rows = list(_looked_at(chain(firsts[name][heading.row + 1 :], readers[name]), heading))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  openpyxl raises nearly anything on hostile bytes
        return {"problem": str(error) or type(error).__name__}
    return {"problem": "", "heads": heads, "rows": rows}


def _looked_at(rows: Iterable[tuple[int, dict[int, Any], Any]], heading: Heading) -> Iterator[Row]:
    for number, cells, _ in rows:
        kept = {index: cells[index] for index in heading.columns if index in cells}
        if kept:
            yield number, kept


def _rows(book: Any, sheet: Any) -> Iterator[tuple[int, dict[int, Any], dict[int, Any]]]:
    """Rows that are not empty: number, cells by column, and the same where titles go across columns.

    Cells merged down the rows have the value of their first. A row that is one cell across columns is no product.
    """
    parser_class = _parser_class()
    path = sheet._worksheet_path
    merged = _Merged(book._archive.read(path))
    with book._archive.open(path) as source:
        parser = parser_class(
            source,
            sheet._shared_strings,
            data_only=True,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        for number, row in parser.parse():
            cells = {cell["column"]: value for cell in row if (value := _cell(book, cell)) is not None}
            across = merged.fill(number, cells)
            filled = sum(not isinstance(cell, str) or not cell.isspace() for cell in cells.values())
            if filled and not (filled == 1 and len(across) > 1):
                yield number, cells, across | cells


def _parser_class() -> type[Any]:
    from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

    class Parser(WorkSheetParser):
        """openpyxl's own, which tells a formula without a result from an empty cell."""

        def parse_cell(self, element: Any) -> dict[str, Any]:
            cell: dict[str, Any] = super().parse_cell(element)
            if cell["value"] is None and element.find(FORMULA_TAG) is not None and element.get("t") != "str":
                cell["data_type"] = "f"
            return cell

    return Parser


def _cell(book: Any, cell: dict[str, Any]) -> Any:
    """Text, or what `_value` makes a cell of again: MessagePack holds no more."""
    value, kind = cell["value"], cell["data_type"]
    if kind == "f":
        return {"formula": True}
    if value is None or isinstance(value, str):
        return value and _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float) and math.isfinite(value):
        number = Decimal(value) if isinstance(value, int) else kept_digits(Decimal(repr(value)))
        return {"number": str(number), "form": _form(book, cell["style_id"])}
    return {"date": str(value)} if kind == "d" else str(value)


def _form(book: Any, style: int) -> str:
    from openpyxl.styles.numbers import BUILTIN_FORMATS, BUILTIN_FORMATS_MAX_SIZE

    number = book._cell_styles[style].numFmtId
    if number < BUILTIN_FORMATS_MAX_SIZE:
        return BUILTIN_FORMATS.get(number, "General")
    return str(book._number_formats[number - BUILTIN_FORMATS_MAX_SIZE])


class _Merged:
    """Merged cells of a sheet. They stand behind its rows, and are wanted before."""

    def __init__(self, sheet: bytes) -> None:
        from openpyxl.utils import column_index_from_string as column

        self._starting: dict[int, list[tuple[int, int, int]]] = {}
        for match in islice(_MERGED.finditer(sheet), _MOST_MERGED):
            first, last = int(match[2]), int(match[4])
            span = (column(match[1].decode()), column(match[3].decode()), last)
            self._starting.setdefault(first, []).append(span)
        #: Column: its value, and the last row that has it.
        self._open: dict[int, tuple[Any, int]] = {}

    def fill(self, number: int, cells: dict[int, Any]) -> dict[int, Any]:
        """Puts into a row's cells what is merged into them from above; gives what goes across its columns."""
        for column, (value, last_row) in list(self._open.items()):
            if number > last_row:
                del self._open[column]
            else:
                cells.setdefault(column, value)
        across: dict[int, Any] = {}
        for first, last, last_row in self._starting.pop(number, ()):
            if first not in cells:
                continue
            if last_row > number:
                self._open[first] = (cells[first], last_row)
            if last > first:
                across |= dict.fromkeys(range(first, min(last, first + _MOST_ACROSS) + 1), cells[first])
        return across


def _value(cell: Any) -> Any:
    if not isinstance(cell, dict):
        return cell
    if "number" in cell:
        return NumberCell(Decimal(cell["number"]), cell["form"])
    return DateCell(cell["date"]) if "date" in cell else OpenFormula()


def _check_zip(data: bytes, file_name: str) -> None:
    """Before anything is unpacked. `zipfile` unpacks no more of a part than its entry says, so what it says counts."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            parts = file.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise FeedError("excel_not_a_zip", where=file_name, cause=str(error)) from error
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > _MOST_PARTS or unpacked > _MOST_UNPACKED_BYTES:
        raise FeedError("excel_too_large", where=file_name, size_bytes=unpacked, parts=len(parts))
