"""The examples of docs/catalog-service.md run."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "catalog-service.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_TOKEN", "")
    exec(compile(example, "catalog-service.md", "exec"), {})


def test_there_are_examples():
    assert len(EXAMPLES) == 2


def test_every_folder_and_its_purpose_is_named():
    folders = {path.name for path in (ROOT / "livecart" / "catalog").iterdir() if (path / "__init__.py").exists()}
    assert {name for name in folders if f"| `{name}/` |" not in TEXT} == set()
