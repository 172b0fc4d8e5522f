"""Tables as people send them: the sheet, heading and rows that they mean, or a message that says what to do."""

import io
import re
import zipfile

import openpyxl
import pytest

from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export.spreadsheet import read_table
from livecart.shop.schemas.product import ProductPatch
from tests.shop.catalog_stores import link

HEAD = ["货号", "商品名称", "链接", "价格"]
ROWS = [["a1", "螺蛳粉", link("1"), 12.9], ["a2", "酸梅汤", link("2"), 3]]


@pytest.fixture
def book():
    return openpyxl.Workbook()


def saved(book):
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def fill(sheet, *rows):
    for row in rows:
        sheet.append(row)


def read(data, name="t.xlsx"):
    return list(read_table(data, name))


def skus(data, name="t.xlsx"):
    return [row.sku if isinstance(row, ProductPatch) else str(row) for _, row in read(data, name)]


def test_a_hidden_first_sheet_and_one_of_notes_are_not_the_table(book):
    book.active.title, book.active.sheet_state = "字典", "hidden"
    fill(book.active, HEAD, ["wrong", "x", link("x"), 1])
    fill(book.create_sheet("说明"), ["填写说明"], ["每行一个商品"])
    fill(book.create_sheet("商品"), HEAD, *ROWS)
    assert skus(saved(book)) == ["a1", "a2"]


def test_of_two_tables_somebody_has_to_choose(book):
    fill(book.active, HEAD, *ROWS)
    fill(book.create_sheet("下架商品"), HEAD, ["a3", "x", link("3"), 1])
    with pytest.raises(FeedError, match=r"2 sheets are tables of products .*下架商品.*hide or remove"):
        read(saved(book))


def test_no_sheet_with_a_heading_says_what_was_found(book):
    fill(book.active, ["商品清单"], ["名字", "多少钱"])
    with pytest.raises(FeedError, match=r"no column is named sku .*the first rows hold: 名字, 多少钱"):
        read(saved(book))


def test_title_rows_blank_rows_and_stars_stand_before_the_products(book):
    rows = [["某某旗舰店 双十一商品表"], [], ["填表人：小鱼", None, "2026-11-01"]]
    fill(book.active, *rows, ["*货号（必填）", "＊商品名称", "链接 *", "价格\n(元)"], *ROWS)
    book.active.merge_cells("A1:D1")
    found = read(saved(book))
    assert [where for where, _ in found] == ["t.xlsx: row 5", "t.xlsx: row 6"]
    assert [(row.sku, str(row.price), row.currency) for _, row in found] == [("a1", "12.9", "CNY"), ("a2", "3", "CNY")]


def test_a_heading_in_two_rows_with_merged_cells_is_read_by_the_lower_one(book):
    sheet = book.active
    fill(sheet, ["货号", "商品", None, "价格", None], [None, "名称", "链接", "原价", "售价"])
    fill(sheet, ["a1", "螺蛳粉", link("1"), 15, 12.9])
    for cells in ("A1:A2", "B1:C1", "D1:E1"):
        sheet.merge_cells(cells)
    ((_, row),) = read(saved(book))
    assert (row.sku, row.name, str(row.price)) == ("a1", "螺蛳粉", "12.9")


def test_a_cell_merged_down_the_rows_is_of_all_of_them(book):
    sheet = book.active
    fill(
        sheet,
        [*HEAD, "品牌"],
        ["a1", "果汁 1L", link("1"), 1, "好喝"],
        ["a2", "果汁 2L", link("2"), 2],
        ["a3", "茶", link("3"), 3],
    )
    sheet.merge_cells("E2:E3")
    assert [row.brand for _, row in read(saved(book))] == ["好喝", "好喝", None]


def test_a_row_of_one_cell_across_the_columns_is_no_product(book):
    sheet = book.active
    fill(sheet, HEAD, ["饮料类"], ROWS[0], ["零食类"], ROWS[1])
    for row in (2, 4):
        sheet.merge_cells(start_row=row, end_row=row, start_column=1, end_column=4)
    assert skus(saved(book)) == ["a1", "a2"]


def test_a_heading_that_is_repeated_is_no_product():
    text = "货号,名称\nsku,name\na1,甲\n货号,名称\na2,乙\n"
    assert skus(text.encode(), "t.csv") == ["a1", "a2"]


