"""docs/schema/ and the viewer's types are what the contract is, and what is sent keeps to the schemas."""

import json
import re
from pathlib import Path

import jsonschema_rs  # comes with schemathesis
import pytest

from contract.card import CardEvent
from contract.errors import encode_error
from contract.reply import Detection, Evidence, ImageInfo, LabelScore, Reply, TextLine, encode
from contract_schema import contract_files, schema_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
DETECTION = Detection("1", "茶", "https://a.example/", 0.5, (1.0, 2.0, 3.0, 4.0), Evidence(photo=0.4), 0.9)
REPLIES = [
    Reply(image=ImageInfo(1, 1), products=[]),
    Reply(
        image=ImageInfo(720, 1280),
        labels=[LabelScore(5, "茶杯", 0.4)],
        products=[DETECTION, Detection("2", "", "", 1.0, None, price="12.90", currency="CNY")],
        texts=[TextLine("茶", 0.9, (1.0, 2.0, 3.0, 4.0))],
    ),
]


def check(name: str, body: bytes | str) -> None:
    schema = json.loads((DOCS / "schema" / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema_rs.validate(schema, json.loads(body))


@pytest.mark.parametrize("path", contract_files(), ids=lambda path: path.name)
def test_what_is_made_from_the_contract_is_up_to_date(path):
    assert path.read_text(encoding="utf-8") == contract_files()[path], "`make docs` writes it anew"


@pytest.mark.parametrize("reply", REPLIES, ids=["nothing", "everything"])
def test_a_reply_keeps_to_its_schema(reply):
    check("reply", encode(reply))


def test_an_error_keeps_to_its_schema():
    check("error", encode_error("bad_image", "cut short"))


@pytest.mark.parametrize("example", re.findall(r"```json\n(.*?)```", (DOCS / "events.md").read_text(), re.DOTALL))
def test_the_card_events_of_the_docs_keep_to_their_schema(example):
    check("card-event", example)


@pytest.mark.parametrize("key", ["event_id", "box", "schema", "reason"])
def test_every_key_that_is_always_sent_is_required(key):
    event = json.loads(re.search(r"```json\n(.*?)```", (DOCS / "events.md").read_text(), re.DOTALL)[1])
    del event[key]
    with pytest.raises(jsonschema_rs.ValidationError, match=key):
        check("card-event", json.dumps(event))


def test_what_is_of_a_price_may_be_missing_from_a_detection():
    detection = schema_of(Reply)["$defs"]["Detection"]
    assert set(detection["properties"]) - set(detection["required"]) == {"price", "currency", "is_from_price"}
    assert schema_of(CardEvent)["$defs"]["CardEvent"]["required"] == list(CardEvent.__struct_fields__)
