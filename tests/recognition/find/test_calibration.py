"""The calibrations that the archive brings."""

import msgspec
import pytest

from recognition.errors import ConfigurationError
from recognition.find import fusion
from recognition.find.fusion import FALLBACK, load_calibration

FILES = sorted(fusion._CALIBRATIONS.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_read_and_holds_weights_that_can_only_speak_for_a_product(path):
    found = load_calibration(path.stem)
    assert found.fitted_on
    assert all(weight >= 0 for weight in msgspec.structs.asdict(found.weights).values())
    assert found.weights.none > 0


def test_the_default_backbone_has_its_own():
    assert load_calibration("efficientnet-lite2").backbone == "efficientnet-lite2"


def test_a_backbone_without_its_own_gets_the_one_for_any():
    assert load_calibration("of my own") == load_calibration(FALLBACK)


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"backbone": "x", "fitted_on": "y", "weights": {"photo": 1}}'])
def test_a_missing_or_broken_file_is_named(tmp_path, monkeypatch, content):
    monkeypatch.setattr(fusion, "_CALIBRATIONS", tmp_path)
    if content is not None:
        (tmp_path / "any.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"any\.json: cannot be read"):
        load_calibration("x")
