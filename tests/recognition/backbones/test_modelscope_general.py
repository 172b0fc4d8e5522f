"""The 54,092-class model of ModelScope, held against the independent ``resnest`` package.

The real weights are a download of 600 MB, so the checkpoint here has random ones in the same layout: the parameter
names of the ResNeSt authors' own implementation, which is what ModelScope's model was trained with.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recognition.backbones import load_backbone, modelscope_general
from recognition.backbones.modelscope_general import CHECKPOINT_FILE, LABELS_FILE
from recognition.errors import ConfigurationError
from recognition.settings import ModelChoice

UNUSED = Path("no-such-labels.json")
#: The last layer alone depends on their number; with all 54,092 it weighs 443 MB, several times over in a test.
CLASSES = 500


@pytest.fixture(autouse=True)
def few_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelscope_general, "NUM_CLASSES", CLASSES)


@dataclass(frozen=True)
class Reference:
    """What the ``resnest`` package answers, to which images."""

    folder: Path
    images: Tensor
    logits: Tensor


def _meta_info(count: int = CLASSES) -> str:
    return "".join(f"{index}\t类别{index}\tclass {index}\n" for index in range(count))


def _resnest() -> nn.Module:
    """Random weights with which every layer has a say: normalisation that is not the identity, logits that differ."""
    from resnest.torch import resnest101

    torch.manual_seed(0)
    network = resnest101(pretrained=False)
    network.fc = nn.Linear(2048, CLASSES)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
        norm.momentum = None  # the running statistics become those of what it sees next
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 64, 64))
        for norm in norms:  # next to no variance in eight images would make activations explode on others
            norm.running_var.clamp_(min=0.05)
    return network.eval()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    folder = tmp_path_factory.mktemp("modelscope")
    (folder / LABELS_FILE).write_text(_meta_info(), encoding="utf-8")
    network = _resnest()
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        logits = network(images)
    torch.save(network.state_dict(), folder / CHECKPOINT_FILE)
    yield Reference(folder, images, logits)
    shutil.rmtree(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with labels and no checkpoint yet."""
    (tmp_path / LABELS_FILE).write_text(_meta_info(), encoding="utf-8")
    yield tmp_path
    (tmp_path / CHECKPOINT_FILE).unlink(missing_ok=True)


def _load(folder: Path) -> modelscope_general.Backbone:
    return load_backbone(ModelChoice(source="modelscope-general", path=str(folder)), default_labels=UNUSED)


def test_answers_as_the_reference_does_with_the_preprocessing_of_the_weights(reference: Reference):

    backbone = _load(reference.folder)
    with torch.inference_mode():
        logits = backbone.network(reference.images)

    assert (backbone.name, backbone.preprocessing.resize_px) == ("modelscope-general", 256)
    assert (backbone.labels.texts[0], backbone.labels.texts[-1]) == ("类别0", f"类别{CLASSES - 1}")
    assert (backbone.preprocessing.mean, backbone.preprocessing.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    difference = (logits - reference.logits).abs().max().item()
    assert logits.shape == (2, CLASSES)
    assert difference < 1e-4
    # Logits of a network gone astray would be as far away as these are from one another.
    assert reference.logits.std(dim=1).min() > 0.1
    assert (reference.logits[0] - reference.logits[1]).std() > 0.1


def test_no_checkpoint(folder: Path):
    with pytest.raises(ConfigurationError, match=rf"{CHECKPOINT_FILE}: no such checkpoint"):
        _load(folder)


def test_another_number_of_labels(folder: Path):
    (folder / LABELS_FILE).write_text(_meta_info(CLASSES + 1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"{CLASSES + 1} labels, but the model has {CLASSES} classes"):
        _load(folder)


def test_a_folder_that_is_not_there_or_not_said(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"no such folder; scripts/fetch_model\.py downloads iic/"):
        _load(tmp_path / "weights")
    with pytest.raises(ConfigurationError, match=r"set model\.path"):
        load_backbone(ModelChoice(source="modelscope-general"), default_labels=UNUSED)
