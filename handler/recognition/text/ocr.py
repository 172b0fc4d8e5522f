"""Reads text with RapidOCR: PP-OCRv6 small from its wheel, on the same CPU runtime as the network."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.errors import ConfigurationError
from recognition.reply import BoxXyxyPx
from recognition.runtime import import_openvino

#: Longer side that an image is scaled to, up or down, before text is looked for. With RapidOCR's own bound a frame took
#: four times as long; below 640 the small print of a bottle is lost.
SIDE_PX = 640
_GRID_PX = 128
#: A shelf has a hundred labels. The largest are read, because the held product is near.
_MOST_LINES = 24
#: No caller may ask for more.
_MOST_PX = 1280
#: The models that the wheel ships, named so that nothing is ever looked for elsewhere.
_MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}


@dataclass(frozen=True)
class ReadLine:
    """A line of text, its confidence 0..1 and its box in pixels of the image that was read."""

    text: str
    confidence: float
    box: BoxXyxyPx


class TextReader:
    """An OCR with its models loaded. Not thread-safe."""

    def __init__(self, *, threads: int) -> None:
        """Load the models.

        Raises:
            ConfigurationError: RapidOCR is not installed, or not with its models.
        """
        spec = importlib.util.find_spec("rapidocr")
        if spec is None or spec.origin is None:
            raise ConfigurationError("text is to be read, but RapidOCR is not installed: pip install rapidocr")
        folder = Path(spec.origin).parent / "models"
        missing = [name for name in _MODELS.values() if not (folder / name).is_file()]
        if missing:
            raise ConfigurationError(f"{folder}: {', '.join(missing)} missing: install rapidocr from its wheel")
        self._ocr = _bounded_ocr(folder, threads)

    def read(self, rgb: NDArray[np.uint8], *, side_px: int = SIDE_PX) -> list[ReadLine]:
        """Lines of uint8 (H, W, 3) RGB, top to bottom, scaled so that the longer side has ``side_px``."""
        scale = side_px / max(rgb.shape[:2])
        size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
        scaled = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
        result = self._ocr(cv2.cvtColor(_padded(scaled), cv2.COLOR_RGB2BGR))
        if result.txts is None:
            return []
        return [
            ReadLine(str(text), float(confidence), _box(np.asarray(corners) / scale))
            for text, confidence, corners in zip(result.txts, result.scores, result.boxes, strict=True)
        ]


def _padded(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pad right and bottom to multiples of ``_GRID_PX``: the runtime compiles its kernels anew for every size it meets."""
    height, width = rgb.shape[:2]
    return cv2.copyMakeBorder(  # type: ignore[return-value]
        rgb, 0, -height % _GRID_PX, 0, -width % _GRID_PX, cv2.BORDER_CONSTANT, value=(128, 128, 128)
    )


def _box(corners: NDArray[np.float64]) -> BoxXyxyPx:
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _bounded_ocr(folder: Path, threads: int) -> Any:
    import_openvino()
    from rapidocr import EngineType, RapidOCR

    class BoundedOcr(RapidOCR):  # type: ignore[misc]
        """RapidOCR that recognises only the largest lines that it detected."""

        def detect_and_crop(self, img: NDArray[np.uint8], op_record: dict[str, Any]) -> Any:
            crops, found = super().detect_and_crop(img, op_record)
            if len(crops) <= _MOST_LINES:
                return crops, found
            heights = np.array([min(crop.shape[:2]) for crop in crops])
            kept = np.sort(np.argsort(-heights, kind="stable")[:_MOST_LINES])
            found.boxes = np.asarray(found.boxes)[kept]
            found.scores = [found.scores[index] for index in kept]
            return [crops[index] for index in kept], found

    parameters: dict[str, Any] = {
        "Global.log_level": "error",
        "Global.text_score": 0.3,
        "Global.max_side_len": _MOST_PX,
        "Det.limit_type": "max",
        "Det.limit_side_len": _MOST_PX,
        "EngineConfig.openvino.inference_num_threads": threads,
        "EngineConfig.openvino.num_streams": 1,
        # Pinned, the threads of all workers would share the first cores: see runtime.py.
        "EngineConfig.openvino.enable_cpu_pinning": False,
    }
    for part, model in _MODELS.items():
        parameters[f"{part}.engine_type"] = EngineType.OPENVINO
        parameters[f"{part}.model_path"] = str(folder / model)
    return BoundedOcr(params=parameters)
