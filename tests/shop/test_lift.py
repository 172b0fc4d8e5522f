"""Orders of a platform's export beside what was explained when."""

import csv
import io
from datetime import datetime, timedelta

import openpyxl
import pytest

from livecart.shop import lift
from livecart.shop.chapters import Explanation
from livecart.shop.errors import FeedError

START_S = 1_760_000_000.0


def explained(*spans):
    """Explanations of (sku, from, to), seconds of the show."""
    return [
        Explanation(sku, f"商品 {sku}", "https://shop.example.com/1", begin_s, end_s, START_S + begin_s, 0, 0)
        for sku, begin_s, end_s in spans
    ]


def lifts(spans, orders, show_s=3600.0):
    lines = [(sku, START_S + at_s) for sku, at_s in orders]
    return lift.lifts(explained(*spans), lines, start_s=START_S, end_s=START_S + show_s)


@pytest.mark.parametrize(
    ("spans", "orders", "expected"),
    [
        pytest.param([("a", 60, 120)], [59, 60, 419.9, 420, 3599], (2, 360, 3, 3240), id="from its start on"),
        pytest.param([("a", 60, 120), ("a", 300, 400)], [350, 650, 700], (2, 640, 1, 2960), id="one after another"),
        pytest.param([("a", 0, 10), ("a", 3500, 3590)], [5, 3599], (2, 410, 0, 3190), id="cut at the end of the show"),
        pytest.param([("a", 60, 120)], [-1, 3600], (0, 360, 0, 3240), id="outside the show"),
    ],
)  # fmt: skip
def test_orders_are_near_an_explanation_or_in_the_rest(spans, orders, expected):
    [found] = lifts(spans, [("a", at_s) for at_s in orders] + [("b", 61.0)])
    assert (found.orders_near, found.near_s, found.orders_else, found.else_s) == expected


def test_the_ratio_is_of_rates_with_an_interval_and_few_orders_are_said():
    orders = [("a", 60 + number) for number in range(40)] + [("a", 1000 + number) for number in range(90)]
    orders += [("b", 2000.0), ("b", 10.0)]
    [of_a, of_b, of_c] = lifts([("a", 60, 120), ("b", 1900, 2100), ("c", 2200, 2300)], orders)
    # 40 in 360 s, 90 in 3240 s.
    assert of_a.ratio == pytest.approx(4.0)
    assert (of_a.low, of_a.high) == (pytest.approx(2.755, abs=0.01), pytest.approx(5.808, abs=0.01))
    assert [one.is_few for one in (of_a, of_b, of_c)] == [False, True, True]
    assert (of_c.ratio, of_c.low, of_c.high) == (None, None, None)


TIME = datetime(2025, 11, 30, 20, 5, 1)
LATER = TIME + timedelta(hours=1)


def text(*rows, encoding="utf-8", delimiter=","):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue().encode(encoding)


def workbook(*rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param(
            "淘宝.csv",
            text(["订单编号", "商家编码", "商品ID", "单价", "单价", "订单创建时间", "订单付款时间"],
                 ["'4711", "'1001", "9", "12", "1", "2025-11-30 19:59:00", "2025-11-30 20:05:01"],
                 ["'4712", "A-7", "9", "12", "1", "2025-11-30 20:00:00", "2025/11/30 21:05:01"], encoding="gb18030"),
            id="gb18030, times of order and payment",
        ),
        pytest.param(
            "shopify.csv",
            text(["Name", "Paid at", "Created at", "Lineitem sku", "Lineitem quantity", "Quantity"],
                 ["#1", TIME.astimezone().isoformat(), "", "1001", "1", "2"],
                 ["#2", LATER.astimezone().isoformat(), "", "A-7", "1", "2"]),
            id="times with a zone",
        ),
        pytest.param("抖音.tsv", text(["商品编码", "支付完成时间"], ["1001.0", "2025-11-30 20:05:01"],
                                    ["A-7", "2025-11-30 21:05:01"], ["", ""], delimiter="\t"), id="tabs"),
        pytest.param("orders.xlsx", workbook(["货号", "下单时间"], [1001, TIME], ["A-7", LATER]), id="dates of Excel"),
    ],
)  # fmt: skip
def test_exports_of_platforms_are_read(name, data):
    found = lift.read_orders(data, name)
    assert found.lines == [("1001", TIME.timestamp()), ("A-7", LATER.timestamp())]
    assert (found.without_time, found.bad) == (0, [])


def test_lines_that_cannot_be_read_are_named_and_those_without_a_time_counted():
    data = text(["sku", "paid at"], ["1", ""], ["2", "yesterday"], ["6.92E+12", "2025-11-30"], ["3", "2025-11-30"])
    found = lift.read_orders(data, "orders.csv")
    assert (len(found.lines), found.without_time) == (1, 1)
    assert [(bad.where, bad.reason) for bad in found.bad] == [
        ("orders.csv: row 3", "not_a_date"),
        ("orders.csv: row 4", "digits_lost"),
    ]


@pytest.mark.parametrize(
    ("titles", "reason"), [(["sku", "quantity"], "no_time_column"), (["订单编号", "付款时间"], "no_sku_column")]
)
def test_a_table_without_a_sku_or_a_time_is_refused(titles, reason):
    with pytest.raises(FeedError) as refused:
        lift.read_orders(text(titles, ["1", "2"]), "orders.csv")
    assert refused.value.reason == reason
