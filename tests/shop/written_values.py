"""What tables and feeds may hold, and what is taken for it: tried by test_written_values.py, told by docs/tables.md."""

from decimal import Decimal

#: Field: (as written, what is taken, or the reason of its refusal in brackets).
WRITTEN: dict[str, list[tuple[object, str]]] = {
    "sku": [
        ("TEA-500", "TEA-500"), ("001234", "001234"), ("'001234", "001234"), ('="001234"', "001234"),
        ("001234\t", "001234"), ("3612345678901234567", "3612345678901234567"), ("1001.0", "1001"),
        (Decimal("1001.0"), "1001"), ("ＴＥＡ－５００", "TEA-500"), ("TEA\u200b-500\u00a0", "TEA-500"),
        ("6.92123E+12", "[digits_lost]"), ("6.92123E12", "[digits_lost]"),
        (Decimal("3.61234567890123E+18"), "[digits_lost]"), ("#N/A", "[cell_error]"), ("", "[missing]"),
    ],
    "price": [
        ("12.90", "12.90"), ("1,299.00", "1299.00"), ("1,299,000", "1299000"), ("１２．９", "12.9"),
        ("￥12.9", "12.9 CNY"), ("¥ 1,299.00", "1299.00 CNY"), ("12.90元", "12.90 CNY"), ("12.90元/瓶", "12.90 CNY"),
        ("12.90元/500g", "12.90 CNY"), ("US $12.5", "12.5 USD"), ("人民币12.9", "12.9 CNY"),
        ("1,299.00 CNY", "1299.00 CNY"), ("usd 12.5", "12.5 USD"), ("€12.50", "12.50 EUR"), ("HK$ 98", "98 HKD"),
        ("$12.50", "12.50"), (Decimal("59.699999999999996"), "59.7"), ("59.699999999999996", "59.7"),
        ("0.125", "0.125"), (Decimal("1.299"), "1.299"), ("1.299 KWD", "1.299 KWD"), ("1,299", "[price_ambiguous]"),
        ("1.299", "[price_ambiguous]"), ("¥12.900", "[price_ambiguous]"), ("12,90", "[price_ambiguous]"),
        ("1.299,00", "[price_ambiguous]"), ("12.9-15.9", "[price_several]"), ("12.9～15.9元", "[price_several]"),
        ("12.9起", "[price_several]"), ("12.9 CNY USD", "[not_a_price]"), ("面议", "[not_a_price]"),
        ("-1", "[out_of_range]"), ("33.333333333333336", "[too_many_digits]"), ("#DIV/0!", "[cell_error]"),
    ],
    "stock": [
        ("40", "40"), ("1,299", "1299"), ("40.0", "40"), ("40件", "40"), ("４０", "40"), ("100+", "100"), ("-3", "0"),
        (-3, "0"), ("无货", "0"), ("已售罄", "0"), ("本仓缺货", "0"), ("out of stock", "0"), (False, "0"),
        ("有货", "unknown"), ("in_stock", "unknown"), ("预售", "unknown"), ("上海仓有货", "unknown"),
        ("其他仓库", "unknown"), ("", "unknown"), ("40（上海仓）", "40"), ("上海仓:100；北京仓:20", "120"),
        ("10 pcs", "10"), ("无库存", "0"), ("已售空", "0"), ("脱销", "0"), ("缺货中", "0"), ("库存不足", "0"),
        ("已下架", "0"), ("No stock", "0"), ("OOS", "0"), ("not available", "0"), ("http://schema.org/OutOfStock", "0"),
        ("https://schema.org/InStock", "unknown"), ("out of stock (0)", "0"), ("in stock (5)", "5"), ("无锡仓:5", "5"),
        (Decimal("40.000"), "40"), ("1.000", "[not_a_stock]"), ("1万", "[not_a_stock]"), ("10k", "[not_a_stock]"),
        ("缺货 5", "[not_a_stock]"), ("下架 3", "[not_a_stock]"), ("已售500", "[not_a_stock]"),
        ("3.5", "[not_a_stock]"), ("很多", "[not_a_stock]"),
    ],
    "on_sale": [
        ("上架", "yes"), ("TRUE", "yes"), ("1", "yes"), ("停售", "no"), ("0", "no"), ("maybe", "[not_yes_or_no]"),
    ],
    "name": [
        ("螺蛳粉\n（5 包）", "螺蛳粉 （5 包）"), ("螺蛳粉\u00a0300g", "螺蛳粉 300g"),
        ("\ufeff螺\u200b蛳\u00ad粉\u200e", "螺蛳粉"), ("A&amp;B 果汁&nbsp;1L", "A&B 果汁 1L"),
        ("全角：ＡＢＣ（大）", "全角：ＡＢＣ（大）"), ("全家福👨\u200d👩\u200d👧", "全家福👨\u200d👩\u200d👧"),
        ("奶\u200d茶", "奶茶"), ("AT&T", "AT&T"), ("螺\ufffd粉", "[characters_lost]"), ("#REF!", "[cell_error]"),
    ],
    "url": [
        ("https://shop.example.com/i?a=1&amp;b=2", "https://shop.example.com/i?a=1&b=2"),
        ("https://shop.example.com/i?a=1&copy=2", "https://shop.example.com/i?a=1&copy=2"),
        (" https://shop.example.com/i\u200b ", "https://shop.example.com/i"),
    ],
    "words": [
        ("螺蛳粉|柳州", "螺蛳粉, 柳州"), ("螺蛳粉、柳州；特产\n米粉", "螺蛳粉, 柳州, 特产, 米粉"), ('["a|b"]', "a|b"),
    ],
    "currency": [("cny", "CNY"), ("人民币", "CNY"), ("€", "EUR"), ("yuan", "[not_a_currency]")],
}  # fmt: skip

#: A workbook's number, its format, and the sku, the price, or both.
NUMBER_CELLS: list[tuple[str, float, str, str]] = [
    ("sku", 88, "General", "88"), ("sku", 1234, "000000", "001234"), ("sku", 7, "0000", "0007"),
    ("sku", 123456, '"A-"000000', "A-123456"), ("sku", 1234567, "000-0000", "123-4567"), ("sku", 1001, "0.00", "1001"),
    ("sku", 1001, "#,##0", "1001"), ("sku", 6921234567890, "General", "6921234567890"),
    ("sku", 3.61234567890123e18, "0", "[digits_lost]"), ("sku", 1234567890123450, "0", "[digits_lost]"),
    ("price", 12.9, "General", "12.9"), ("price", 12.9, "0.00", "12.90"), ("price", 19.9 * 3, "General", "59.7"),
    ("price", 16.915, "0.00", "16.92"), ("price", 12.95, "0.0#", "12.95"), ("price", 12.95, "0.0", "12.95"),
    ("price", 1299, '"¥"#,##0.00', "1299.00 CNY"), ("price", 1299, '#,##0.00"元"', "1299.00 CNY"),
    ("price", 1299.5, "#,##0", "1299.5"), ("price", 100 / 3, "General", "[too_many_digits]"),
]  # fmt: skip
