"""The files in an archive that hold the network, and ``backbone.json``, which says what they are."""

from pathlib import Path

import msgspec

from recognition.errors import ConfigurationError
from recognition.settings import Preprocessing

INFO_FILE = "backbone.json"
TORCH_FILE = "backbone.pt"
OPENVINO_FILE = "backbone.xml"
FEATURES_FILE = "features.xml"
SNAPSHOT_FILE = "catalog.snapshot"
LABELS_FILE = "labels.json"
LINKS_FILE = "product_links.json"


class BackboneInfo(msgspec.Struct, frozen=True):
    """``weights_sha256`` identifies the parameters, whichever runtime's file they are read from.

    ``feature_channels`` is None where the network has no feature map: such an archive knows labels and names alone.
    """

    name: str
    architecture: str
    num_classes: int
    preprocessing: Preprocessing
    weights_sha256: str
    licence: str
    feature_channels: int | None = None


def write_info(info: BackboneInfo, folder: Path) -> None:
    (folder / INFO_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(info)) + b"\n")


def read_info(folder: Path) -> BackboneInfo:
    """Read ``backbone.json``.

    Raises:
        ConfigurationError: missing or not what ``write_info`` writes.
    """
    path = folder / INFO_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=BackboneInfo)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; build the archive again") from error
