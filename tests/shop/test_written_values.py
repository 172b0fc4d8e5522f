"""Values as people write them in tables and feeds: each means one thing, or is refused."""

from datetime import datetime
from decimal import Decimal

import pytest

from livecart.shop.errors import InvalidValue
from livecart.shop.import_export.cells import DateCell, NumberCell, OpenFormula, Verbatim, kept_digits
from livecart.shop.import_export.rows import RowReader, read_row
from livecart.shop.import_export.spreadsheet import read_table
from livecart.shop.import_export.stock import read_stock
from livecart.shop.schemas.product import ProductPatch, check_patch, tidy
from tests.shop.catalog_stores import link
from tests.shop.written_values import NUMBER_CELLS, WRITTEN

CASES = [(field, given, taken) for field, values in WRITTEN.items() for given, taken in values]


def taken_for(field, value):
    """What the catalog would hold, or the reason of the refusal in brackets."""
    try:
        patch = read_row({"sku": "s", field: value}, "row 2")
        patch = check_patch(patch, allowed_hosts=["shop.example.com"])
    except InvalidValue as error:
        return f"[{error.reason}]" if error.field == field else f"[{error.field}: {error.reason}]"
    read = getattr(patch, field)
    if field == "price" and patch.given().get("currency"):
        return f"{read} {patch.currency}"
    if isinstance(read, bool):
        return "yes" if read else "no"
    return ", ".join(read) if isinstance(read, tuple) else "unknown" if read is None else str(read)


@pytest.mark.parametrize(("field", "given", "taken"), CASES, ids=[f"{field} {given!r}" for field, given, _ in CASES])
def test_what_is_written_means_one_thing_or_is_refused(field, given, taken):
    if isinstance(given, str) and field == "sku":
        # As a cell of a table: what defeats a spreadsheet is taken off there.
        (_, row), *_ = read_table(f'name,sku\nx,"{given.replace(chr(34), chr(34) * 2)}"\n'.encode(), "t.csv")
        assert (row.sku if isinstance(row, ProductPatch) else f"[{row.reason}]") == taken
    else:
        assert taken_for(field, given) == taken


@pytest.mark.parametrize(("field", "number", "form", "taken"), NUMBER_CELLS)
def test_a_number_of_a_workbook_is_what_its_format_shows(field, number, form, taken):
    assert taken_for(field, NumberCell(kept_digits(Decimal(repr(number))), form)) == taken


def test_a_date_or_an_uncalculated_formula_is_no_value():
    for field in ("sku", "name", "price", "stock", "brand", "words", "threshold"):
        assert taken_for(field, DateCell("2026-03-05 00:00:00")) == "[is_a_date]"
        assert taken_for(field, OpenFormula()) == "[formula_not_calculated]"


SALE = {"price": "20.00", "sale_price": "15.00"}


@pytest.mark.parametrize(
    ("values", "price"),
    [
        (SALE, "15.00"),
        (SALE | {"sale_price": ""}, "20.00"),
        (SALE | {"sale_price": "25.00"}, "20.00"),
        (SALE | {"price": ""}, "15.00"),
        (SALE | {"sale_from": "2026-11-01", "sale_to": "2026-11-11"}, "15.00"),
        (SALE | {"sale_from": "2026/11/12"}, "20.00"),
        (SALE | {"sale_to": "2026-11-10"}, "20.00"),
        (SALE | {"sale_to": "2026年11月11日"}, "15.00"),
        (SALE | {"sale_from": "2026-11-11T13:00+0000", "sale_to": ""}, "20.00"),
        (SALE | {"sale_from": DateCell("2026-11-12 00:00:00")}, "20.00"),
        (SALE | {"sale_from": "next week"}, "not_a_date"),
    ],
)
def test_a_sale_counts_while_it_is_on_and_lower(values, price):
    at = datetime.fromisoformat("2026-11-11T12:00:00+00:00")
    row = RowReader(at).read({"sku": "1", **values}, "")
    if isinstance(row, ProductPatch):
        assert str(row.sale_price or row.price) == price
    else:
        assert row.reason == price


def test_a_sale_keeps_the_usual_price_and_its_end():
    at = datetime.fromisoformat("2026-11-11T12:00:00+00:00")
    row = RowReader(at).read({"sku": "1", **SALE, "sale_to": "2026-11-12T20:00+08:00"}, "")
    ends_at_s = datetime.fromisoformat("2026-11-12T12:00:00+00:00").timestamp()
    assert (str(row.price), str(row.sale_price), row.sale_to_s) == ("20.00", "15.00", ends_at_s)
    over = RowReader(at).read({"sku": "1", **SALE, "sale_to": "2026-11-11T12:00+00:00"}, "")
    assert (str(over.price), over.sale_price, over.sale_to_s) == ("20.00", None, None)
    told_twice = RowReader(at).read({"sku": "1", "price": "¥20", "sale_price": "US$2"}, "")
    assert told_twice.reason == "currency_differs"


