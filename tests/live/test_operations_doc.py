"""docs/operations.md: its first room is one, and its ports are the defaults."""

from __future__ import annotations

import re

from livecart.rooms_file import read_rooms_file
from tests.conftest import ROOT
from torchserve_plan import PORTS

TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_first_room_is_read(tmp_path):
    path = tmp_path / "rooms.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)[1], encoding="utf-8")
    [room] = read_rooms_file(path, {}).rooms.values()
    assert f"/rooms/{room.id}/watch" in TEXT
    assert f"/rooms/{room.id}/console" in TEXT


def test_the_ports_are_the_defaults(tmp_path):
    rows = TEXT.split("| port | what | reached from |")[1].split("\n\n")[0]
    (tmp_path / "rooms.toml").write_text("", encoding="utf-8")
    http = read_rooms_file(tmp_path / "rooms.toml", {}).http
    told = {int(port) for port in re.findall(r"\b\d{4}\b", rows)}
    assert told == {*PORTS.values(), http.port}
