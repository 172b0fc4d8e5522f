"""Writes a backbone into an archive's folder, once for each runtime, when the archive is built."""

import copy
import hashlib
import logging
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recognition.backbones.base import Backbone, InputNormalized
from recognition.backbones.feature_map import STRIDE_PX, FeatureMap
from recognition.classify.labels import write_labels
from recognition.errors import ConfigurationError
from recognition.network import converted_networks
from recognition.network.artifact import FEATURES_FILE, LABELS_FILE, OPENVINO_FILE, TORCH_FILE, BackboneInfo, write_info
from recognition.network.runtime import import_openvino

logger = logging.getLogger(__name__)
RUNTIMES = ("openvino", "torch")
#: Longest side of a frame that the feature map is asked for, in cells.
_MOST_CELLS = 64
_NO_FEATURES = "no catalog photos with this network: %s"


def export(
    backbone: Backbone, folder: Path, *, runtimes: Collection[str] = RUNTIMES, converted: Path | None = None
) -> BackboneInfo:
    """Write ``backbone.json``, ``labels.json`` and the network for each of ``runtimes`` into ``folder``.

    Args:
        backbone: the network with its labels.
        folder: of the archive.
        runtimes: of ``RUNTIMES``.
        converted: keeps what was converted for OpenVINO, for the next archive with the same network.
    """
    fingerprint = _fingerprint(backbone)
    features = _feature_map(backbone)
    if "openvino" in runtimes:
        key = converted_networks.key_of(fingerprint, backbone.architecture, backbone.preprocessing)
        with converted_networks.kept(converted, key, lambda into: _convert(backbone, features, into)) as found:
            shutil.copytree(found, folder, dirs_exist_ok=True)
        if not (folder / FEATURES_FILE).is_file():
            features = None
    info = BackboneInfo(
        name=backbone.name,
        architecture=backbone.architecture.name,
        num_classes=backbone.architecture.num_classes,
        preprocessing=backbone.preprocessing,
        weights_sha256=fingerprint,
        licence=backbone.licence,
        feature_channels=None if features is None else features.channels,
    )
    write_info(info, folder)
    write_labels(backbone.labels, folder / LABELS_FILE)
    if "torch" in runtimes:
        torch.save(backbone.network.state_dict(), folder / TORCH_FILE)
    return info


def _feature_map(backbone: Backbone) -> FeatureMap | None:
    try:
        return FeatureMap(backbone.network, backbone.preprocessing)
    except ConfigurationError as error:
        logger.warning(_NO_FEATURES, error)
        return None


def _convert(backbone: Backbone, features: FeatureMap | None, folder: Path) -> bool:
    """True where all of it was written."""
    if features is not None:
        _convert_features(features, folder / FEATURES_FILE)
    side = backbone.preprocessing.input_px
    # Two images, because torch.export takes a dimension of one for a constant.
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    classifier = InputNormalized(copy.deepcopy(backbone.network), backbone.preprocessing).eval()
    _save(classifier, example, {0: torch.export.Dim("batch")}, folder / OPENVINO_FILE)
    # A full disk or memory passes; the next archive tries again.
    return features is None or (folder / FEATURES_FILE).is_file()


def _convert_features(features: FeatureMap, path: Path) -> None:
    """Writes nothing where the network cannot be written for frames of any size; its classifier may still be."""
    cells = {side: torch.export.Dim(side, min=1, max=_MOST_CELLS) for side in ("rows", "columns")}
    shape = {0: torch.export.Dim("batch"), 1: STRIDE_PX * cells["rows"], 2: STRIDE_PX * cells["columns"]}
    example = torch.zeros((2, 3 * STRIDE_PX, 4 * STRIDE_PX, 3), dtype=torch.uint8)
    try:
        _save(features, example, shape, path)
    except Exception as error:  # noqa: BLE001  # neither exporter nor converter has one kind of error
        logger.warning(_NO_FEATURES, error)
        for part in (path, path.with_suffix(".bin")):
            part.unlink(missing_ok=True)


def _save(network: nn.Module, example: torch.Tensor, shape: dict[int, Any], path: Path) -> None:
    openvino = import_openvino()
    for module in network.modules():
        # Activations in place are taken apart in symbolic Python: half of a conversion's time, for the same graph.
        if getattr(module, "inplace", False):
            setattr(module, "inplace", False)  # noqa: B010  # to mypy, attributes of modules are tensors
    program = torch.export.export(network, (example,), dynamic_shapes=(shape,))
    openvino.save_model(openvino.convert_model(program), path, compress_to_fp16=False)


def _fingerprint(backbone: Backbone) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(backbone.network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()
