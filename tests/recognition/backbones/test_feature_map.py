"""The network before its classifier, for frames of any size, and which networks have no such part."""

import logging

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from recognition.backbones.base import Architecture, Backbone
from recognition.backbones.feature_map import STRIDE_PX, FeatureMap
from recognition.classify.labels import LabelSet
from recognition.errors import ConfigurationError
from recognition.network.artifact import FEATURES_FILE
from recognition.network.export import export
from recognition.network.runtime import open_runtime
from recognition.settings import Preprocessing, RuntimeChoice

SPEC = Preprocessing(input_px=64, resize_px=72, interpolation="bilinear", mean=(0.1, 0.2, 0.3), std=(0.2, 0.25, 0.3))
#: The same padding on all sides, TensorFlow's in two kinds of blocks, and split attention with average pooling.
ARCHITECTURES = ["resnet10t", "tf_efficientnet_lite0", "tf_mobilenetv3_small_minimal_100", "resnest14d"]


def network_of(architecture: str) -> nn.Module:
    """Random weights with statistics that let shifts and lost borders show."""
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=3).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.normal_(module.bias, std=0.1)
    return network


def frames(count: int, height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=torch.manual_seed(height))


def normalised(images: Tensor) -> Tensor:
    """The normalisation written out once more."""
    pixels = images.numpy() / 255.0
    return torch.from_numpy(((pixels - SPEC.mean) / SPEC.std).transpose(0, 3, 1, 2)).float()


def backbone_of(network: nn.Module, architecture: str) -> Backbone:
    return Backbone(
        name=f"some-{architecture}",
        architecture=Architecture(architecture, 3),
        network=network,
        preprocessing=SPEC,
        labels=LabelSet(("a", "b", "c")),
        licence="MIT",
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_map_is_what_the_network_sees_before_its_classifier(architecture):
    network = network_of(architecture)
    features = FeatureMap(network, SPEC)

    for count, height, width in [(1, 32, 32), (2, 96, 64), (1, 160, 288)]:
        images = frames(count, height, width)
        with torch.inference_mode():
            expected = network.forward_features(normalised(images))
            found = features(images)
            assert found.shape == (count, features.channels, height // STRIDE_PX, width // STRIDE_PX)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
            # The classifier goes on from there.
            logits = network(normalised(images))
            torch.testing.assert_close(network.forward_head(found), logits, rtol=1e-3, atol=1e-3)
    assert float(expected.std()) > 0


class NoFeatures(nn.Module):
    """A network of another make."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean(dim=(2, 3))


class Flat(NoFeatures):
    """Features without a place."""

    def forward_features(self, pixels: Tensor) -> Tensor:
        return pixels.mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (timm.create_model("vit_tiny_patch16_224", num_classes=3, depth=1), "VisionTransformer"),
        (timm.create_model("swin_tiny_patch4_window7_224", num_classes=3, depths=(1, 1, 1, 1)), "SwinTransformer"),
        (NoFeatures(), "NoFeatures"),
        (Flat(), r"Flat makes \(3,\)"),
    ],
    ids=["vit", "swin", "none", "flat"],
)
def test_a_network_without_a_map_is_refused(network, told):
    with pytest.raises(ConfigurationError, match=told):
        FeatureMap(network.eval(), SPEC)


def test_openvino_computes_the_same_map_for_frames_of_any_size(tmp_path):
    """Split attention here; tests of the runtime have EfficientNets."""
    backbone = backbone_of(network_of("resnest14d"), "resnest14d")
    features = FeatureMap(backbone.network, SPEC)

    info = export(backbone, tmp_path)

    assert info.feature_channels == features.channels
    runtimes = [
        open_runtime(tmp_path, info, RuntimeChoice(cpu=cpu, threads=1, precision="f32"), gpu_id=None)
        for cpu in ("openvino", "torch")
    ]
    for count, height, width in [(1, 32, 32), (1, 32, 320), (3, 96, 64), (1, 64, 64), (2, 160, 288)]:
        images = frames(count, height, width)
        with torch.inference_mode():
            expected = features(images).numpy()
        for runtime in runtimes:
            np.testing.assert_allclose(runtime.features(images.numpy()), expected, rtol=1e-3, atol=1e-3)


class Undecided(nn.Module):
    """Its features cannot be exported, because they depend on what is in the picture."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean(dim=(2, 3))

    def forward_features(self, pixels: Tensor) -> Tensor:
        pooled = nn.functional.avg_pool2d(pixels, 32)
        return pooled if float(pixels.sum()) > 0 else -pooled


@pytest.mark.parametrize(
    "network",
    [timm.create_model("vit_tiny_patch16_224", num_classes=3, depth=1, img_size=64), Undecided()],
    ids=["no map", "a map that cannot be written"],
)
def test_without_a_map_the_archive_still_has_its_classifier(tmp_path, caplog, network):
    with caplog.at_level(logging.WARNING):
        info = export(backbone_of(network.eval(), "of my own"), tmp_path, runtimes=["openvino"])

    assert info.feature_channels is None
    assert "no catalog photos with this network" in caplog.text
    assert not (tmp_path / FEATURES_FILE).exists()
    runtime = open_runtime(tmp_path, info, RuntimeChoice(cpu="openvino", threads=1), gpu_id=None)
    images = frames(2, SPEC.input_px, SPEC.input_px)
    with torch.inference_mode():
        expected = network(normalised(images)).numpy()
    np.testing.assert_allclose(runtime.forward(images.numpy()), expected, atol=1e-3)
