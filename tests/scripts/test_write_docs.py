"""Tables of docs/ are made of the code's settings and metrics."""

import dataclasses

import pytest

import write_docs
from livecart.live.gate.settings import GateSettings


def test_a_setting_has_its_default_bounds_and_comment():
    rows = write_docs.settings_table("gate").splitlines()
    [row] = [row for row in rows if row.startswith("| `hash_bits` |")]
    lowest, highest = GateSettings.BOUNDS["hash_bits"]
    assert row.startswith(f"| `hash_bits` | `{GateSettings().hash_bits}` | {lowest} to {highest} | Firm bits")
    assert len(rows) == 2 + len(dataclasses.fields(GateSettings))


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setattr(write_docs, "DOCS", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- generated: settings queue -->\nold\n<!-- /generated -->\nafter\n")
    return page


def test_a_page_that_differs_is_told_and_written_anew(page, capsys):
    assert write_docs.main(["--check"]) == 1
    assert "page.md: differs" in capsys.readouterr().err
    assert write_docs.main([]) == 0
    assert write_docs.main(["--check"]) == 0
    text = page.read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("/generated -->\nafter\n")
    assert "| `max_age_s` | `2.0` |" in text
