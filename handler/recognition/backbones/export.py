"""Writes a backbone into an archive's folder, once for each runtime, when the archive is built."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection
from pathlib import Path

import torch

from recognition.artifact import FEATURES_FILE, LABELS_FILE, OPENVINO_FILE, TORCH_FILE, BackboneInfo, write_info
from recognition.backbones.base import Backbone, InputNormalized
from recognition.backbones.feature_map import STRIDE_PX, FeatureMap
from recognition.errors import ConfigurationError
from recognition.labels import write_labels
from recognition.runtime import import_openvino

logger = logging.getLogger(__name__)
RUNTIMES = ("openvino", "torch")
#: Longest side of a frame that the feature map is asked for, in cells.
_MOST_CELLS = 64
_NO_FEATURES = "no catalog photos with this network: %s"


def export(backbone: Backbone, folder: Path, *, runtimes: Collection[str] = RUNTIMES) -> BackboneInfo:
    """Write ``backbone.json``, ``labels.json`` and the network for each of ``runtimes`` into ``folder``."""
    features = _feature_map(backbone)
    if "openvino" in runtimes and features is not None:
        features = _export_features(features, folder / FEATURES_FILE)
    info = BackboneInfo(
        name=backbone.name,
        architecture=backbone.architecture.name,
        num_classes=backbone.architecture.num_classes,
        preprocessing=backbone.preprocessing,
        weights_sha256=_fingerprint(backbone),
        licence=backbone.licence,
        feature_channels=None if features is None else features.channels,
    )
    write_info(info, folder)
    write_labels(backbone.labels, folder / LABELS_FILE)
    if "torch" in runtimes:
        torch.save(backbone.network.state_dict(), folder / TORCH_FILE)
    if "openvino" in runtimes:
        _export_classifier(backbone, folder / OPENVINO_FILE)
    return info


def _feature_map(backbone: Backbone) -> FeatureMap | None:
    try:
        return FeatureMap(backbone.network, backbone.preprocessing)
    except ConfigurationError as error:
        logger.warning(_NO_FEATURES, error)
        return None


def _export_classifier(backbone: Backbone, path: Path) -> None:
    side = backbone.preprocessing.input_px
    # Two images, because torch.export takes a dimension of one for a constant.
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    program = torch.export.export(
        InputNormalized(backbone.network, backbone.preprocessing).eval(),
        (example,),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    _save(program, path)


def _export_features(features: FeatureMap, path: Path) -> FeatureMap | None:
    """None where the network cannot be written for frames of any size; its classifier may still be."""
    cells = {side: torch.export.Dim(side, min=1, max=_MOST_CELLS) for side in ("rows", "columns")}
    shape = {0: torch.export.Dim("batch"), 1: STRIDE_PX * cells["rows"], 2: STRIDE_PX * cells["columns"]}
    example = torch.zeros((2, 3 * STRIDE_PX, 4 * STRIDE_PX, 3), dtype=torch.uint8)
    try:
        _save(torch.export.export(features, (example,), dynamic_shapes=(shape,)), path)
    except Exception as error:  # noqa: BLE001  # neither exporter nor converter has one kind of error
        logger.warning(_NO_FEATURES, error)
        return None
    return features


def _save(program: torch.export.ExportedProgram, path: Path) -> None:
    openvino = import_openvino()
    openvino.save_model(openvino.convert_model(program), path, compress_to_fp16=False)


def _fingerprint(backbone: Backbone) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(backbone.network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()
