"""An exported table that went through a spreadsheet is the same catalog: numbers, dates and long ids among it."""

import csv
import io
import re
from datetime import datetime, time

import msgspec
import openpyxl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from contract.card import PlatformOffer
from livecart.shop.errors import InvalidValue
from livecart.shop.import_export import excel
from livecart.shop.import_export.spreadsheet import read_table, write_csv
from livecart.shop.schemas.product import PATCH_FIELDS, Product, ProductPatch, check_patch
from tests.shop.catalog_stores import link

COMMON = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定"
)
#: What spreadsheets make numbers, dates, formulas or errors of, and what reading may take for something else.
TRAPS = [
    "007", "1001.0", "12.50", "1e5", "1E+5", "6.02E23", "1,299", "50%", "200%", "$12", "¥12.9", "(5)", "1 1/2", "3-5",
    "1/2", "2026/11/11", "11.11", "5月1日", "2-Mar", "Mar 5", "12:30", "1:30 PM", "TRUE", "false", "#N/A", "=1+1",
    "+86", "-5", "@home", "'s", "''", "6921234567890", "3612345678901234567", "12345678901", "123456789012", "ＡＢ１",
    "０１", "A&amp;B", "a|b", "甲、乙", "[1", '"quoted"', "a,b;c", "none", "sku", "货号", "7up", "1d", "0", "sku:1",
    "👨‍👩‍👧", "Crème brûlée", "½", "100+", "有货",
]  # fmt: skip


def taken_as_it_is(field):
    def check(text):
        given = {"sku": "x", field: text}
        try:
            return getattr(check_patch(ProductPatch(**given), allowed_hosts=()), field) == text
        except InvalidValue:
            return False

    return check


texts = st.one_of(
    st.sampled_from(TRAPS),
    st.text(COMMON, min_size=1, max_size=8),
    st.text("0123456789", min_size=1, max_size=20),
    st.text("0123456789./-: eE%,年月日ABz螺'", min_size=1, max_size=10),
    st.builds("{} {}".format, st.sampled_from(TRAPS), st.sampled_from(TRAPS)),
)
skus = texts.filter(taken_as_it_is("sku"))
names = texts.filter(taken_as_it_is("name"))
products = st.builds(
    Product,
    sku=skus,
    name=names,
    url=st.integers(1, 10**9).map(lambda number: link(str(number))),
    brand=st.none() | names,
    words=st.lists(names, max_size=3, unique=True).map(tuple),
    labels=st.lists(names, max_size=2, unique=True).map(tuple),
    # In a CSV 17.589 may be 17,589: of a currency with two decimals it is refused.
    price=st.none()
    | st.decimals(0, 10**13, places=2)
    | st.decimals(0, 1000, places=4).filter(lambda price: price.normalize().as_tuple().exponent != -3),
    currency=st.none() | st.sampled_from(["CNY", "USD"]),
    stock=st.none() | st.integers(0, 2_000_000_000),
    on_sale=st.booleans(),
    threshold=st.none() | st.integers(0, 100).map(lambda hundredths: hundredths / 100),
    rooms=st.none() | st.lists(names.filter(lambda name: len(name) < 100), max_size=2, unique=True).map(tuple),
    offers=st.just(())
    | st.builds(
        lambda item_id, slot: (
            PlatformOffer(platform="douyin", item_id=item_id, url=link("1|2?a=1&copy=1"), slot=slot),
            PlatformOffer(platform="taobao", item_id="9", sku_id=item_id, url=link("2")),
        ),
        st.from_regex(r"[!-~]{1,64}", fullmatch=True),
        st.none() | st.integers(1, 9999),
    ),
)
catalogs = st.lists(products, min_size=1, max_size=4, unique_by=lambda product: product.sku)

_NUMBER = re.compile(r"[¥$]?\s*\(?([+-]?(?:\d{1,3}(?:,\d{3})+|\d*)(?:\.\d*)?(?:[eE][+-]?\d{1,3})?)\)?\s*(%?)")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DATE = re.compile(
    rf"(?:\d{{4}}[-/.])?\d{{1,2}}[-/]\d{{1,2}}|\d{{1,2}}[-/]\d{{1,2}}[-/]\d{{2,4}}|(?:\d+年)?\d+月(?:\d+日)?|"
    rf"\d{{1,2}}[- ]?(?:{'|'.join(_MONTHS)})|(?:{'|'.join(_MONTHS)})[- ]?\d{{1,2}}|\d+ \d+/\d+"
)
_TIME = re.compile(r"\d{1,2}:\d{1,2}(?::\d{1,2})?(?: [AP]M)?", re.IGNORECASE)


