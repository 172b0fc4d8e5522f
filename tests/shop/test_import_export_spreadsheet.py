"""CSV and Excel: read within bounds, written so that no cell is a formula."""

import csv
import io
import zipfile
from decimal import Decimal

import openpyxl
import pytest

from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export import excel, spreadsheet
from livecart.shop.import_export.spreadsheet import read_table, write_csv
from livecart.shop.schemas.product import Product, ProductPatch
from tests.shop.catalog_stores import link


def workbook(*rows) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def patches(data, name="upload.csv"):
    return [patch for _, patch in read_table(data, name)]


HEAD = ["货号", "商品名称", "链接", "价格", "币种", "库存", "在售", "关键词", "直播间", "备注"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_chinese_titles(encoding, delimiter):
    row = ["1001", "好欢螺螺蛳粉", link("1001"), "12.90", "CNY", "40", "是", "螺蛳粉、柳州", "none", "说明"]
    text = "\r\n".join(delimiter.join(cells) for cells in (HEAD, row, [""] * 10))
    (patch,) = patches(text.encode(encoding))
    assert patch == ProductPatch(
        sku="1001",
        name="好欢螺螺蛳粉",
        url=link("1001"),
        price=Decimal("12.90"),
        currency="CNY",
        stock=40,
        on_sale=True,
        words=("螺蛳粉", "柳州"),
        rooms=(),
    )


def test_excel_numbers_are_what_they_look_like():
    data = workbook(
        HEAD, [1001, "螺蛳粉", link("1"), 12.9, "CNY", 40.0, True, None, None], [None] * 9, ["2", "b", "u", 3]
    )
    first, second = patches(data, "upload.XLSX")
    assert (first.sku, first.price, first.stock, first.on_sale) == ("1001", Decimal("12.9"), 40, True)
    assert (first.words, first.rooms) == ((), None)
    assert (second.sku, second.price, second.stock) == ("2", Decimal(3), None)


def test_a_column_that_is_not_there_is_left_alone():
    (patch,) = patches(b"sku,stock\n1001,5\n")
    assert patch.given() == {"stock": 5}


def test_a_bad_row_is_told_and_the_others_are_read():
    found = list(read_table(b"sku,stock,price\n1,5,1\n2,many,1\n,5,1\n4,1,cheap\n5,5,1\n", "up.csv"))
    assert [(where, type(value)) for where, value in found] == [
        ("up.csv: row 2", ProductPatch),
        ("up.csv: row 3", InvalidValue),
        ("up.csv: row 4", InvalidValue),
        ("up.csv: row 5", InvalidValue),
        ("up.csv: row 6", ProductPatch),
    ]
    assert str(found[1][1]) == ("up.csv: row 3: stock: 'many' is no stock: give a count, or in stock, or out of stock")


@pytest.mark.parametrize("cell", ["[" * 15_000, f"[{'9' * 5_000}]", "[1"], ids=["nested", "digits", "cut"])
def test_a_list_that_is_none_is_an_error_of_its_row(cell):
    (_, found), (_, other) = read_table(f"sku,words\n1,{cell}\n2,a\n".encode(), "up.csv")
    assert isinstance(found, InvalidValue)
    assert (found.field, found.reason, other.sku) == ("words", "not_a_json_list", "2")


def bomb(size_bytes: int) -> bytes:
    file = io.BytesIO()
    name = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out, out.open(name, "w", force_zip64=True) as part:
        for _ in range(size_bytes // 1_000_000):
            part.write(b" " * 1_000_000)
    return file.getvalue()


def billion_laughs() -> bytes:
    source = io.BytesIO(workbook(["sku"], ["1"]))
    target = io.BytesIO()
    with zipfile.ZipFile(source) as book, zipfile.ZipFile(target, "w") as out:
        for part in book.infolist():
            data = book.read(part)
            if part.filename.endswith("sheet1.xml"):
                data = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' + data
            out.writestr(part, data)
    return target.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "told"),
    [
        (b"sku\n1\n", "a.xls", "must end in"),
        (b"name\nx\n", "a.csv", "no column is named sku"),
        (b"", "a.csv", "no column is named sku"),
        ("sku,货号\n1,1\n".encode(), "a.csv", "two columns"),
        (b"sku\n\xff\xfe\xff", "a.csv", "cannot be told for sure"),
        (b'sku\n"1\n', "a.csv", "as CSV"),
        (b"sku\n" + b"1" * 200_000, "a.csv", "as CSV"),
        (b"PK\x03\x04 no zip", "a.xlsx", "no Excel"),
        (bomb(70_000_000), "a.xlsx", "unpacks to"),
        (billion_laughs(), "a.xlsx", "as Excel"),
        (b" " * (spreadsheet.MOST_BYTES + 1), "a.csv", "more than"),
    ],
    ids=["xls", "no-sku", "empty", "twice", "bytes", "quote", "cell", "no-zip", "bomb", "laughs", "large"],
)
def test_what_cannot_be_read_is_refused(data, name, told):
    with pytest.raises(FeedError, match=told):
        patches(data, name)


@pytest.mark.parametrize("limit", [("_LIMIT_S", 0.1), ("_MEMORY_MIB", 64)])
def test_an_excel_file_that_takes_too_long_or_too_much_ends_with_its_process(monkeypatch, limit):
    data = workbook(["sku"], *(["x" * 10_000] for _ in range(5_000)))
    monkeypatch.setattr(excel, *limit)
    with pytest.raises(FeedError, match="too much time or memory"):
        patches(data, "a.xlsx")


def test_too_many_rows_are_refused(monkeypatch):
    monkeypatch.setattr(spreadsheet, "MOST_ROWS", 2)
    with pytest.raises(FeedError, match="more than 2 rows"):
        patches(b"sku\n1\n2\n3\n")


PRODUCTS = [
    Product(
        sku="=1+1",
        name='@SUM(A1) "quoted", with comma',
        url=link("1"),
        brand="'apostrophe",
        words=("+84", "a|b", "-x"),
        labels=("=cmd|'/c calc'!A1",),
        price=Decimal("12.90"),
        currency="CNY",
        stock=0,
        on_sale=False,
        threshold=0.25,
        rooms=(),
    ),
    Product(sku="2", name="普通", url=link("2"), words=("甲", "乙"), rooms=("none",)),
    Product(sku="3", name="三", url=link("3"), words=("[x",), rooms=("room-1", "room-2")),
]


def test_what_is_written_is_read_back():
    text = "".join(write_csv(PRODUCTS))
    fields = ProductPatch.__struct_fields__
    back = patches(text.encode())
    assert [{name: getattr(patch, name) for name in fields} for patch in back] == [
        {name: getattr(product, name) for name in fields} for product in PRODUCTS
    ]


def test_no_written_cell_starts_a_formula():
    rows = list(csv.reader(io.StringIO("".join(write_csv(PRODUCTS)).lstrip("\ufeff"))))
    assert len(rows) == 4
    assert [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))] == []
    assert rows[1][0] == "'=1+1"
