"""docs/events.md says what an event is: its examples decode, and its tables name every field and reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec

from livecart.pipeline.decision.cards import WithdrawReason
from livecart.types import CardEvent

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)


def first_column(heading):
    table = TEXT.split(f"| {heading} |")[1].split("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_each_event_has_an_example_with_every_field():
    events = [msgspec.json.decode(example, type=CardEvent) for example in EXAMPLES]
    assert [event.event for event in events] == ["card", "update", "withdraw"]
    for example, event in zip(EXAMPLES, events, strict=True):
        assert msgspec.json.decode(example) == msgspec.to_builtins(event, builtin_types=()) | {
            "box": list(event.box),
            "avoid": None if event.avoid is None else [list(face) for face in event.avoid],
        }


def test_every_field_and_reason_is_described():
    assert first_column("field") == set(CardEvent.__struct_fields__)
    assert first_column("`reason` | when") == set(get_args(WithdrawReason))
