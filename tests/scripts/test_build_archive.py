"""Archives are built from any registered weights, and mistakes are found at the build."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml

import build_archive
from recognition.network.artifact import read_info
from recognition.network.runtime import open_runtime
from recognition.settings import RuntimeChoice

ROOT = Path(__file__).resolve().parents[2]
LABELS = ["马克杯", "保温杯", "茶杯"]
PREPROCESSING = {"input_px": 96, "resize_px": 110, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.2] * 3}
TIMM: dict[str, object] = {
    "source": "timm",
    "architecture": "test_efficientnet",
    "path": "mug.pt",
    "labels": "labels.txt",
    "preprocessing": PREPROCESSING,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights and three classes."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", num_classes=len(LABELS))
    torch.save(network.state_dict(), folder / "mug.pt")
    (folder / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    return folder


def configure(weights: Path, **changes: object) -> Path:
    """A model-config.yaml beside the weights: the repository's own with the source exchanged."""
    document = yaml.safe_load((ROOT / "handler" / "model-config.yaml").read_text(encoding="utf-8"))
    document["handler"] |= {"model": TIMM, **changes}
    path = weights / "my-config.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return path


def build(config: Path, output: Path, *more: object) -> int:
    kept = config.parent / "converted"
    asked = ["--model-config", config, "--output", output, "--converted", kept, *more]
    return build_archive.main([str(word) for word in asked])


def test_an_archive_of_the_users_own_weights(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    links = tmp_path / "links.json"
    links.write_text('{"马克杯": "https://shop.example.com/1", "水壶": "https://shop.example.com/2"}', encoding="utf-8")
    output = tmp_path / "store" / "product_recognizer.mar"
    assert build(configure(weights), output, "--links", links, "--version", "2.5") == 0
    assert "no label of this model leads to '水壶'" in capsys.readouterr().out
    with zipfile.ZipFile(output) as content:
        content.extractall(tmp_path / "unpacked")
    folder = tmp_path / "unpacked"
    # Called my-config.yaml outside.
    assert yaml.safe_load((folder / "model-config.yaml").read_text())["handler"]["model"]["path"] == "mug.pt"
    assert not (folder / "my-config.yaml").exists()
    assert json.loads((folder / "labels.json").read_text(encoding="utf-8")) == LABELS
    assert json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())["model"]["modelVersion"] == "2.5"
    info = read_info(folder)
    assert (info.architecture, info.num_classes, info.preprocessing.input_px) == ("test_efficientnet", 3, 96)
    images = np.random.default_rng(1).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    logits = [
        open_runtime(folder, info, RuntimeChoice(cpu=name), gpu_id=None).forward(images)
        for name in ("openvino", "torch")
    ]
    assert np.ptp(logits[0]) > 1e-2
    assert logits[0] == pytest.approx(logits[1], abs=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"allowed_hosts": ["other.example.com"]}, "line 2: key '马克杯': host 'shop.example.com' is not in allowed"),
        ({"thresholds": {"default": 0.7, "lowest": 0.1, "highest": 1.0, "labels": {"冰箱": 0.5}}}, "'冰箱'"),
        ({"thresholds": {"default": 1.7, "lowest": 0.1, "highest": 1.0}}, "$.thresholds.default"),
        ({"treshold": 0.5}, "treshold"),
        ({"model": {"source": "timm", "architecture": "test_efficientnet"}}, "model.path, model.labels"),
        ({"model": TIMM | {"architecture": "mobilenetv9"}}, "knows no architecture 'mobilenetv9'"),
        ({"model": TIMM | {"architecture": "test_resnet"}}, "unexpected: "),
        ({"model": TIMM | {"path": "none.pt"}}, "none.pt: no such checkpoint"),
        ({"model": TIMM | {"labels": "none.txt"}}, "none.txt"),
        ({"model": {"source": "modelscope-general", "path": "nowhere"}}, "fetch_model.py"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(
    weights: Path, tmp_path: Path, changes: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    links = tmp_path / "links.json"
    links.write_text('{\n"马克杯": "https://shop.example.com/1"}', encoding="utf-8")
    output = tmp_path / "product_recognizer.mar"
    assert build(configure(weights, **changes), output, "--links", links) == 1
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_an_archive_for_gpus_alone_needs_torch_as_its_runtime(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "product_recognizer.mar"
    assert build(configure(weights), output, "--runtimes", "torch") == 1
    assert "runtime.cpu is openvino" in capsys.readouterr().err
    links = tmp_path / "links.json"
    links.write_text("{}")
    config = configure(weights, runtime={"cpu": "torch", "threads": 1})
    assert build(config, output, "--runtimes", "torch", "--links", links) == 0
    with zipfile.ZipFile(output) as content:
        assert "backbone.xml" not in content.namelist()
        assert "backbone.pt" in content.namelist()
