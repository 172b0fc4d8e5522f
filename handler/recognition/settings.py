"""The ``handler:`` block of ``model-config.yaml``, typed. An unknown key is an error, so that no slip is ignored."""

import os
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from contract.reply import Confidence
from recognition.errors import ConfigurationError

ProfileName = Literal["fast", "balanced", "sure"]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Channels = tuple[float, float, float]

#: Environment variable by which whoever starts the server gives each worker its threads.
THREADS_VARIABLE = "LIVECART_THREADS_PER_WORKER"


#: host, host:port or *.host; the host may be written in any script.
_ALLOWED_HOST = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*(:[0-9]{1,5})?")


class _Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Preprocessing(_Block, frozen=True):
    """A photo's way to the network's input. Belongs to the weights: there is no default anywhere.

    The short side is resized to ``resize_px``, the centre ``input_px`` square is cut out, and RGB values 0..1 are
    normalised by ``mean`` and ``std``.
    """

    input_px: Positive
    resize_px: Positive
    interpolation: Literal["bilinear", "bicubic"]
    mean: Channels
    std: Channels

    def __post_init__(self) -> None:
        if self.resize_px < self.input_px:
            raise ValueError(f"resize_px {self.resize_px} is smaller than input_px {self.input_px}")
        if min(self.std) <= 0:
            raise ValueError("std must be above 0")


class ModelChoice(_Block, frozen=True):
    """Weights that the archive is built from. The fields after ``path`` are for ``source: timm`` alone."""

    source: Literal["efficientnet-lite0", "efficientnet-lite2", "modelscope-general", "timm"]
    path: str | None = None
    architecture: str | None = None
    labels: str | None = None
    preprocessing: Preprocessing | None = None


class RuntimeChoice(_Block, frozen=True):
    """Runtime of the network, and its CPU threads per worker; one more extracts keypoints meanwhile.

    ``precision`` is of the feature maps by which OpenVINO looks for products: ``auto`` is bfloat16 where the CPU
    multiplies it natively (AMX, AVX-512 BF16), float32 elsewhere. Labels are always classified in float32.
    """

    cpu: Literal["openvino", "torch"] = "openvino"
    threads: Positive | Literal["auto"] = "auto"
    precision: Literal["auto", "f32"] = "auto"

    def thread_count(self) -> int:
        """Threads of one worker's network: as configured, or by ``LIVECART_THREADS_PER_WORKER``, or 1.

        One is right where the server starts a worker per core, which is what TorchServe does unless told otherwise.

        Raises:
            ConfigurationError: the environment variable is not a positive number.
        """
        if self.threads != "auto":
            return int(self.threads)
        value = os.environ.get(THREADS_VARIABLE, "1")
        if not value.isascii() or not value.isdigit() or int(value) < 1:
            raise ConfigurationError(f"environment variable {THREADS_VARIABLE}={value!r} is not a number of threads")
        return int(value)


class Thresholds(_Block, frozen=True):
    """From which confidence a product may be shown. A request may choose within ``lowest`` and ``highest``.

    ``default`` is for products known by a classifier's label, ``catalog`` for those of a catalog snapshot.
    """

    default: Confidence
    lowest: Confidence
    highest: Confidence
    catalog: Confidence = 0.95
    labels: dict[str, Confidence] = {}

    def __post_init__(self) -> None:
        for name in ("default", "catalog"):
            if not self.lowest <= getattr(self, name) <= self.highest:
                value = getattr(self, name)
                raise ValueError(f"{name} {value} is not between lowest {self.lowest} and highest {self.highest}")


class TopK(_Block, frozen=True):
    default: Positive
    highest: Positive

    def __post_init__(self) -> None:
        if self.default > self.highest:
            raise ValueError(f"default {self.default} is above highest {self.highest}")


class ImageLimits(_Block, frozen=True):
    """Larger images are refused before they are decoded."""

    max_bytes: Positive
    max_pixels: Positive


class CatalogChoice(_Block, frozen=True):
    """Source of the catalog's snapshot.

    ``source`` is a path or an https link to follow, polled every ``poll_s``; None is the snapshot in the archive.
    """

    source: str | None = None
    poll_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600.0)] = 1.0

    def __post_init__(self) -> None:
        # TorchServe unpacks the archive wherever it likes: nothing there is relative to anything.
        if self.source is not None and "://" not in self.source and not PurePath(self.source).is_absolute():
            raise ValueError(
                f"source {self.source!r} is a relative path; give a whole one, from / on, or an https link"
            )
        # The archive is handed on: whoever has it would have the password.
        if self.source is not None and "@" in urlsplit(self.source).netloc:
            raise ValueError("source has a user or password; set LIVECART_SNAPSHOT_TOKEN where the archive is served")


class Settings(_Block, frozen=True):
    model: ModelChoice
    runtime: RuntimeChoice
    thresholds: Thresholds
    top_k: TopK
    images: ImageLimits
    allowed_hosts: list[str]
    catalog: CatalogChoice = CatalogChoice()
    profile: ProfileName = "balanced"

    def __post_init__(self) -> None:
        for host in self.allowed_hosts:
            if not _ALLOWED_HOST.fullmatch(host):
                raise ValueError(f"allowed_hosts: {host!r} is not a host, host:port or *.host (no https://, no path)")


def parse_settings(model_config: Mapping[str, Any], *, where: str = "model-config.yaml") -> Settings:
    """Read the ``handler`` key of a parsed ``model-config.yaml``.

    Raises:
        ConfigurationError: naming the key that is missing, unknown or of a wrong value.
    """
    block = model_config.get("handler")
    if block is None:
        raise ConfigurationError(f"{where}: key 'handler' is missing")
    try:
        return msgspec.convert(block, Settings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: handler: {error}") from error
