"""Reading checkpoints and refusing those that do not fit: the checks that all kinds of weights share."""

import copy
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from recognition.backbones.base import load_exactly, read_checkpoint
from recognition.errors import ConfigurationError, WeightsError


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


@pytest.mark.parametrize("content", [[torch.ones(1)], torch.ones(1), {}, {"state_dict": {}}, 3, {0: torch.ones(1)}])
def test_a_checkpoint_without_named_parameters(tmp_path, content):
    with pytest.raises(ConfigurationError, match="not named parameters"):
        read_checkpoint(_saved(tmp_path / "a.pt", content))


def test_values_that_are_no_tensors_are_named(tmp_path):
    path = _saved(tmp_path / "a.pt", {"weight": torch.ones(1), "epoch": 3, "note": "x"})

    with pytest.raises(ConfigurationError, match="not parameters: epoch, note"):
        read_checkpoint(path)


def test_the_count_of_training_steps_may_be_missing():
    parameters = {n: v for n, v in _network().state_dict().items() if not n.endswith("num_batches_tracked")}
    assert len(parameters) == 6

    load_exactly(_network(), parameters, where="here")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"conv.bias": None}, "1 missing: conv.bias"),
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
