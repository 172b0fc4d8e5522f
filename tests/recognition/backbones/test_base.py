"""Reading checkpoints and refusing those that do not fit: the checks that all kinds of weights share."""

import copy
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from recognition.backbones.base import Architecture, InputNormalized, load_exactly, read_checkpoint
from recognition.errors import ConfigurationError, WeightsError
from recognition.settings import Preprocessing


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 1), norm=nn.BatchNorm2d(4)))


def _saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


class Touch:
    """Pickled, it is a call of ``open`` that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrap", [dict, lambda it: {"state_dict": it, "epoch": 3}, lambda it: {"model": it}])
def test_reads_every_wrapping(tmp_path, prefix, wrap):
    parameters = _network().state_dict()
    wrapped = wrap({prefix + name: value for name, value in parameters.items()})

    read = read_checkpoint(_saved(tmp_path / "a.pt", wrapped))

    assert list(read) == list(parameters)
    assert all(torch.equal(read[name], value) for name, value in parameters.items())


def test_reads_the_format_of_pytorch_before_1_6(tmp_path):
    parameters = _network().state_dict()
    torch.save(parameters, tmp_path / "a.pt", _use_new_zipfile_serialization=False)

    assert list(read_checkpoint(tmp_path / "a.pt")) == list(parameters)


def test_a_module_prefix_inside_a_name_goes_too(tmp_path):
    read = read_checkpoint(
        _saved(tmp_path / "a.pt", {"encoder.module.weight": torch.ones(1), "modules.x": torch.ones(1)})
    )

    assert set(read) == {"encoder.weight", "modules.x"}


def test_no_code_of_a_checkpoint_is_run(tmp_path):
    ran = tmp_path / "ran"
    path = _saved(tmp_path / "a.pt", {"state_dict": {"weight": torch.ones(1)}, "extra": Touch(ran)})
    torch.load(path, weights_only=False)["extra"].close()
    assert ran.exists(), "the checkpoint is harmless, so this test shows nothing"
    ran.unlink()

    with pytest.raises(ConfigurationError, match="not a checkpoint of plain parameters"):
        read_checkpoint(path)
    assert not ran.exists()


def test_no_code_of_a_plain_pickle_is_run(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps(Touch(tmp_path / "ran"), protocol=2))

    with pytest.raises(ConfigurationError, match="not a checkpoint of plain parameters"):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 cut short",
        b"not a checkpoint",
        b"\x89PNG\r\n\x1a\n",
        b"\x80\x02",
        b"\x80\x02J\x01",  # a number cut short
        b"\x80\x02q\x00",  # remembers the top of an empty stack
        b"\x80\x02]}a.",  # a list for a key
    ],
)
def test_a_file_that_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "a.pt"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match="not a checkpoint of plain parameters") as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


def test_a_checkpoint_cut_short(tmp_path):
    path = _saved(tmp_path / "a.pt", {"weight": torch.ones(100_000)})
    path.write_bytes(path.read_bytes()[:200_000])

    with pytest.raises(ConfigurationError, match="not a checkpoint of plain parameters"):
        read_checkpoint(path)


def test_no_such_file(tmp_path):
    with pytest.raises(ConfigurationError, match=r"a\.pt: no such checkpoint"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_folder_instead_of_a_file(tmp_path):
    with pytest.raises(ConfigurationError, match="not a checkpoint"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [[torch.ones(1)], torch.ones(1), {}, {"state_dict": {}}, 3, {0: torch.ones(1)}])
def test_a_checkpoint_without_named_parameters(tmp_path, content):
    with pytest.raises(ConfigurationError, match="not named parameters"):
        read_checkpoint(_saved(tmp_path / "a.pt", content))


def test_values_that_are_no_tensors_are_named(tmp_path):
    path = _saved(tmp_path / "a.pt", {"weight": torch.ones(1), "epoch": 3, "note": "x"})

    with pytest.raises(ConfigurationError, match="not parameters: epoch, note"):
        read_checkpoint(path)


def test_loads_every_parameter_and_buffer():
    source = _network()
    source(torch.randn(8, 3, 2, 2))  # moves the running statistics
    target = _network()
    for value in target.state_dict().values():
        value.zero_()

    load_exactly(target, source.state_dict(), where="here")

    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value), name
    assert source.state_dict()["norm.running_mean"].abs().min() > 0


def test_the_count_of_training_steps_may_be_missing():
    parameters = {n: v for n, v in _network().state_dict().items() if not n.endswith("num_batches_tracked")}
    assert len(parameters) == 6

    load_exactly(_network(), parameters, where="here")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"conv.bias": None}, "1 missing: conv.bias"),
        ({"norm.running_var": None}, "1 missing: norm.running_var"),
        ({"stranger": torch.ones(1)}, "1 unexpected: stranger"),
        (
            {"conv.weight": torch.ones(4, 3, 3, 3)},
            "1 of another shape: conv.weight (4, 3, 3, 3) instead of (4, 3, 1, 1)",
        ),
        # Copying would broadcast it without a word.
        ({"conv.bias": torch.ones(1)}, "1 of another shape: conv.bias (1,) instead of (4,)"),
        (
            {"conv.bias": None, "stranger": torch.ones(1), "norm.weight": torch.ones(5)},
            "1 missing: conv.bias; 1 unexpected: stranger; 1 of another shape: norm.weight (5,) instead of (4,)",
        ),
    ],
)
def test_what_does_not_fit_is_listed_and_nothing_is_loaded(change, told):
    parameters = {name: value + 1 for name, value in _network().state_dict().items()} | change
    network = _network()
    before = copy.deepcopy(network.state_dict())

    with pytest.raises(WeightsError) as caught:
        load_exactly(network, {name: value for name, value in parameters.items() if value is not None}, where="here")

    assert str(caught.value) == f"here: parameters do not fit Sequential: {told}"
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


def test_a_long_list_is_cut():
    extra = {f"extra{number:02}": torch.ones(1) for number in range(25)}

    with pytest.raises(WeightsError, match=r"25 unexpected: extra00, .*extra09 and 15 more$"):
        load_exactly(_network(), {**_network().state_dict(), **extra}, where="here")


def test_an_unknown_architecture_is_named():
    with pytest.raises(ConfigurationError, match="'resnet5000'"):
        Architecture("resnet5000", 7).build()


def test_an_architecture_is_built_for_evaluation_with_the_classes_asked_for():
    network = Architecture("test_efficientnet", 7).build()

    assert not any(module.training for module in network.modules())
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


def test_input_is_normalised_by_channel():
    spec = Preprocessing(input_px=2, resize_px=2, interpolation="bilinear", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 2, 2, 3), dtype=np.uint8)

    result = InputNormalized(nn.Identity(), spec)(torch.from_numpy(pixels)).numpy()

    expected = (pixels / 255.0 - np.array(spec.mean)) / np.array(spec.std)
    np.testing.assert_allclose(result, expected.transpose(0, 3, 1, 2), atol=1e-6)
