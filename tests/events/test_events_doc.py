"""docs/events.md says what an event is: its examples decode, with every field."""

import re
from pathlib import Path

import msgspec

from contract.card import CardEvent

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)


def test_each_event_has_an_example_with_every_field():
    events = [msgspec.json.decode(example, type=CardEvent) for example in EXAMPLES]
    assert [event.event for event in events] == ["card", "update", "withdraw"]
    for example, event in zip(EXAMPLES, events, strict=True):
        assert msgspec.json.decode(example) == msgspec.json.decode(msgspec.json.encode(event))
