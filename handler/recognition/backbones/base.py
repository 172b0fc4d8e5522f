"""Common to all sources of weights: reading a checkpoint, and refusing one that does not fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from recognition.classify.labels import LabelSet
from recognition.errors import ConfigurationError, WeightsError
from recognition.settings import Preprocessing

_LISTED = 10


class InputNormalized(nn.Module):
    """A network that takes pixels: uint8 (N, H, W, 3) RGB in, logits (N, num_classes) out.

    Normalising inside the graph keeps the constants with the weights, in every runtime alike, and hands a quarter
    of the bytes from Python to the runtime.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1) * 255)

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.permute(0, 3, 1, 2).float()
        logits: Tensor = self.network((pixels - self.mean) / self.std)
        return logits


@dataclass(frozen=True)
class Architecture:
    """Names the network, so that timm can build it again where the archive is served."""

    name: str
    num_classes: int

    def build(self) -> nn.Module:
        """A network with random weights, in evaluation mode.

        Raises:
            ConfigurationError: timm does not know the name.
        """
        if not timm.is_model(self.name):
            raise ConfigurationError(f"timm {timm.__version__} knows no architecture {self.name!r}")
        return timm.create_model(self.name, pretrained=False, num_classes=self.num_classes).eval()


@dataclass(frozen=True)
class Backbone:
    """Weights in their architecture, with the preprocessing and the labels that belong to them.

    ``network`` takes float32 (N, 3, H, W), already normalised, and returns logits (N, num_classes).
    """

    name: str
    architecture: Architecture
    network: nn.Module
    preprocessing: Preprocessing
    labels: LabelSet
    licence: str


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Parameters of a checkpoint, unwrapped from ``state_dict`` or ``model`` and without ``module.`` prefixes.

    Raises:
        ConfigurationError: no such file, or not a checkpoint that loads without running code from it.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: no such checkpoint") from error
    except Exception as error:  # damaged files make the unpickler raise nearly anything
        raise ConfigurationError(f"{path}: not a checkpoint of plain parameters: {error}") from error
    for wrapper in ("state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not loaded or not all(isinstance(name, str) for name in loaded):
        raise ConfigurationError(f"{path}: holds {type(loaded).__name__}, not named parameters")
    strangers = [name for name, value in loaded.items() if not isinstance(value, Tensor)]
    if strangers:
        raise ConfigurationError(f"{path}: not parameters: {_listed(strangers)}")
    return renamed(loaded, _without_module, where=path)


def renamed(parameters: Mapping[str, Tensor], rename: Callable[[str], str], *, where: object) -> dict[str, Tensor]:
    """``parameters`` under the names that ``rename`` gives them.

    Raises:
        WeightsError: two of them would get the same name, and one would be lost.
    """
    found: dict[str, Tensor] = {}
    for name, value in parameters.items():
        new = rename(name)
        if new in found:
            raise WeightsError(f"{where}: two parameters are both {new}; one of them is {name}")
        found[new] = value
    return found


def load_exactly(network: nn.Module, parameters: Mapping[str, Tensor], *, where: object) -> None:
    """Copy ``parameters`` into ``network``; every one must be expected, and every expected one there.

    ``num_batches_tracked`` may be missing: it counts training steps, and checkpoints of old PyTorch lack it.

    Raises:
        WeightsError: listing what is missing, unexpected and of another shape.
    """
    expected = network.state_dict()
    missing = [n for n in expected if n not in parameters and not n.endswith("num_batches_tracked")]
    unexpected = [n for n in parameters if n not in expected]
    misshapen = [
        f"{n} {tuple(parameters[n].shape)} instead of {tuple(expected[n].shape)}"
        for n in expected
        if n in parameters and parameters[n].shape != expected[n].shape
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    if any(faults.values()):
        listed = "; ".join(f"{len(names)} {kind}: {_listed(names)}" for kind, names in faults.items() if names)
        raise WeightsError(f"{where}: parameters do not fit {type(network).__name__}: {listed}")
    network.load_state_dict(dict(parameters), strict=False)


def _without_module(name: str) -> str:
    return name.removeprefix("module.").replace(".module.", ".")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
