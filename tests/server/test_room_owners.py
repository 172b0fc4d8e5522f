"""Whose room is it: the file's, or an HTTP client's."""

import pytest

from livecart.core.errors import SettingsError
from livecart.core.settings import RoomSettings
from livecart.server.room_registry import RoomRegistry
from livecart.server.rooms_file import read_rooms_file

NOWHERE = "rtmp://127.0.0.1:9/"


def read(tmp_path, *rooms, head=""):
    path = tmp_path / "rooms.toml"
    lines = [f'[[rooms]]\nid = "{name}"\nsource = "{source}"\n' for name, source in rooms]
    path.write_text(head + "\n".join(lines))
    return read_rooms_file(path, {})


@pytest.fixture
async def book(engine, tmp_path):
    """Rooms a and b of a file."""
    file = read(tmp_path, ("a", NOWHERE + "a"), ("b", NOWHERE + "b"))
    opened = RoomRegistry(engine.rooms, file)
    await opened.apply_file(file)
    return opened


def owners(book):
    return {view.id: (view.owner, view.source.removeprefix(NOWHERE)) for view in book.views()}


async def test_an_edit_adds_changes_and_removes_and_leaves_the_others_alone(book, engine, tmp_path):
    kept = engine.rooms.get("a")
    await book.apply_file(read(tmp_path, ("a", NOWHERE + "a"), ("b", NOWHERE + "b2"), ("c", NOWHERE + "c")))
    assert owners(book) == {"a": ("file", "a"), "b": ("file", "b2"), "c": ("file", "c")}
    await book.apply_file(read(tmp_path, ("a", NOWHERE + "a")))
    assert owners(book) == {"a": ("file", "a")}
    assert engine.rooms.get("a") is kept


async def test_what_http_did_survives_edits_of_other_rooms(book, tmp_path):
    await book.put(RoomSettings(id="h", source=NOWHERE + "h"))
    await book.put(RoomSettings(id="a", source=NOWHERE + "by-http"))
    await book.delete("b")
    await book.apply_file(read(tmp_path, ("a", NOWHERE + "a"), ("b", NOWHERE + "b"), ("c", NOWHERE + "c")))
    assert owners(book) == {"a": ("http", "by-http"), "c": ("file", "c"), "h": ("http", "h")}


async def test_an_edit_of_its_lines_gives_a_room_back_to_the_file(book, tmp_path):
    await book.put(RoomSettings(id="a", source=NOWHERE + "by-http"))
    await book.delete("b")
    await book.apply_file(read(tmp_path, ("a", NOWHERE + "a2"), ("b", NOWHERE + "b2")))
    assert owners(book) == {"a": ("file", "a2"), "b": ("file", "b2")}


async def test_a_room_that_http_took_over_stays_when_the_file_drops_it(book, tmp_path):
    await book.put(RoomSettings(id="a", source=NOWHERE + "by-http"))
    await book.apply_file(read(tmp_path))
    assert owners(book) == {"a": ("http", "by-http")}


async def test_a_broken_edit_changes_nothing(book, engine, tmp_path):
    before = {name: engine.rooms.get(name) for name in ("a", "b")}
    with pytest.raises(SettingsError, match="room c: the source file"):
        await book.apply_file(read(tmp_path, ("a", NOWHERE + "a2"), ("c", str(tmp_path / "missing.mp4"))))
    assert {name: engine.rooms.get(name) for name in ("a", "b")} == before
    assert owners(book) == {"a": ("file", "a"), "b": ("file", "b")}
    # It was not taken for what the file said before, either.
    await book.apply_file(read(tmp_path, ("a", NOWHERE + "a2"), ("b", NOWHERE + "b")))
    assert owners(book) == {"a": ("file", "a2"), "b": ("file", "b")}


async def test_a_changed_section_reaches_every_room(book, engine, tmp_path):
    await book.put(RoomSettings(id="h", source=NOWHERE + "h"))
    await book.apply_file(
        read(tmp_path, ("a", NOWHERE + "a"), ("b", NOWHERE + "b"), head="[gate]\nforced_every_s = 33\n")
    )
    assert {name: engine.rooms.get(name).plan.gate.forced_every_s for name in ("a", "b", "h")} == {
        "a": 33,
        "b": 33,
        "h": 33,
    }
    assert owners(book)["h"] == ("http", "h")
