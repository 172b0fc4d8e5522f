"""docs/live.md names the hub's settings and metrics as they are, docs/viewer.md its close codes."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from livecart.web.hub import ViewersSettings
from livecart.web.hub.admission import _REFUSALS
from livecart.web.hub.messages import FEEDBACK_KINDS
from tests.live.hub_clients import running_hub

DOCS = Path(__file__).resolve().parents[2] / "docs"
LIVE = (DOCS / "live.md").read_text(encoding="utf-8")
VIEWER = (DOCS / "viewer.md").read_text(encoding="utf-8")


def test_every_setting_is_documented():
    section = LIVE.split("[viewers]\n")[1].split("\n\n")[0]
    documented = re.findall(r"^(?:# )?(\w+) =", section, re.MULTILINE)
    assert documented == [field.name for field in msgspec.structs.fields(ViewersSettings)]


async def test_every_metric_is_documented_and_every_documented_one_exists():
    async with running_hub() as hub:
        told = set()
        for metric in hub.registry.collect():
            suffix = "_total" if metric.type == "counter" else ""
            told.add(metric.name.removeprefix("livecart_hub_") + suffix)
    table = LIVE.split("`livecart_hub_` before it")[1].split("## Metrics")[0]
    rows = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)(?:\{[\w,]+\})?`", rows)) == told


def test_every_refusal_is_documented():
    row = next(line for line in LIVE.splitlines() if line.startswith("| `refused_total{reason}`"))
    assert set(re.findall(r"`(\w+)`", row)) == {*_REFUSALS, "protocol"}
    for refusal in _REFUSALS.values():
        assert str(refusal.close_code) in VIEWER
    assert all(f"`{kind}`" in VIEWER for kind in FEEDBACK_KINDS)
