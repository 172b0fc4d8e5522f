"""catalog.json as the archive and the catalog read it; tests/recognition/test_catalog_folder.py has each mistake."""

import json
import re
from pathlib import Path

import jsonschema_rs  # comes with schemathesis
import pytest
from msgspec import UNSET

from contract.catalog import CatalogMistake, read_catalog

DOCS = Path(__file__).resolve().parents[2] / "docs"
LEAST = {"sku": "1", "name": "荔枝汽水", "url": "https://shop.example.com/item/1"}


def written(*products: object) -> str:
    return json.dumps({"schema": 1, "products": products}, ensure_ascii=False, indent=1)


def test_what_is_not_written_is_told_from_what_is_null():
    least, nulls = read_catalog(written(LEAST, LEAST | {"sku": "2", "rooms": None, "price": None, "stock": None}))
    assert least.rooms is least.price is least.stock is least.words is UNSET
    assert (nulls.rooms, nulls.stock, nulls.brand) == (None, None, UNSET)
    assert least.price_text is nulls.price_text is None


def test_what_the_reader_does_not_take_is_told_with_line_and_key():
    def check(entry):
        if entry.sku == "2":
            raise CatalogMistake("url", "leads nowhere")

    with pytest.raises(CatalogMistake, match=r"^line 12: sku '2': key 'url': leads nowhere$") as caught:
        read_catalog(written(LEAST, LEAST | {"sku": "2"}), check)
    assert caught.value.key == "url"


def test_the_example_of_the_docs_is_read_and_keeps_to_the_schema():
    (example,) = re.findall(r"```json\n(.*?)```", (DOCS / "catalog.md").read_text(encoding="utf-8"), re.DOTALL)[:1]
    assert [entry.sku for entry in read_catalog(example)] == ["1001"]
    schema = json.loads((DOCS / "schema" / "catalog.json").read_text(encoding="utf-8"))
    jsonschema_rs.validate(schema, json.loads(example))
    with pytest.raises(jsonschema_rs.ValidationError, match="colour"):
        jsonschema_rs.validate(schema, {"schema": 1, "products": [LEAST | {"colour": "red"}]})
