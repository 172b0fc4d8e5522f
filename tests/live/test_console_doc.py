"""docs/live.md names every field of the console's feed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from livecart.web.console.messages import ConsoleUpdate, SeenLook, SeenProduct, SeenText

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "live.md").read_text(encoding="utf-8")
SECTION = TEXT.split("## Host console")[1].split("\n## ")[0]


@pytest.mark.parametrize("message", [ConsoleUpdate, SeenLook, SeenProduct, SeenText])
def test_every_field_is_documented(message):
    missing = [field.name for field in msgspec.structs.fields(message) if f"`{field.name}`" not in SECTION]
    assert missing == []
