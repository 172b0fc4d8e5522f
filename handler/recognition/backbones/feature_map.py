"""The part of a network before its classifier, for frames of any size: what the catalog's photos are matched with."""

import copy

import torch
from torch import Tensor, nn

from recognition.backbones.base import InputNormalized
from recognition.errors import ConfigurationError
from recognition.settings import Preprocessing

#: Input pixels that one cell of the feature map stands for, in either direction.
STRIDE_PX = 32


class FeatureMap(nn.Module):
    """uint8 (N, H, W, 3) RGB with H and W multiples of ``STRIDE_PX`` to features (N, C, H / 32, W / 32)."""

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        """Take a copy of ``network``, which itself stays as it is.

        Raises:
            ConfigurationError: the network has no map of features of that stride (a vision transformer, say).
        """
        super().__init__()
        body = copy.deepcopy(network)
        _fix_padding(body)
        self.body = InputNormalized(BeforeClassifier(body), preprocessing).eval()
        try:
            with torch.inference_mode():
                shape = tuple(self.body(torch.zeros((1, 3 * STRIDE_PX, 2 * STRIDE_PX, 3), dtype=torch.uint8)).shape)
        except Exception as error:  # each architecture has its own way to refuse a size
            raise ConfigurationError(f"{type(network).__name__} makes no map of 64 x 96 pixels: {error}") from error
        if len(shape) != 4 or shape[2:] != (3, 2):
            raise ConfigurationError(
                f"{type(network).__name__} makes {shape[1:]} of 64 x 96 pixels, not (channels, 3, 2)"
            )
        self.channels = int(shape[1])

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.body(images)
        return features


class BeforeClassifier(nn.Module):
    """A timm network up to its last feature map."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Features (N, C, H / 32, W / 32) of normalised ``pixels`` (N, 3, H, W)."""
        features: Tensor = self.network.forward_features(pixels)  # type: ignore[operator]
        return features


def _fix_padding(module: nn.Module) -> None:
    """Give TensorFlow's "same" convolutions the padding that they have on even sizes.

    Their padding depends on the input's size, which torch.export cannot keep symbolic. With inputs of multiples of 32
    every strided layer sees an even size, and then the padding is a constant.
    """
    from timm.layers.conv2d_same import Conv2dSame

    for name, child in module.named_children():
        if not isinstance(child, Conv2dSame):
            _fix_padding(child)
            continue
        padding = []
        for kernel, stride, dilation in zip(
            reversed(child.kernel_size), reversed(child.stride), reversed(child.dilation), strict=True
        ):
            total = max((kernel - 1) * dilation + 1 - stride, 0)
            padding += [total // 2, total - total // 2]
        fixed = nn.Conv2d(
            child.in_channels,
            child.out_channels,
            child.kernel_size,  # type: ignore[arg-type]
            child.stride,  # type: ignore[arg-type]
            0,
            child.dilation,  # type: ignore[arg-type]
            child.groups,
            child.bias is not None,
        )
        fixed.load_state_dict(child.state_dict())
        setattr(module, name, nn.Sequential(nn.ZeroPad2d((padding[0], padding[1], padding[2], padding[3])), fixed))