@pytest.mark.parametrize(
    ("price", "given", "taken"),
    [
        ("12.9", "usd", "USD"),
        ("12.9元", "", "CNY"),
        ("12.9元", "CNY", "CNY"),
        ("¥1299.00", "JPY", "JPY"),
        ("12.9元", "USD", "currency_differs"),
        ("12.9 EUR", "USD", "currency_differs"),
    ],
)
def test_price_and_currency_agree_or_are_refused(price, given, taken):
    row = RowReader().read({"sku": "1", "price": price, "currency": given}, "")
    assert (row.currency if isinstance(row, ProductPatch) else row.reason) == taken


@pytest.mark.parametrize(
    ("values", "stock"),
    [
        ({"in_stock": "1"}, 1),
        ({"in_stock": "有货"}, None),
        ({"in_stock": "http://schema.org/OutOfStock"}, 0),
        ({"in_stock": "0", "stock": "40"}, 0),
        ({"in_stock": "yes", "stock": "40"}, 40),
        ({"in_stock": "审核中"}, "not_a_stock"),
    ],
)
def test_a_column_of_being_there_says_no_more_than_that(values, stock):
    row = RowReader().read({"sku": "1", **values}, "")
    assert (row.stock if isinstance(row, ProductPatch) else row.reason) == stock


def test_warehouses_are_added_up():
    assert read_stock(["40", NumberCell(Decimal(2)), "", "-3"]) == 42
    assert [read_stock(cells) for cells in (["", "有货"], ["有货", "0"], ["", ""])] == [None] * 3
    assert [read_stock(cells) for cells in (["有货", "40"], ["", "0"])] == [40, 0]


def test_what_is_verbatim_is_not_read_otherwise():
    patch = read_row({"sku": Verbatim("1001.0"), "name": Verbatim("A&amp;B"), "price": Verbatim("12.90")}, "")
    assert (patch.sku, patch.name, str(patch.price)) == ("1001.0", "A&amp;B", "12.90")


@pytest.mark.parametrize(
    ("written", "refused"),
    [
        (["1001", "1001.0"], [1]),
        (["TEA-5", "ＴＥＡ－５", "TEA-5"], [1]),
        ([Decimal("1001.0"), 1001, "1001.0"], [1]),
        ([1001, "1001", NumberCell(Decimal(1001))], []),
        (["1001", "1002"], []),
    ],
)
def test_a_sku_that_is_spelled_in_another_way_further_up_is_refused(written, refused):
    reader = RowReader()
    rows = [reader.read({"sku": sku, "stock": 1}, f"row {number}") for number, sku in enumerate(written)]
    assert [number for number, row in enumerate(rows) if isinstance(row, InvalidValue)] == refused
    assert all((rows[number].reason, rows[number].where) == ("sku_twice", f"row {number}") for number in refused)


def test_a_refusal_knows_whose_it_is():
    with pytest.raises(InvalidValue) as refused:
        read_row({"sku": "1001.0", "price": "cheap"}, "row 2")
    assert (refused.value.sku, refused.value.field) == ("1001", "price")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", True),
        ("❤\ufe0f\u200d🔥", True),
        ("می\u200cخواهم", True),
        ("क्\u200dष", True),
        ("🩷", True),
        ("甲\u3000乙", True),
        ("a\u200db", False),
        ("\u200d👨", False),
        ("x\U000e0067", False),
        ("a\u3164b\ue000", False),
        ("ab\u202egpj.exe", False),
    ],
)
def test_what_nobody_sees_is_left_out_but_what_joins_emoji_and_letters(text, kept):
    assert (tidy(text) == text) is kept
    patch = check_patch(ProductPatch(sku="1", name=f"x{text}"), allowed_hosts=())
    assert patch.name == f"x{text}" if kept else len(patch.name) < len(f"x{text}")


def test_a_price_in_another_unit_or_with_a_currency_in_its_title():
    (_, row), *_ = read_table("货号,价格（元）\n1,12.9\n".encode(), "t.csv")
    assert (row.price, row.currency) == (Decimal("12.9"), "CNY")
    (_, row), *_ = read_table("货号,价格(美元),币种\n1,12.9,EUR\n".encode(), "t.csv")
    assert row.currency == "EUR"
    (_, row), *_ = read_table(f"sku,url,价格（必填）\n1,{link('1')},\n".encode(), "t.csv")
    assert "currency" not in row.given()


@pytest.mark.parametrize(
    ("others", "taken"),
    [
        (["2.499"], "price_ambiguous"),
        (["1.299.000"], "price_ambiguous"),
        (["12.9"], "1.299"),
        (["1,299.50"], "1.299"),
        (["1299.500"], "1.299"),
    ],
)
def test_a_lone_point_before_three_digits_is_what_the_column_says(others, taken):
    lines = [f'{number},"{price}"' for number, price in enumerate(["1.299", *others])]
    (_, row), *_ = read_table("\n".join(["sku,price", *lines]).encode(), "t.csv")
    assert (str(row.price) if isinstance(row, ProductPatch) else row.reason) == taken
