"""Any timm architecture with a checkpoint, a label file and a preprocessing block of your own."""

from pathlib import Path

from recognition.backbones.base import Architecture, Backbone, load_exactly, read_checkpoint
from recognition.classify.labels import load_labels
from recognition.errors import ConfigurationError
from recognition.settings import ModelChoice

_WANTED = ("architecture", "path", "labels", "preprocessing")


def load(choice: ModelChoice, _default_labels: Path) -> Backbone:
    """Load ``choice.path`` into timm's ``choice.architecture``, with as many classes as ``choice.labels`` has lines.

    Raises:
        ConfigurationError: one of the four keys is missing, or what it names cannot be used.
        WeightsError: the parameters do not fit the architecture with that many classes.
    """
    missing = [key for key in _WANTED if getattr(choice, key) is None]
    if missing or choice.preprocessing is None:
        raise ConfigurationError(f"model.source timm also needs: {', '.join('model.' + key for key in missing)}")
    path = Path(str(choice.path))
    labels = load_labels(Path(str(choice.labels)))
    architecture = Architecture(str(choice.architecture), len(labels))
    network = architecture.build()
    load_exactly(network, read_checkpoint(path), where=path)
    return Backbone(
        name=architecture.name,
        architecture=architecture,
        network=network,
        preprocessing=choice.preprocessing,
        labels=labels,
        licence="as your checkpoint",
    )
