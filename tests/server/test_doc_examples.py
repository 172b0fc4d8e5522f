"""Every rooms.toml that docs/ show is read."""

import re

import pytest

from livecart.server.rooms_file import read_rooms_file
from tests.conftest import ROOT

EXAMPLES = [
    pytest.param(example, id=f"{page.name}-{number}")
    for page in sorted((ROOT / "docs").glob("*.md"))
    for number, example in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_read(example, tmp_path):
    path = tmp_path / "rooms.toml"
    path.write_text(example, encoding="utf-8")
    file = read_rooms_file(path, {})
    assert file.rooms or file.catalog or file.viewers
