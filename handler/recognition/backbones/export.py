"""Writes a backbone into an archive's folder, once for each runtime, when the archive is built."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

import torch

from recognition.artifact import LABELS_FILE, OPENVINO_FILE, TORCH_FILE, BackboneInfo, write_info
from recognition.backbones.base import Backbone, InputNormalized
from recognition.labels import write_labels
from recognition.runtime import import_openvino

RUNTIMES = ("openvino", "torch")


def export(backbone: Backbone, folder: Path, *, runtimes: Collection[str] = RUNTIMES) -> BackboneInfo:
    """Write ``backbone.json``, ``labels.json`` and the network for each of ``runtimes`` into ``folder``."""
    info = BackboneInfo(
        name=backbone.name,
        architecture=backbone.architecture.name,
        num_classes=backbone.architecture.num_classes,
        preprocessing=backbone.preprocessing,
        weights_sha256=_fingerprint(backbone),
        licence=backbone.licence,
    )
    write_info(info, folder)
    write_labels(backbone.labels, folder / LABELS_FILE)
    if "torch" in runtimes:
        torch.save(backbone.network.state_dict(), folder / TORCH_FILE)
    if "openvino" in runtimes:
        _export_openvino(backbone, folder / OPENVINO_FILE)
    return info


def _export_openvino(backbone: Backbone, path: Path) -> None:
    openvino = import_openvino()
    side = backbone.preprocessing.input_px
    # Two images, because torch.export takes a dimension of one for a constant.
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    program = torch.export.export(
        InputNormalized(backbone.network, backbone.preprocessing).eval(),
        (example,),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    openvino.save_model(openvino.convert_model(program), path, compress_to_fp16=False)


def _fingerprint(backbone: Backbone) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(backbone.network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()
