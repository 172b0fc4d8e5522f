"""Write the seeds of the corpus that nobody writes by hand: `python -m tests.fuzz.write_corpus`."""

import dataclasses
import io
from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
from PIL import Image

from livecart.shop.import_export.spreadsheet import PATCH_FIELDS
from recognition.catalog.build import index_arrays
from recognition.index.codes import Rows, build_photo_codes
from recognition.keypoints import votes
from recognition.snapshot.write import write_snapshot
from tests.fuzz.targets import CORPUS
from tests.snapshot_files import contents, product


def main() -> None:
    for name in ("picture", "snapshot", "table_xlsx"):
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
    for name, data in _pictures().items():
        (CORPUS / "picture" / name).write_bytes(data)
    _write_snapshots(CORPUS / "snapshot")
    book = openpyxl.Workbook()
    book.active.append(["sku", *PATCH_FIELDS])
    book.active.append(["1001", "螺蛳粉", "https://shop.example.com/1", None, "a|b", '["c"]', 12.9, "CNY", 3, True])
    book.save(CORPUS / "table_xlsx" / "book.xlsx")
    _odd_book().save(CORPUS / "table_xlsx" / "odd.xlsx")
    for name, data in _odd_texts().items():
        (CORPUS / name).write_bytes(data)


def _odd_book() -> openpyxl.Workbook:
    """A hidden sheet, rows above the titles, merged cells, formats, a formula without a result, a date."""
    book = openpyxl.Workbook()
    book.active.sheet_state = "hidden"
    sheet = book.create_sheet("商品")
    rows = [
        ["商品表"],
        ["*货号", "名称", "价格(元)", None, "库存(上海仓)", "库存(北京仓)"],
        [None, None, "原价", "售价"],
    ]
    rows += [[7, "茶", 15, "=1+1", 3, -1], [3.6e18, datetime(2026, 3, 5), 12.9, 0.5, "有货", "无货"]]
    for row in rows:
        sheet.append(row)
    for cells in ("A1:F1", "A2:A3", "B2:B3", "C2:D2", "E2:E3", "F2:F3", "B4:B5"):
        sheet.merge_cells(cells)
    sheet["A4"].number_format, sheet["C5"].number_format = '"A-"0000', '"¥"#,##0.00'
    return book


def _odd_texts() -> dict[str, bytes]:
    rows = '店铺商品表,,\nID,商家编码,名称,价格,sku_text\n1,\'007,螺蛳粉,"1,299.00元",sku:007\n'
    rows += "2,6.92E+12,奶茶&nbsp;,12.9-15.9,\n"
    item = "<g:id>1001.0</g:id><title>珍珠奶茶</title><g:price>1,299.00 CNY</g:price><g:sale_price>9</g:sale_price>"
    dates = "<g:sale_price_effective_date>2026-11-01/2026-11-11T23:59+0800</g:sale_price_effective_date>"
    feed = f'<rss xmlns:g="http://base.google.com/ns/1.0"><item>{item}{dates}</item></rss>'
    json_feed = (
        '{"items": [{"sku": 1001.0, "stock": -3.0, "price": {"amount": 59.699999999999996}, "name": "珍珠奶茶"}]}'
    )
    return {
        "table_csv/titles_gbk": rows.encode("gbk"),
        "table_csv/western": "sku;name\n1;Crème brûlée\n".encode("cp1252"),
        "table_csv/utf16_tabs": rows.replace(",", "\t").encode("utf-16"),
        "feed_xml/gbk": f'<?xml version="1.0" encoding="GBK"?>{feed}'.encode("gbk"),
        "feed_xml/big5": f'<?xml version="1.0" encoding="Big5"?>{feed}'.encode("big5"),
        "feed_json/gbk": json_feed.encode("gbk"),
    }


def _pictures() -> dict[str, bytes]:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 12, 4), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    options: dict[str, tuple[str, dict[str, object]]] = {
        "plain.jpg": ("RGB", {"exif": exif}),
        "progressive.jpg": ("RGB", {"progressive": True, "icc_profile": b"profile"}),
        "cmyk.jpg": ("CMYK", {}),
        "alpha.png": ("RGBA", {"exif": exif}),
        "palette.png": ("P", {"transparency": 3}),
        "grey16.png": ("I;16", {}),
        "lossless.webp": ("RGBA", {"lossless": True, "exif": exif}),
        "lossy.webp": ("RGB", {"quality": 20}),
    }
    pictures = {}
    for name, (mode, how) in options.items():
        buffer = io.BytesIO()
        kind = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[name.partition(".")[2]]
        source = noise.convert("L").convert(mode) if mode == "I;16" else noise.convert("RGB").convert(mode)
        source.save(buffer, kind, **how)
        pictures[name] = buffer.getvalue()
    buffer = io.BytesIO()
    noise.save(buffer, "WEBP", save_all=True, append_images=[noise.rotate(90)])
    return {**pictures, "animated.webp": buffer.getvalue()}


def _write_snapshots(folder: Path) -> None:
    """One with every index, of few dimensions, and one without products."""
    photos = [(index // 3, bytes([index])) for index in range(9)]
    products = [
        product("1", words=("荔枝",), labels=("红色",), price="12.90", currency="CNY", stock=0, threshold=0.5),
        product("2", rooms=("9",), brand="好欢螺"),
        product("3", negative_of="2"),
    ]
    given = contents(products, photos)
    rows = Rows(given.photo_digest, np.searchsorted(given.view_photo, np.arange(10)).astype(np.int64))
    codes = build_photo_codes(
        lambda chosen: given.view_vectors[chosen].astype(np.float32), rows, 8, before=None, threads=1
    )
    features = Rows(given.photo_digest, given.local_offsets)
    votes._DIMENSIONS = 8
    keypoints = votes.build_keypoint_codes(given.local_descriptors, features, before=None, threads=1)
    extra = {**index_arrays(given, None), **codes.arrays(), **keypoints.arrays()}
    write_snapshot(folder / "full.snapshot", dataclasses.replace(given, extra=extra), created_at_s=0.0)
    empty = contents((), ())
    write_snapshot(
        folder / "empty.snapshot", dataclasses.replace(empty, extra=index_arrays(empty, None)), created_at_s=0.0
    )


if __name__ == "__main__":
    main()
