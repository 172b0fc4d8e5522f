"""万物识别-中文-通用领域: Alibaba's general recognition model, 54,092 Chinese classes.

A ModelScope folder (``iic/cv_resnest101_general_recognition``, formerly ``damo/…``) with ``pytorch_model.pt`` and
``meta_info.txt``. The network is ResNeSt-101 as in the ResNeSt paper (arXiv:2004.08955): radix 2, one group,
bottleneck width 64, deep stem of width 64, average down-sampling after the 3 x 3 convolution. timm's ``resnest101e``
is exactly that, parameter names included.
"""

from pathlib import Path

from recognition.backbones.base import Architecture, Backbone, load_exactly, read_checkpoint
from recognition.classify.labels import load_labels
from recognition.errors import ConfigurationError
from recognition.settings import ModelChoice, Preprocessing

MODEL_ID = "iic/cv_resnest101_general_recognition"
CHECKPOINT_FILE = "pytorch_model.pt"
LABELS_FILE = "meta_info.txt"
NUM_CLASSES = 54_092
#: As in the model's own pipeline on ModelScope: Resize(256), CenterCrop(224), ImageNet's mean and std.
PREPROCESSING = Preprocessing(
    input_px=224,
    resize_px=256,
    interpolation="bilinear",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def load(choice: ModelChoice, _default_labels: Path) -> Backbone:
    """Load the model from the folder ``choice.path``, with the labels of that folder.

    Raises:
        ConfigurationError: no folder is named, or a file in it is missing or unreadable.
        WeightsError: its parameters do not fit.
    """
    if choice.path is None:
        raise ConfigurationError("modelscope-general: set model.path to the folder that scripts/fetch_model.py makes")
    folder = Path(choice.path)
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder; scripts/fetch_model.py downloads {MODEL_ID}")
    labels = load_labels(folder / LABELS_FILE, num_classes=NUM_CLASSES)
    architecture = Architecture("resnest101e", NUM_CLASSES)
    network = architecture.build()
    load_exactly(network, read_checkpoint(folder / CHECKPOINT_FILE), where=folder / CHECKPOINT_FILE)
    return Backbone(
        name="modelscope-general",
        architecture=architecture,
        network=network,
        preprocessing=PREPROCESSING,
        labels=labels,
        licence="see the model's page on ModelScope",
    )
