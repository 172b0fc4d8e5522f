"""Tables as people send them: read within bounds, or a message that says what to do; no written cell is a formula."""

import csv
import io
import re
import zipfile
from decimal import Decimal

import openpyxl
import pytest

from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export import excel, spreadsheet
from livecart.shop.import_export.spreadsheet import read_table, write_csv
from livecart.shop.schemas.product import Product, ProductPatch
from tests.shop.catalog_stores import link


class Book(openpyxl.Workbook):
    def fill(self, *rows, sheet=None):
        """Rows on the first sheet, or on one more of that name."""
        into = self.create_sheet(sheet) if sheet else self.active
        for row in rows:
            into.append(row)
        return into

    def saved(self):
        file = io.BytesIO()
        self.save(file)
        return file.getvalue()


def workbook(*rows) -> bytes:
    book = Book()
    book.fill(*rows)
    return book.saved()


def patches(data, name="upload.csv"):
    return [patch for _, patch in read_table(data, name)]


HEAD = ["货号", "商品名称", "链接", "价格", "币种", "库存", "在售", "关键词", "直播间", "备注"]


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8", ","), ("utf-8-sig", ";"), ("gb18030", "\t")])
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
    first = [1001, "螺蛳粉", link("1"), 12.9, "CNY", 40.0, True, None, None]
    data = workbook(HEAD, first, [None] * 9, ["2", "b", "u", 3])
    first, second = patches(data, "upload.XLSX")
    assert (first.sku, first.price, first.stock, first.on_sale) == ("1001", Decimal("12.9"), 40, True)
    assert (first.words, first.rooms) == ((), None)
    assert (second.sku, second.price, second.stock) == ("2", Decimal(3), None)


def test_a_bad_row_is_told_and_the_others_are_read():
    found = list(read_table(b"sku,stock,price\n1,5,1\n2,many,1\n,5,1\n4,1,cheap\n5,5,1\n", "up.csv"))
    good = [(where, isinstance(value, ProductPatch)) for where, value in found]
    assert good == [(f"up.csv: row {number}", number in (2, 6)) for number in range(2, 7)]
    assert found[0][1].given() == {"stock": 5, "price": 1}
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


@pytest.mark.parametrize(
    ("data", "name", "told"),
    [
        (b"sku\n1\n", "a.xls", "must end in"),
        (b"name\nx\n", "a.csv", "no column is named sku"),
        ("sku,货号\n1,1\n".encode(), "a.csv", "two columns"),
        (b'sku\n"1\n', "a.csv", "as CSV"),
        (b"sku\n" + b"1" * 200_000, "a.csv", "as CSV"),
        (b"PK\x03\x04 no zip", "a.xlsx", "no Excel"),
        (bomb(70_000_000), "a.xlsx", "unpacks to"),
        (b" " * (spreadsheet.MOST_BYTES + 1), "a.csv", "more than"),
    ],
    ids=["xls", "no-sku", "twice", "quote", "cell", "no-zip", "bomb", "large"],
)
def test_what_cannot_be_read_is_refused(data, name, told):
    with pytest.raises(FeedError, match=told):
        patches(data, name)


def test_too_many_rows_and_entities_are_refused(monkeypatch):
    monkeypatch.setattr(spreadsheet, "MOST_ROWS", 2)
    with pytest.raises(FeedError, match="more than 2 rows"):
        patches(b"sku\n1\n2\n3\n")
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(["sku"], ["1"]))) as book, zipfile.ZipFile(made, "w") as out:
        for part in book.infolist():
            laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' * part.filename.endswith("sheet1.xml")
            out.writestr(part, laughs + book.read(part))
    with pytest.raises(FeedError, match="as Excel"):
        patches(made.getvalue(), "a.xlsx")


@pytest.mark.parametrize("limit", [("_LIMIT_S", 0.1), ("_MEMORY_MIB", 64)])
def test_an_excel_file_that_takes_too_long_or_too_much_ends_with_its_process(monkeypatch, limit):
    data = workbook(["sku"], *(["x" * 10_000] for _ in range(5_000)))
    monkeypatch.setattr(excel, *limit)
    with pytest.raises(FeedError, match="too much time or memory"):
        patches(data, "a.xlsx")


