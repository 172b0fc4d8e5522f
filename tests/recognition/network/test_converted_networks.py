"""A network is converted once; what failed, is of another kind or is old does not stay."""

import os
from pathlib import Path

import pytest

from recognition.network.converted_networks import kept, key_of


class Converter:
    """Writes a file, and counts how often."""

    def __init__(self, *, is_whole: bool = True) -> None:
        self.calls = 0
        self._is_whole = is_whole

    def __call__(self, folder: Path) -> bool:
        self.calls += 1
        (folder / "backbone.xml").write_text(f"conversion {self.calls}")
        return self._is_whole


def test_the_second_archive_takes_over_what_the_first_converted(tmp_path: Path) -> None:
    convert = Converter()
    for _ in range(2):
        with kept(tmp_path, "a", convert) as found:
            assert (found / "backbone.xml").read_text() == "conversion 1"
    with kept(tmp_path, "b", convert) as found:
        assert (found / "backbone.xml").read_text() == "conversion 2"


def test_without_a_folder_nothing_is_kept() -> None:
    convert = Converter()
    for number in (1, 2):
        with kept(None, "a", convert) as found:
            assert (found / "backbone.xml").read_text() == f"conversion {number}"
        assert not found.exists()


def test_a_conversion_that_failed_is_tried_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> bool:
        (folder / "backbone.xml").write_text("half")
        raise ValueError("no such operator")

    with pytest.raises(ValueError, match="no such operator"), kept(tmp_path, "a", fail):
        pass
    with kept(tmp_path, "a", Converter()) as found:
        assert (found / "backbone.xml").read_text() == "conversion 1"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["a"]


def test_a_conversion_that_is_not_whole_is_used_and_made_again(tmp_path: Path) -> None:
    convert = Converter(is_whole=False)
    for number in (1, 2):
        with kept(tmp_path, "a", convert) as found:
            assert (found / "backbone.xml").read_text() == f"conversion {number}"
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_those_used_longest_ago_go(tmp_path: Path) -> None:
    for age, key in enumerate("abcd"):
        with kept(tmp_path, key, Converter()) as found:
            pass
        os.utime(found, (1000 + age, 1000 + age))
    with kept(tmp_path, "a", Converter()):
        pass
    with kept(tmp_path, "e", Converter()):
        pass
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"a", "c", "d", "e"}


def test_another_network_code_or_package_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_of("weights", 260) == key_of("weights", 260)
    keys = {key_of("weights", 260), key_of("other weights", 260), key_of("weights", 224)}
    monkeypatch.setattr("recognition.network.converted_networks.version", lambda _package: "0.0")
    assert len(keys | {key_of("weights", 260)}) == 4