def opened(cell):
    """A CSV's cell as a spreadsheet takes it: number, date, time, truth value, or text."""
    text = cell.strip()
    number = _NUMBER.fullmatch(text)
    if number and re.match(r"[+-]?\.?\d", number[1]):
        value = float(number[1].replace(",", ""))
        return float(f"{value / 100 if number[2] else value:.15g}")
    if text.upper() in ("TRUE", "FALSE"):
        return text.upper() == "TRUE"
    if _DATE.fullmatch(text):
        return datetime(2026, 3, 5)
    if _TIME.fullmatch(text):
        return time(1, 30)
    assert not text.startswith(("=", "+", "-", "@")), "it would run as a formula"
    return cell


def shown(value, digits):
    """As a cell of no format shows it, and a CSV is saved."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return "5-Mar" if digits == 11 else "2026/3/5"
    if isinstance(value, time):
        return "1:30:00"
    if isinstance(value, float):
        if value and not 1e-9 <= abs(value) < 10**digits:
            mantissa, exponent = f"{value:.5E}".split("E")
            return f"{mantissa.rstrip('0').rstrip('.')}E{int(exponent):+03}"
        text = f"{value:.{max(0, digits - len(str(int(abs(value)))) - 1)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value


def saved_as_csv(rows, encoding, delimiter=",", digits=11, quoting=csv.QUOTE_MINIMAL):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=quoting).writerows(
        [[shown(cell, digits) for cell in row] for row in rows]
    )
    return file.getvalue().encode(encoding)


def saved_as_workbook(rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(["" if cell == "" else cell for cell in row])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


HABITS = {
    "nobody opened it": ("t.csv", None),
    "Excel, CSV UTF-8": ("t.csv", lambda rows: saved_as_csv(rows, "utf-8-sig")),
    "Excel, CSV in China": ("t.csv", lambda rows: saved_as_csv(rows, "gbk")),
    "Excel, Unicode text": ("t.txt", lambda rows: saved_as_csv(rows, "utf-16", "\t")),
    "Excel or WPS, workbook": ("t.xlsx", saved_as_workbook),
    "LibreOffice, CSV": ("t.csv", lambda rows: saved_as_csv(rows, "utf-8", ";", 15, csv.QUOTE_ALL)),
}
#: A file of which nobody could tell the encoding is refused: this one has enough text.
ANCHOR = Product(
    sku="ANCHOR",
    name="好欢螺柳州螺蛳粉加辣加臭袋装米粉方便速食",
    words=("广西特产正宗螺蛳汤底酸笋腐竹花生米", "净含量三百克保质期一百八十天", "请置于阴凉干燥处避免阳光直射"),
    url=link("anchor"),
)


@pytest.fixture(autouse=True)
def no_process(monkeypatch):
    """What limits it is tested elsewhere."""
    monkeypatch.setattr(
        excel, "run_untrusted", lambda work, data, **_: msgspec.msgpack.decode(msgspec.msgpack.encode(work(data)))
    )


def same(patch, product):
    assert isinstance(patch, ProductPatch), str(patch)
    patch = check_patch(patch, allowed_hosts=["shop.example.com"])
    assert patch.sku == product.sku
    # 12.9 is 12.90.
    assert [getattr(patch, name) for name in PATCH_FIELDS] == [getattr(product, name) for name in PATCH_FIELDS]


@pytest.mark.parametrize("habit", HABITS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(catalog=catalogs)
def test_what_a_spreadsheet_saves_of_an_export_is_the_same_catalog(habit, catalog):
    catalog = [ANCHOR, *catalog]
    text = "".join(write_csv(catalog)).lstrip("\ufeff")
    name, save = HABITS[habit]
    rows = [[opened(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]
    if habit == "Excel, CSV in China":
        # It writes ? in place of other characters, which nobody can undo.
        assume(text.encode("gbk", "ignore").decode("gbk") == text)
    data = save(rows) if save else text.encode()
    back = [row for _, row in read_table(data, name)]
    assert len(back) == len(catalog)
    for patch, product in zip(back, catalog, strict=True):
        same(patch, product)
        assert save or str(patch.price) == str(product.price)


def test_programs_find_skus_of_digits_as_they_are_and_what_a_person_changes_counts():
    text = "".join(write_csv([Product(sku=sku, name="a", url=link("1")) for sku in ("001234", "A1")]))
    rows = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    assert [(row["sku"], row["sku_text"]) for row in rows] == [("001234", "sku:001234"), ("A1", "")]
    changed = text.replace("\n001234,", "\n5678,")
    assert changed != text
    assert next(iter(read_table(changed.encode(), "t.csv")))[1].sku == "5678"
