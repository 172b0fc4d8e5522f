"""docs/admin.md says what is so."""

import re
from pathlib import Path

from livecart.shop.database.store import open_store
from livecart.shop.repositories import tokens

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "admin.md").read_text(encoding="utf-8")


def test_the_first_token_is_made_as_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(example, "docs/admin.md", "exec"), {})
    token = capsys.readouterr().out.strip()
    store = open_store("sqlite:///catalog.db")
    with store.read() as session:
        info = tokens.check(session, token)
    store.close()
    assert info is not None
    assert (info.name, info.role) == ("admin", "admin")