@pytest.mark.parametrize("lead", ["=", "+", "-", "@", "\uff1d", "'"])
def test_nothing_in_an_export_runs_in_a_spreadsheet(lead):
    text = f"{lead}cmd|'/c calc'!A1"
    product = Product(sku=text, name=text, url=link("1"), brand=text, words=(text,), labels=(text,), rooms=(text,))
    (_, row) = csv.reader(io.StringIO("".join(write_csv([product])).lstrip("\ufeff")))
    assert [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\uff1d"))] == []


TITLES = ["货号", "商品名称", "链接", "价格"]
GOODS = [["a1", "螺蛳粉", link("1"), 12.9], ["a2", "酸梅汤", link("2"), 3]]


@pytest.fixture
def book():
    return Book()


def read(data, name="t.xlsx"):
    return list(read_table(data, name))


def skus(data, name="t.xlsx"):
    return [row.sku if isinstance(row, ProductPatch) else str(row) for _, row in read(data, name)]


def test_a_hidden_first_sheet_and_one_of_notes_are_not_the_table(book):
    book.active.title, book.active.sheet_state = "字典", "hidden"
    book.fill(TITLES, ["wrong", "x", link("x"), 1])
    book.fill(["填写说明"], ["每行一个商品"], sheet="说明")
    book.fill(TITLES, *GOODS, sheet="商品")
    assert skus(book.saved()) == ["a1", "a2"]


def test_of_two_tables_somebody_has_to_choose_and_of_none_it_says_what_was_found(book):
    book.fill(TITLES, *GOODS)
    book.fill(TITLES, ["a3", "x", link("3"), 1], sheet="下架商品")
    with pytest.raises(FeedError, match=r"2 sheets are tables of products .*下架商品.*hide or remove"):
        read(book.saved())
    other = Book()
    other.fill(["商品清单"], ["名字", "多少钱"])
    with pytest.raises(FeedError, match=r"no column is named sku .*the first rows hold: 名字, 多少钱"):
        read(other.saved())


def test_title_rows_blank_rows_and_stars_stand_before_the_products(book):
    rows = [["某某旗舰店 双十一商品表"], [], ["填表人：小鱼", None, "2026-11-01"]]
    book.fill(*rows, ["*货号（必填）", "＊商品名称", "链接 *", "价格\n(元)"], *GOODS)
    book.active.merge_cells("A1:D1")
    found = read(book.saved())
    assert [where for where, _ in found] == ["t.xlsx: row 5", "t.xlsx: row 6"]
    assert [(row.sku, str(row.price), row.currency) for _, row in found] == [("a1", "12.9", "CNY"), ("a2", "3", "CNY")]


def test_a_heading_in_two_rows_with_merged_cells_is_read_by_the_lower_one(book):
    heading = [["货号", "商品", None, "价格", None], [None, "名称", "链接", "原价", "售价"]]
    sheet = book.fill(*heading, ["a1", "螺蛳粉", link("1"), 15, 12.9])
    for cells in ("A1:A2", "B1:C1", "D1:E1"):
        sheet.merge_cells(cells)
    ((_, row),) = read(book.saved())
    assert (row.sku, row.name, str(row.price)) == ("a1", "螺蛳粉", "12.9")


def test_a_cell_merged_down_the_rows_is_of_all_of_them(book):
    rows = [["a1", "果汁 1L", link("1"), 1, "好喝"], ["a2", "果汁 2L", link("2"), 2], ["a3", "茶", link("3"), 3]]
    sheet = book.fill([*TITLES, "品牌"], *rows)
    sheet.merge_cells("E2:E3")
    assert [row.brand for _, row in read(book.saved())] == ["好喝", "好喝", None]


def test_a_row_of_one_cell_across_the_columns_is_no_product(book):
    sheet = book.fill(TITLES, ["饮料类"], GOODS[0], ["零食类"], GOODS[1])
    for row in (2, 4):
        sheet.merge_cells(start_row=row, end_row=row, start_column=1, end_column=4)
    assert skus(book.saved()) == ["a1", "a2"]


def test_a_heading_that_is_repeated_is_no_product():
    text = "货号,名称\nsku,name\na1,甲\n货号,名称\na2,乙\n"
    assert skus(text.encode(), "t.csv") == ["a1", "a2"]


def test_the_sku_may_stand_behind_hundreds_of_columns(book):
    rows = [[*(f"备注{number}" for number in range(300)), *row] for row in (TITLES, *GOODS)]
    book.fill(*rows)
    assert skus(book.saved()) == ["a1", "a2"]
    assert skus("\n".join(",".join(map(str, row)) for row in rows).encode(), "t.csv") == ["a1", "a2"]


def test_a_cell_at_the_end_of_the_sheet_costs_nothing(book):
    book.fill(TITLES, *GOODS)
    book.active["XFD1048576"] = " "
    book.active["A1000000"].number_format = "0.00"
    assert skus(book.saved()) == ["a1", "a2"]


def test_an_uncalculated_formula_clears_nothing_and_an_empty_result_does(book):
    book.fill(TITLES, ["a1", "x", link("1"), "=1+1"], ["a2", "y", link("2"), 5])
    data = book.saved()
    (_, first), (_, second) = read(data)
    assert isinstance(first, InvalidValue)
    assert (first.reason, first.sku, second.price) == ("formula_not_calculated", "a1", 5)
    emptied = with_d2(data, b'<c r="D2" t="str"><f>IF(A1="","","")</f><v></v></c>')
    assert read(emptied)[0][1].price is None
    calculated = with_d2(data, b'<c r="D2"><f>19.9*3</f><v>59.699999999999996</v></c>')
    assert str(read(calculated)[0][1].price) == "59.7"


def with_d2(data, cell):
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            if part.filename.endswith("sheet1.xml"):
                content, count = re.subn(rb'<c r="D2"[^>]*>.*?</c>', lambda _: cell, content, flags=re.DOTALL)
                assert count == 1
            new.writestr(part, content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("heads", "row", "fields"),
    [
        (
            "ID,SKU,Regular price,Sale price,Published",
            "117,T-5,4.50,3.50,1",
            {"sku": "T-5", "price": "4.50", "sale_price": "3.50"},
        ),
        ("编码,商家编码,商品名称,标题", "9001,T-5,绿茶,【直播】绿茶", {"sku": "T-5", "name": "绿茶"}),
        ("ID,标题", "117,绿茶", {"sku": "117", "name": "绿茶"}),
        ("商品ID,货号,原价,售价", "9,T-5,15,12.9", {"sku": "T-5", "price": "12.9"}),
        ("SKU,库存(上海仓),库存(北京仓)", "T-5,40,2", {"sku": "T-5", "stock": "42"}),
        ("SKU,总库存,库存状态", "T-5,40,无货", {"sku": "T-5", "stock": "0"}),
        (
            "Variant SKU,Variant Price,Variant Inventory Qty",
            "T-5,4.50,7",
            {"sku": "T-5", "price": "4.50", "stock": "7"},
        ),
    ],
)
def test_of_several_titles_of_a_field_the_one_that_says_more_counts(heads, row, fields):
    ((_, patch),) = read(f"{heads}\n{row}\n".encode(), "t.csv")
    assert {name: str(getattr(patch, name)) for name in fields} == fields


@pytest.mark.parametrize(
    ("heads", "told"),
    [
        ("货号,商家编码,名称", "two columns for sku \\('货号' and '商家编码'\\); remove one"),
        ("货号,价格,售价", "two columns for price"),
        ("货号,库存,库存", "two columns for stock"),
        ("货号,价格（分）", "in another unit"),
    ],
)
def test_columns_that_may_mean_either_are_refused_by_name(heads, told):
    with pytest.raises(FeedError, match=told):
        read(f"{heads}\n1,2,3\n".encode(), "t.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_parts_the_titles(delimiter):
    row = delimiter.join(['"a;1"', '"甲,乙"', link("1"), "1"])
    lines = ["sep=" + delimiter, "商品表；2026,11", delimiter.join(TITLES), row]
    ((_, row),) = read("\r\n".join(lines).encode(), "t.csv")
    assert (row.sku, row.name) == ("a;1", "甲,乙")


@pytest.mark.parametrize(
    ("data", "name", "told"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "t.xlsx", "old .xls, or has a password"),
        (b"<html><table><tr><td>sku</td></tr></table>", "t.csv", "is a web page"),
        (b"a\0b", "t.xlsx", "no Excel file"),
    ],
)
def test_a_file_that_is_something_else_says_what_to_do(data, name, told):
    with pytest.raises(FeedError, match=told):
        read(data, name)


def test_a_file_is_what_its_bytes_are_whatever_its_ending(book):
    book.fill(TITLES, *GOODS)
    assert skus(book.saved(), "t.csv") == ["a1", "a2"]
    assert skus("货号\na1\n".encode(), "t.xlsx") == ["a1"]


def test_a_row_that_is_shorter_leaves_the_other_fields_as_they_are():
    (_, first), (_, second) = read(b"name,sku,price\nx,1\ny\n", "t.csv")
    assert first.given() == {"name": "x"}
    assert second.reason == "missing"
