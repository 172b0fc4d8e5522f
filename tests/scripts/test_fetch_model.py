"""scripts/fetch_model.py against a ModelScope hub of our own: the real SDK downloads from 127.0.0.1.

The files are small: but for one test, a tiny network of three classes takes the place of ResNeSt-101.
"""

import hashlib
import io
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch

import fetch_model
from recognition.backbones import modelscope_general
from recognition.backbones.base import Architecture
from tests.scripts.model_hub import Hub, serving

MODEL_ID = modelscope_general.MODEL_ID
TINY = "test_efficientnet"
LABELS = "0\t马克杯\n1\t螺蛳粉\n2\t雨伞\n".encode()


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub({"pytorch_model.pt": _checkpoint(), "meta_info.txt": LABELS, "README.md": b"not wanted"})
    with serving(hub):
        yield hub


@pytest.fixture
def environment(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK talks to the hub above, as nobody, and leaves nothing in the home folder."""
    import modelscope_hub.config

    for name in [name for name in os.environ if name.startswith("MODELSCOPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("MODELSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # The SDK remembers its configuration for as long as the process lives.
    monkeypatch.setattr(modelscope_hub.config, "_default_config", None)


@pytest.fixture
def tiny(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelscope_general, "NUM_CLASSES", 3)
    monkeypatch.setattr(modelscope_general, "Architecture", lambda _name, classes: Architecture(TINY, classes))


def _checkpoint(without: str = "") -> bytes:
    parameters = timm.create_model(TINY, num_classes=3).state_dict()
    file = io.BytesIO()
    torch.save({name: value for name, value in parameters.items() if name != without}, file)
    return file.getvalue()


def _fetch(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["fetch_model.py", *map(str, arguments)])
    return fetch_model.main()


def _told(capsys: pytest.CaptureFixture[str]) -> str:
    """What the program itself said last, without the SDK's progress bars and log."""
    said = capsys.readouterr().err.rpartition("fetch_model: ")
    assert said[1], "no error message of fetch_model"
    return said[2].strip()


@pytest.mark.usefixtures("tiny")
def test_downloads_both_files_and_nothing_else(hub, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "weights"

    assert _fetch(monkeypatch, "--output", folder) == 0

    assert {path.name for path in folder.iterdir()} == {
        "pytorch_model.pt",
        "meta_info.txt",
        "model-config.yaml",
        "SHA256SUMS",
    }
    assert (folder / "pytorch_model.pt").read_bytes() == hub.files["pytorch_model.pt"]
    assert (folder / "meta_info.txt").read_bytes() == LABELS
    assert hub.listings == ["master"]
    assert f"make archive MODEL_CONFIG={folder / 'model-config.yaml'}" in capsys.readouterr().out


@pytest.mark.usefixtures("tiny")
def test_a_second_run_says_so_and_downloads_nothing(hub, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "weights"
    assert _fetch(monkeypatch, "--output", folder) == 0
    config = folder / "model-config.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("batchSize: 8", "batchSize: 9"), encoding="utf-8")
    hub.listings.clear()
    hub.downloads.clear()
    capsys.readouterr()

    assert _fetch(monkeypatch, "--output", folder) == 0

    assert (hub.listings, hub.downloads) == ([], [])
    assert "nothing to download" in capsys.readouterr().out
    assert "batchSize: 9" in config.read_text(encoding="utf-8"), "the user's own settings must stay"


@pytest.mark.usefixtures("tiny")
def test_files_are_held_to_the_sums_of_those_that_came_first(hub, tmp_path, monkeypatch, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    assert _fetch(monkeypatch, "--output", first) == 0
    sums = (first / "SHA256SUMS").read_text(encoding="ascii")
    assert f"{hashlib.sha256(LABELS).hexdigest()}  meta_info.txt\n" in sums
    # The hub has other labels by now: they fit, and are not what was trusted.
    hub.files["meta_info.txt"] = LABELS.replace(b"\n", b" \n")
    second.mkdir()
    (second / "SHA256SUMS").write_text(sums, encoding="ascii")
    assert _fetch(monkeypatch, "--output", second) == 1
    assert "meta_info.txt is not the file of" in _told(capsys)
    assert _fetch(monkeypatch, "--output", first) == 0


@pytest.mark.usefixtures("tiny")
def test_files_copied_by_hand_need_no_hub_and_no_sdk(hub, tmp_path, monkeypatch):
    for name in fetch_model.FILES:
        (tmp_path / name).write_bytes(hub.files[name])
    monkeypatch.setitem(sys.modules, "modelscope", None)

    assert _fetch(monkeypatch, "--output", tmp_path) == 0
    assert hub.listings == []


@pytest.mark.usefixtures("tiny")
def test_goes_on_where_an_earlier_run_stopped(hub, tmp_path, monkeypatch):
    data = hub.files["pytorch_model.pt"]
    half = len(data) // 2
    (tmp_path / "meta_info.txt").write_bytes(LABELS)
    (tmp_path / "pytorch_model.pt.incomplete").write_bytes(data[:half])

    assert _fetch(monkeypatch, "--output", tmp_path) == 0

    assert hub.downloads == [("pytorch_model.pt", f"bytes={half}-")]
    assert (tmp_path / "pytorch_model.pt").read_bytes() == data


@pytest.mark.usefixtures("tiny")
def test_an_unreachable_hub_is_one_line_that_says_what_to_do(tmp_path, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", f"http://127.0.0.1:{port}")

    assert _fetch(monkeypatch, "--output", tmp_path) == 1

    told = _told(capsys)
    assert "\n" not in told
    for part in ("cannot reach", "HTTPS_PROXY", "pytorch_model.pt and meta_info.txt", f"models/{MODEL_ID}/files"):
        assert part in told
    assert f"to {tmp_path} by hand" in told


@pytest.mark.usefixtures("tiny")
def test_bytes_that_differ_from_the_listed_checksum_are_not_kept(hub, tmp_path, monkeypatch, capsys):
    data = hub.files["pytorch_model.pt"]
    hub.served["pytorch_model.pt"] = data[:-1] + bytes([data[-1] ^ 1])

    assert _fetch(monkeypatch, "--output", tmp_path) == 1

    told = _told(capsys)
    assert "pytorch_model.pt: does not arrive as the hub lists it" in told
    assert "\n" not in told
    assert not (tmp_path / "pytorch_model.pt").exists()


@pytest.mark.usefixtures("tiny")
def test_no_sdk_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "modelscope", None)

    assert _fetch(monkeypatch, "--output", tmp_path) == 1
    assert "pip install --group hub" in _told(capsys)


@pytest.mark.usefixtures("tiny")
def test_weights_that_do_not_fit_are_refused(hub, tmp_path, monkeypatch, capsys):
    hub.files["pytorch_model.pt"] = _checkpoint(without="classifier.bias")

    assert _fetch(monkeypatch, "--output", tmp_path) == 1
    assert "1 missing: classifier.bias" in _told(capsys)
