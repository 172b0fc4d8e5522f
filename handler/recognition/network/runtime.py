"""Runs the network: OpenVINO on a CPU, torch on CUDA or wherever it is asked for. Same input, same output."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from recognition.errors import ConfigurationError
from recognition.network.artifact import FEATURES_FILE, OPENVINO_FILE, TORCH_FILE, BackboneInfo
from recognition.settings import RuntimeChoice

if TYPE_CHECKING:
    from torch import Tensor, nn


#: Activations of more images than this leave the core's cache: with a worker on every core, EfficientNet-Lite2 took
#: 4 to 7 % longer for each image in passes of four than in passes of one or two, and 15 % in passes of eight.
_IMAGES_PER_CPU_PASS = 2


class Runtime(Protocol):
    name: str
    threads: int

    def forward(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits (N, num_classes) of RGB ``images`` (N, input_px, input_px, 3)."""
        ...

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Feature maps (N, C, H / 32, W / 32) of RGB ``images`` (N, H, W, 3), H and W multiples of 32."""
        ...


def open_runtime(folder: Path, info: BackboneInfo, choice: RuntimeChoice, *, gpu_id: int | None) -> Runtime:
    """Load the network from an unpacked archive: torch on GPU ``gpu_id``, or ``choice.cpu`` where that is None.

    Raises:
        ConfigurationError: the archive was built without the file for that runtime.
    """
    threads = choice.thread_count()
    if gpu_id is None and choice.cpu == "openvino":
        features = None if info.feature_channels is None else _existing(folder / FEATURES_FILE, "openvino")
        return OpenVinoRuntime(
            _existing(folder / OPENVINO_FILE, "openvino"), features, threads=threads, precision=choice.precision
        )
    device = "cpu" if gpu_id is None else f"cuda:{gpu_id}"
    return TorchRuntime(_existing(folder / TORCH_FILE, "torch"), info, device=device, threads=threads)


class OpenVinoRuntime:
    """The network as OpenVINO IR on ``threads`` CPU threads: the classifier in float32, features as ``precision`` says.

    Frames looked at in bfloat16 find the same products as in float32 (140 composed frames: 107 shown, 107 right,
    either way), in half the network's time on a CPU with AMX.
    """

    def __init__(
        self, classifier: Path, features: Path | None, *, threads: int, precision: Literal["auto", "f32"] = "f32"
    ) -> None:
        openvino = import_openvino()
        self.name = "openvino"
        self.threads = threads
        # Pinning is off because every worker would pin its threads to the same first cores. Precision is named
        # because CPUs with AMX default to bfloat16, which moves labels' confidences by more than the promised 1e-3.
        options: dict[str, object] = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        }
        core = openvino.Core()
        self._classifier = core.compile_model(classifier, "CPU", options).create_infer_request()
        # What OpenVINO would choose by itself is what the CPU does natively.
        native = core.get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
        if precision == "auto" and native == "bf16":
            options["INFERENCE_PRECISION_HINT"] = native
        self._features = (
            None if features is None else core.compile_model(features, "CPU", options).create_infer_request()
        )

    def forward(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return _in_passes(self._classifier, images)

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return _in_passes(self._features, images)


def _in_passes(request: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    # Each result is copied: the next pass writes into the same buffer.
    return np.concatenate(
        [
            request.infer({0: images[start : start + _IMAGES_PER_CPU_PASS]}, share_inputs=True)[0].copy()
            for start in range(0, len(images), _IMAGES_PER_CPU_PASS)
        ]
    )


class TorchRuntime:
    """The network in eager torch; on CUDA in mixed precision (autocast)."""

    def __init__(self, path: Path, info: BackboneInfo, *, device: str, threads: int) -> None:
        import torch

        from recognition.backbones.base import Architecture, InputNormalized, load_exactly, read_checkpoint
        from recognition.backbones.feature_map import BeforeClassifier

        self.name = f"torch:{device}"
        self.threads = threads
        self._torch = torch
        self._device = torch.device(device)
        torch.set_num_threads(threads)
        network = Architecture(info.architecture, info.num_classes).build()
        load_exactly(network, read_checkpoint(path), where=path)
        network = network.to(memory_format=torch.channels_last)
        self._classifier = InputNormalized(network, info.preprocessing).eval().to(self._device)
        self._features = InputNormalized(BeforeClassifier(network), info.preprocessing).eval().to(self._device)

    def forward(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._run(self._classifier, images)

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._run(self._features, images)

    def _run(self, network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        torch = self._torch
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=self._device.type == "cuda"):
            output: Tensor = network(torch.from_numpy(images).to(self._device))
            result: NDArray[np.float32] = output.float().cpu().numpy()
        return result


def import_openvino() -> ModuleType:
    """The ``openvino`` module, with its telemetry left out.

    Its Python package reports each import and conversion to its maker over the network, and starts a thread for it,
    unless the package ``openvino_telemetry`` cannot be imported: then it uses a stub of its own.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: the import system refuses it
    return importlib.import_module("openvino")


def _existing(path: Path, runtime: str) -> Path:
    if not path.is_file():
        raise ConfigurationError(f"{path.name} is not in the archive: build it with --runtimes including {runtime}")
    return path
