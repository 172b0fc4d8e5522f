"""CSV and Excel: what staff upload and download. Bounded on the way in, harmless on the way out."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from livecart.catalog.transfer.fields import NO_ROOM, to_patch
from livecart.catalog.values import PATCH_FIELDS, Product, ProductPatch
from livecart.errors import FeedError, InvalidValue

MOST_BYTES = 32 * 1024 * 1024
MOST_ROWS = 200_000
MOST_COLUMNS = 100
_CELL_CHARS = 20_000
#: An Excel file is a zip: what it unpacks to, all parts together, and how many there are.
_MOST_UNPACKED_BYTES = 400 * 1024 * 1024
_MOST_PARTS = 2_000
#: What the first row may call each field, beside its own name.
_HEADERS = {
    "sku": ("货号", "商品编码", "商品编号", "编码", "商家编码", "id"),
    "name": ("名称", "商品名称", "商品名", "标题", "title"),
    "url": ("链接", "商品链接", "购买链接", "link"),
    "brand": ("品牌",),
    "words": ("关键词", "包装文字"),
    "labels": ("标签", "类别"),
    "price": ("价格", "售价", "单价"),
    "currency": ("币种", "货币"),
    "stock": ("库存", "库存数量", "quantity"),
    "on_sale": ("在售", "上架", "是否在售"),
    "threshold": ("阈值",),
    "rooms": ("直播间", "房间"),
}
_FIELD_OF = {
    title.casefold(): name for name, titles in _HEADERS.items() for title in (name, name.replace("_", " "), *titles)
}
#: What a spreadsheet takes for the start of a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def read_table(data: bytes, file_name: str) -> Iterator[tuple[str, ProductPatch | InvalidValue]]:
    """The products of an uploaded table: `(where, patch)`, or `(where, what is wrong)` for a row that is no product.

    The first row names the columns, in Chinese or English; columns of other names are not looked at.

    Args:
        data: .csv (UTF-8 or GB18030; comma, semicolon or tab) or .xlsx.
        file_name: its ending says which.

    Raises:
        FeedError: too large, neither kind, damaged, or without a column for the sku.
    """
    if len(data) > MOST_BYTES:
        raise FeedError(f"{file_name}: has {len(data)} bytes, more than {MOST_BYTES}")
    ending = PurePath(file_name).suffix.casefold()
    if ending == ".xlsx":
        rows = _excel_rows(data, file_name)
    elif ending == ".csv":
        rows = _csv_rows(data, file_name)
    else:
        raise FeedError(f"{file_name}: must end in .csv or .xlsx (an old .xls: save it as .xlsx first)")
    columns = _columns(next(rows, []), file_name)
    for number, row in enumerate(rows, 2):
        if number > MOST_ROWS + 1:
            raise FeedError(f"{file_name}: has more than {MOST_ROWS} rows")
        values = {name: _unguarded(row[index]) for index, name in columns.items() if index < len(row)}
        if all(value in (None, "") for value in values.values()):
            continue
        where = f"{file_name}: row {number}"
        try:
            yield where, to_patch(values, where)
        except InvalidValue as error:
            yield where, error


def write_csv(products: Iterable[Product]) -> Iterator[str]:
    """The catalog as CSV, a line at a time, with a mark that makes Excel read it as UTF-8.

    A cell that a spreadsheet would take for a formula starts with an apostrophe; `read_table` takes it off.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    file.write("\ufeff")
    writer.writerow(["sku", *PATCH_FIELDS])
    for product in products:
        writer.writerow([_guarded(_cell(name, getattr(product, name))) for name in ("sku", *PATCH_FIELDS)])
        yield file.getvalue()
        file.seek(0)
        file.truncate()
    yield file.getvalue()


def _cell(name: str, value: Any) -> str:
    if name == "rooms" and value is not None and not value:
        return NO_ROOM
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False) if _needs_json(value) else "|".join(value)
    return str(value)


def _needs_json(values: tuple[str, ...]) -> bool:
    """Whether joined by | they would be read as something else."""
    return values == (NO_ROOM,) or any(set(entry) & set("|;；、\n") or entry.startswith("[") for entry in values)


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith((*_FORMULA, "'")) else text


def _unguarded(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > _CELL_CHARS:
            raise FeedError(f"a cell holds more than {_CELL_CHARS} characters")
        if value.startswith("'") and value[1:].startswith((*_FORMULA, "'")):
            return value[1:]
    return value


def _columns(titles: Iterable[Any], file_name: str) -> dict[int, str]:
    columns: dict[int, str] = {}
    for index, title in enumerate(titles):
        name = _FIELD_OF.get(str(title or "").strip().casefold())
        if name is not None:
            if name in columns.values():
                raise FeedError(f"{file_name}: two columns for {name} ({title!r} is the second)")
            columns[index] = name
    if "sku" not in columns.values():
        raise FeedError(f"{file_name}: no column is named sku (or {', '.join(_HEADERS['sku'])})")
    return columns


def _csv_rows(data: bytes, file_name: str) -> Iterator[list[Any]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            # What a Chinese Excel writes when nobody asks it for UTF-8.
            text = data.decode("gb18030")
        except UnicodeDecodeError as error:
            raise FeedError(f"{file_name}: is neither UTF-8 nor GB18030") from error
    first_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            yield list(row[:MOST_COLUMNS])
    except csv.Error as error:
        raise FeedError(f"{file_name}: cannot be read as CSV: {error}") from error


def _excel_rows(data: bytes, file_name: str) -> Iterator[list[Any]]:
    import openpyxl

    if not openpyxl.DEFUSEDXML:
        raise FeedError("Excel files are not read without defusedxml; pip install defusedxml")
    _check_zip(data, file_name)
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    except Exception as error:
        raise FeedError(f"{file_name}: cannot be read as Excel: {error}") from error
    try:
        sheet = book.worksheets[0]
        # The file says how large it is; it may say anything.
        sheet.reset_dimensions()
        for row in sheet.iter_rows(max_col=MOST_COLUMNS, values_only=True):
            yield list(row)
    except FeedError:
        raise
    except Exception as error:
        raise FeedError(f"{file_name}: cannot be read as Excel: {error}") from error
    finally:
        book.close()


def _check_zip(data: bytes, file_name: str) -> None:
    """Before anything is unpacked. `zipfile` unpacks no more of a part than its entry says, so what it says counts."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            parts = file.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise FeedError(f"{file_name}: is no Excel file: {error}") from error
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > _MOST_PARTS or unpacked > _MOST_UNPACKED_BYTES:
        raise FeedError(f"{file_name}: unpacks to {unpacked} bytes in {len(parts)} parts, more than is taken")