@pytest.mark.parametrize("place", [100, 300])
def test_the_sku_may_stand_behind_a_hundred_columns(book, place):
    padding = [f"备注{number}" for number in range(place)]
    fill(book.active, [*padding, *HEAD], *([*padding, *row] for row in ROWS))
    assert skus(saved(book)) == ["a1", "a2"]
    text = "\n".join(",".join(map(str, row)) for row in ([*padding, *HEAD], *([*padding, *row] for row in ROWS)))
    assert skus(text.encode(), "t.csv") == ["a1", "a2"]


def test_a_cell_at_the_end_of_the_sheet_costs_nothing(book):
    fill(book.active, HEAD, *ROWS)
    book.active["XFD1048576"] = " "
    book.active["A1000000"].number_format = "0.00"
    assert skus(saved(book)) == ["a1", "a2"]


def test_an_uncalculated_formula_clears_nothing_and_an_empty_result_does(book):
    fill(book.active, HEAD, ["a1", "x", link("1"), "=1+1"], ["a2", "y", link("2"), 5])
    data = saved(book)
    (_, first), (_, second) = read(data)
    assert isinstance(first, InvalidValue)
    assert (first.reason, first.sku, second.price) == ("formula_not_calculated", "a1", 5)
    emptied = with_part(
        data, "sheet1.xml", rb'<c r="D2"[^>]*>.*?</c>', b'<c r="D2" t="str"><f>IF(A1="","","")</f><v></v></c>'
    )
    assert read(emptied)[0][1].price is None
    calculated = with_part(
        data, "sheet1.xml", rb'<c r="D2"[^>]*>.*?</c>', b'<c r="D2"><f>19.9*3</f><v>59.699999999999996</v></c>'
    )
    assert str(read(calculated)[0][1].price) == "59.7"


def with_part(data, ending, pattern, put):
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            if part.filename.endswith(ending):
                content, count = re.subn(pattern, lambda _: put, content, count=1, flags=re.DOTALL)
                assert count == 1
            new.writestr(part, content)
    return made.getvalue()


def test_characters_that_xml_cannot_hold_are_line_ends_again(book):
    fill(book.active, HEAD, ["a1", "螺蛳粉_x000D_\n加辣", link("1"), 1])
    assert read(saved(book))[0][1].name == "螺蛳粉 加辣"


@pytest.mark.parametrize(
    ("heads", "row", "fields"),
    [
        (
            "ID,SKU,Name,Regular price,Sale price,In stock?,Published",
            "117,T-5,Tea,4.50,3.50,1,1",
            {"sku": "T-5", "price": "3.50", "on_sale": "True"},
        ),
        ("编码,商家编码,商品名称,标题", "9001,T-5,绿茶,【直播】绿茶", {"sku": "T-5", "name": "绿茶"}),
        ("ID,标题", "117,绿茶", {"sku": "117", "name": "绿茶"}),
        ("商品ID,货号,原价,售价", "9,T-5,15,12.9", {"sku": "T-5", "price": "12.9"}),
        ("SKU,库存(上海仓),库存(北京仓)", "T-5,40,2", {"sku": "T-5", "stock": "42"}),
        ("SKU,总库存,库存状态", "T-5,40,无货", {"sku": "T-5", "stock": "0"}),
        (
            "Variant SKU,Title,Variant Price,Variant Inventory Qty",
            "T-5,Tea,4.50,7",
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
    lines = [
        "sep=" + delimiter,
        "商品表；2026,11",
        delimiter.join(HEAD),
        delimiter.join(['"a;1"', "甲,乙", link("1"), "1"]),
    ]
    if delimiter == ",":
        lines[-1] = lines[-1].replace("甲,乙", '"甲,乙"')
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
    fill(book.active, HEAD, *ROWS)
    assert skus(saved(book), "t.csv") == ["a1", "a2"]
    assert skus("货号\na1\n".encode(), "t.xlsx") == ["a1"]


def test_a_row_that_is_shorter_leaves_the_other_fields_as_they_are():
    (_, first), (_, second) = read(b"name,sku,price\nx,1\ny\n", "t.csv")
    assert first.given() == {"name": "x"}
    assert second.reason == "missing"
