"""A checkpoint of one's own in any timm architecture."""

from pathlib import Path

import msgspec
import pytest
import timm
import torch

from recognition.backbones import load_backbone
from recognition.errors import ConfigurationError, WeightsError
from recognition.settings import ModelChoice, Preprocessing

ARCHITECTURE = "mobilenetv3_small_050"
LABELS = ["马克杯", "螺蛳粉", "雨伞", "口红", "耳机", "面膜", "书包"]
PREPROCESSING = Preprocessing(
    input_px=64, resize_px=72, interpolation="bilinear", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)
)
UNUSED = Path("no-such-labels.json")


@pytest.fixture
def choice(tmp_path: Path) -> ModelChoice:
    torch.manual_seed(0)
    network = timm.create_model(ARCHITECTURE, num_classes=len(LABELS))
    torch.save({"model": network.state_dict()}, tmp_path / "weights.pt")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    return ModelChoice(
        source="timm",
        path=str(tmp_path / "weights.pt"),
        architecture=ARCHITECTURE,
        labels=str(tmp_path / "labels.txt"),
        preprocessing=PREPROCESSING,
    )


def _load(choice: ModelChoice):
    return load_backbone(choice, default_labels=UNUSED)


def test_loads_the_checkpoint_with_its_own_labels_and_preprocessing(choice):
    backbone = _load(choice)

    assert backbone.name == backbone.architecture.name == ARCHITECTURE
    assert backbone.architecture.num_classes == 7
    assert backbone.labels.texts == tuple(LABELS)
    assert backbone.preprocessing == PREPROCESSING
    saved = torch.load(choice.path, weights_only=True)["model"]
    loaded = backbone.network.state_dict()
    assert saved.keys() == loaded.keys()
    assert all(torch.equal(loaded[name], value) for name, value in saved.items())
    assert not any(module.training for module in backbone.network.modules())
    assert backbone.network(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


@pytest.mark.parametrize("key", ["architecture", "path", "labels", "preprocessing"])
def test_a_missing_key_is_named(choice, key):
    with pytest.raises(ConfigurationError) as caught:
        _load(msgspec.structs.replace(choice, **{key: None}))

    assert str(caught.value) == f"model.source timm also needs: model.{key}"


def test_all_missing_keys_are_named():
    with pytest.raises(ConfigurationError) as caught:
        _load(ModelChoice(source="timm"))

    assert str(caught.value).endswith("needs: model.architecture, model.path, model.labels, model.preprocessing")


def test_an_unknown_architecture(choice):
    with pytest.raises(ConfigurationError, match=r"knows no architecture 'mobilenetv9'"):
        _load(msgspec.structs.replace(choice, architecture="mobilenetv9"))


def test_the_checkpoint_of_another_architecture(choice):
    with pytest.raises(WeightsError, match=r"missing: conv1\.0\.weight, .* unexpected: conv_stem\.weight, "):
        _load(msgspec.structs.replace(choice, architecture="test_resnet"))


def test_more_labels_than_classes(choice, tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join([*LABELS, "帽子"]), encoding="utf-8")

    with pytest.raises(WeightsError) as caught:
        _load(choice)

    assert str(caught.value).endswith(
        "2 of another shape: classifier.weight (7, 1024) instead of (8, 1024), classifier.bias (7,) instead of (8,)"
    )


@pytest.mark.parametrize("name", ["weights.pt", "labels.txt"])
def test_a_missing_file_is_named(choice, tmp_path, name):
    (tmp_path / name).unlink()

    with pytest.raises(ConfigurationError) as caught:
        _load(choice)
    assert str(tmp_path / name) in str(caught.value)


def test_a_label_file_without_a_label(choice, tmp_path):
    (tmp_path / "labels.txt").write_text("", encoding="utf-8")

    with pytest.raises(ConfigurationError) as caught:
        _load(choice)
    assert "labels.txt" in str(caught.value)
