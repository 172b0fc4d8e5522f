"""Networks exported as an archive holds them, with what they were made from, and photos cut for them."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray

from recognition.backbones import load_backbone
from recognition.backbones.base import Backbone
from recognition.network.artifact import BackboneInfo, read_info
from recognition.network.export import export
from recognition.network.runtime import Runtime, open_runtime
from recognition.request.images import centre_crop, decode
from recognition.settings import ImageLimits, ModelChoice, Preprocessing, RuntimeChoice
from tests.conftest import ROOT


@dataclass(frozen=True)
class Exported:
    """What an archive holds, and the network that it was made from."""

    backbone: Backbone
    folder: Path
    info: BackboneInfo

    def open(self, cpu: str, *, gpu_id: int | None = None, threads: int | str = 1, precision: str = "f32") -> Runtime:
        choice = RuntimeChoice(cpu=cpu, threads=threads, precision=precision)
        return open_runtime(self.folder, self.info, choice, gpu_id=gpu_id)


def network_of_archive(archive: Path, folder: Path) -> Exported:
    """The network of the built archive, unpacked into ``folder``: exporting one of its size takes half a minute."""
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    backbone = load_backbone(ModelChoice(source="efficientnet-lite2"), default_labels=ROOT / "labels.json")
    return Exported(backbone, folder, read_info(folder))


def small_network(folder: Path) -> Exported:
    """A small one, exported into ``folder``."""
    backbone = load_backbone(_small_timm(folder), default_labels=ROOT / "labels.json")
    return Exported(backbone, folder, export(backbone, folder))


def _small_timm(folder: Path) -> ModelChoice:
    """Random weights that are sure of themselves, so that confidences can differ."""
    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", num_classes=7)
    with torch.no_grad():
        network.train()(torch.rand(16, 3, 96, 96) * torch.rand(16, 3, 1, 1) * 4)  # moves the running statistics
        network.classifier.weight.mul_(120)
    torch.save(network.state_dict(), folder / "weights.pt")
    (folder / "labels.txt").write_text("\n".join("一二三四五六七"), encoding="utf-8")
    return ModelChoice(
        source="timm",
        path=str(folder / "weights.pt"),
        architecture="test_efficientnet",
        labels=str(folder / "labels.txt"),
        # Each number another, so that none can stand in for its neighbour.
        preprocessing=Preprocessing(
            input_px=96, resize_px=110, interpolation="bilinear", mean=(0.1, 0.2, 0.3), std=(0.2, 0.25, 0.3)
        ),
    )


def pixels_of(exported: Exported, files: list[Path]) -> NDArray[np.uint8]:
    spec = exported.info.preprocessing
    limits = ImageLimits(max_bytes=1 << 26, max_pixels=1 << 26)
    return np.stack(
        [centre_crop(decode(file.read_bytes(), limits, short_side_px=spec.resize_px), spec) for file in files]
    )
