"""The examples of docs/catalog-service.md run."""

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
