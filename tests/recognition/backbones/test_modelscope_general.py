"""The 54,092-class model of ModelScope, held against the independent ``resnest`` package.

The real weights are a download of 600 MB, so the checkpoint here has random ones in the same layout: the parameter
names of the ResNeSt authors' own implementation, which is what ModelScope's model was trained with.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recognition.backbones import load_backbone, modelscope_general
from recognition.backbones.modelscope_general import CHECKPOINT_FILE, LABELS_FILE
from recognition.errors import ConfigurationError, WeightsError
from recognition.settings import ModelChoice, Preprocessing

UNUSED = Path("no-such-labels.json")
#: The last layer alone depends on their number; with all 54,092 it weighs 443 MB, several times over in a test.
CLASSES = 500


@pytest.fixture(autouse=True)
def few_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelscope_general, "NUM_CLASSES", CLASSES)


@dataclass(frozen=True)
class Reference:
    """What the ``resnest`` package answers, and where its parameters are."""

    folder: Path
    checkpoint: Path
    images: Tensor
    logits: Tensor
    shapes: dict[str, torch.Size]


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
    parameters = network.state_dict()
    torch.save(parameters, folder / "parameters.pt")
    yield Reference(folder, folder / "parameters.pt", images, logits, {n: p.shape for n, p in parameters.items()})
    shutil.rmtree(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with labels and no checkpoint yet."""
    (tmp_path / LABELS_FILE).write_text(_meta_info(), encoding="utf-8")
    yield tmp_path
    (tmp_path / CHECKPOINT_FILE).unlink(missing_ok=True)


def _load(folder: Path) -> modelscope_general.Backbone:
    return load_backbone(ModelChoice(source="modelscope-general", path=str(folder)), default_labels=UNUSED)


def _unwrapped(parameters: dict[str, Tensor]) -> object:
    return parameters


def _wrapped(parameters: dict[str, Tensor]) -> object:
    return {"state_dict": {f"module.{name}": value for name, value in parameters.items()}, "epoch": 1}


@pytest.mark.parametrize("form", [_unwrapped, _wrapped])
def test_answers_as_the_reference_does(reference: Reference, form: Callable[[dict[str, Tensor]], object]):
    parameters = torch.load(reference.checkpoint, weights_only=True, mmap=True)
    torch.save(form(parameters), reference.folder / CHECKPOINT_FILE)

    backbone = _load(reference.folder)
    with torch.inference_mode():
        logits = backbone.network(reference.images)

    difference = (logits - reference.logits).abs().max().item()
    assert logits.shape == (2, CLASSES)
    assert difference < 1e-4
    # Logits of a network gone astray would be as far away as these are from one another.
    assert reference.logits.std(dim=1).min() > 0.1
    assert (reference.logits[0] - reference.logits[1]).std() > 0.1


def test_a_single_swapped_layer_would_be_noticed(reference: Reference):
    """Two parameters of equal shape are exchanged: what the test above compares must move far beyond 1e-4."""
    shutil.copyfile(reference.checkpoint, reference.folder / CHECKPOINT_FILE)
    network = _load(reference.folder).network
    parameters = network.state_dict()
    one, other = (parameters[f"layer3.{block}.bn3.running_mean"] for block in (10, 11))
    kept = one.clone()
    one.copy_(other)
    other.copy_(kept)

    with torch.inference_mode():
        logits = network(reference.images)

    assert (logits - reference.logits).abs().max() > 1e-3


def _save_zeros(shapes: dict[str, tuple[int, ...]], path: Path) -> None:
    """A checkpoint with these shapes, and only one number each in the file."""
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}, path)


def test_says_what_it_is(reference: Reference, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    classes = modelscope_general.NUM_CLASSES
    (folder / LABELS_FILE).write_text(_meta_info(classes), encoding="utf-8")
    _save_zeros(reference.shapes | {"fc.weight": (classes, 2048), "fc.bias": (classes,)}, folder / CHECKPOINT_FILE)

    backbone = _load(folder)

    assert backbone.name == "modelscope-general"
    assert backbone.architecture.num_classes == len(backbone.labels) == 54_092
    assert (backbone.labels.texts[0], backbone.labels.texts[-1]) == ("类别0", "类别54091")
    assert "ModelScope" in backbone.licence
    assert backbone.preprocessing == Preprocessing(
        input_px=224,
        resize_px=256,
        interpolation="bilinear",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    assert not any(module.training for module in backbone.network.modules())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"fc.bias": None}, "1 missing: fc.bias"),
        ({"layer3.22.conv2.fc1.weight": None}, "1 missing: layer3.22.conv2.fc1.weight"),
        ({"layer3.23.conv1.weight": (1,)}, "1 unexpected: layer3.23.conv1.weight"),
        ({"fc.weight": (1000, 2048)}, "1 of another shape: fc.weight (1000, 2048) instead of (500, 2048)"),
        (
            {"fc.bias": None, "head.bias": (5,), "conv1.0.weight": (32, 3, 3, 3)},
            "1 missing: fc.bias; 1 unexpected: head.bias; "
            "1 of another shape: conv1.0.weight (32, 3, 3, 3) instead of (64, 3, 3, 3)",
        ),
    ],
)
def test_parameters_that_do_not_fit_are_listed(reference: Reference, folder: Path, change, told):
    shapes = {name: shape for name, shape in {**reference.shapes, **change}.items() if shape is not None}
    _save_zeros(shapes, folder / CHECKPOINT_FILE)

    with pytest.raises(WeightsError) as caught:
        _load(folder)

    assert str(caught.value).startswith(f"{folder / CHECKPOINT_FILE}: parameters do not fit ")
    assert str(caught.value).endswith(f": {told}")


class Touch:
    """Pickled, it is a call of ``open`` that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.path), "w"))


def test_no_code_of_the_checkpoint_is_run(folder: Path):
    torch.save({"state_dict": {"fc.bias": torch.zeros(1)}, "hook": Touch(folder / "ran")}, folder / CHECKPOINT_FILE)

    with pytest.raises(ConfigurationError, match="not a checkpoint of plain parameters"):
        _load(folder)
    assert not (folder / "ran").exists()


def test_no_checkpoint(folder: Path):
    with pytest.raises(ConfigurationError, match=rf"{CHECKPOINT_FILE}: no such checkpoint"):
        _load(folder)


def test_no_labels(folder: Path):
    (folder / LABELS_FILE).unlink()

    with pytest.raises(ConfigurationError, match=rf"{LABELS_FILE}: cannot read labels"):
        _load(folder)


@pytest.mark.parametrize("count", [CLASSES - 1, CLASSES + 1])
def test_another_number_of_labels(folder: Path, count: int):
    (folder / LABELS_FILE).write_text(_meta_info(count), encoding="utf-8")

    with pytest.raises(ConfigurationError, match=f"{count} labels, but the model has {CLASSES} classes"):
        _load(folder)


def test_a_class_without_a_label(folder: Path):
    text = _meta_info().replace("17\t类别17\t", "17\t \t", 1)
    (folder / LABELS_FILE).write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError, match="class 17 has no label"):
        _load(folder)


def test_no_folder(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"no such folder; scripts/fetch_model\.py downloads iic/"):
        _load(tmp_path / "weights")


def test_no_path():
    with pytest.raises(ConfigurationError, match=r"set model\.path"):
        load_backbone(ModelChoice(source="modelscope-general"), default_labels=UNUSED)
