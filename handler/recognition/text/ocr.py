"""Reads text with RapidOCR: PP-OCRv6 small from its wheel, on the same CPU runtime as the network."""

import importlib.util
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.boxes import BoxXyxyPx
from recognition.errors import ConfigurationError
from recognition.network.runtime import import_openvino

#: Longer side that an image is scaled to, up or down, before text is looked for. With RapidOCR's own bound a frame took
#: four times as long; below 640 the small print of a bottle is lost.
SIDE_PX = 640
_GRID_PX = 128
#: A shelf has a hundred labels. The largest are read, because the held product is near.
_MOST_LINES = 24
#: No caller may ask for more.
_MOST_PX = 1280
#: A line is recognised at this height, alone, at its own width with this much grey behind it, in steps of that many
#: pixels. RapidOCR's batches of six, all as wide as the widest and 320 px at least, were 2.3 times the pixels, and read
#: as much: of the characters in the names of 60 drinks 0.495, line by line 0.503.
_LINE_HEIGHT_PX = 48
_BEHIND_LINE_PX = 16
_WIDTH_STEP_PX = 32
#: Lines read with less confidence may stand on their heads. The model that should tell turns too few of them: of the
#: characters that 90 drinks and groceries show, 0.60 were read with the pictures upside down, 0.81 with a second try.
_UNCERTAIN_BELOW = 0.8
#: Where fewer lines than this are uncertain the picture is upright, and they are merely small.
_UNCERTAIN_SHARE = 0.33
#: A picture with some text but fewer certain characters than this is read once more, turned by a right angle. Of those
#: photos on their side 19 of 90 lost nearly all their text without it, 12 with it.
_FEW_CHARACTERS = 4
#: The models that the wheel ships, named so that nothing is ever looked for elsewhere.
_MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}


@dataclass(frozen=True)
class ReadLine:
    """A line of text, its confidence 0..1 and its box in pixels of the image that was read.

    ``tilt_deg``: of its upper edge against the image's.
    """

    text: str
    confidence: float
    box: BoxXyxyPx
    tilt_deg: float = 0.0


class TextReader:
    """An OCR. Not thread-safe."""

    def __init__(self, *, threads: int) -> None:
        """Find the models; they are loaded by ``get_ready``, or when they are first needed.

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
        self._is_ready = False

    def get_ready(self) -> None:
        if self._is_ready:
            return
        picture = np.full((SIDE_PX, SIDE_PX, 3), 255, dtype=np.uint8)
        cv2.putText(picture, "livecart", (SIDE_PX // 10, SIDE_PX // 2), cv2.FONT_HERSHEY_SIMPLEX, 3.0, (0, 0, 0), 8)
        self.read(picture)
        self._is_ready = True

    def read(self, rgb: NDArray[np.uint8], *, side_px: int = SIDE_PX) -> list[ReadLine]:
        """Lines of uint8 (H, W, 3) RGB, top to bottom, scaled so that the longer side has ``side_px``.

        Lines may run in any direction; those of a picture that lies on its side are in the order of the turned one.
        """
        scale = side_px / max(rgb.shape[:2])
        size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
        scaled = cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
        lines = self._lines(scaled)
        if lines and _certain_characters(lines) < _FEW_CHARACTERS:
            turned = [_turned_back(line, size[1]) for line in self._lines(cv2.rotate(scaled, cv2.ROTATE_90_CLOCKWISE))]
            lines = max(lines, turned, key=_certain_characters)
        return [replace(line, box=_in_picture(line.box, rgb.shape, scale)) for line in lines]

    def _lines(self, rgb: NDArray[Any]) -> list[ReadLine]:
        result = self._ocr(cv2.cvtColor(_padded(rgb), cv2.COLOR_RGB2BGR))
        # What was detected but could not be read at all is a result of another type, without texts.
        if getattr(result, "txts", None) is None:
            return []
        return [
            ReadLine(str(text), float(confidence), _around(corners), _tilt_deg(corners))
            for text, confidence, corners in zip(
                result.txts, result.scores, np.asarray(result.boxes, dtype=np.float64), strict=True
            )
        ]


def _certain_characters(lines: list[ReadLine]) -> int:
    return sum(len(line.text) for line in lines if line.confidence >= _UNCERTAIN_BELOW)


def _padded(rgb: NDArray[Any]) -> NDArray[Any]:
    """Pad right and bottom to multiples of ``_GRID_PX``: the runtime compiles its kernels for every size it meets."""
    height, width = rgb.shape[:2]
    return cv2.copyMakeBorder(
        rgb, 0, -height % _GRID_PX, 0, -width % _GRID_PX, cv2.BORDER_CONSTANT, value=(128, 128, 128)
    )


def _line_picture(crop: NDArray[Any]) -> NDArray[Any]:
    """The crop of a line at the height and in a width that the network recognises it at."""
    width = max(1, math.ceil(_LINE_HEIGHT_PX * crop.shape[1] / crop.shape[0]))
    line = cv2.resize(crop, (width, _LINE_HEIGHT_PX))
    padding = _BEHIND_LINE_PX + -(width + _BEHIND_LINE_PX) % _WIDTH_STEP_PX
    return cv2.copyMakeBorder(line, 0, 0, 0, padding, cv2.BORDER_CONSTANT, value=(128, 128, 128))


def _around(corners: NDArray[np.float64]) -> BoxXyxyPx:
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _tilt_deg(corners: NDArray[np.float64]) -> float:
    """Of a line whose corners go clockwise from its upper left one."""
    x, y = corners[1] - corners[0]
    return math.degrees(math.atan2(y, x))


def _turned_back(line: ReadLine, height: float) -> ReadLine:
    """A line of a picture that was turned clockwise, where it is in the one of that ``height`` before."""
    left, top, right, bottom = line.box
    return replace(line, box=(top, height - right, bottom, height - left), tilt_deg=line.tilt_deg - 90.0)


def _in_picture(box: BoxXyxyPx, shape: tuple[int, ...], scale: float) -> BoxXyxyPx:
    """The box before scaling; what reaches into the padding is cut off."""
    width, height = float(shape[1]), float(shape[0])
    left, right = (min(max(side / scale, 0.0), width) for side in box[::2])
    top, bottom = (min(max(side / scale, 0.0), height) for side in box[1::2])
    return left, top, right, bottom


def _bounded_ocr(folder: Path, threads: int) -> Any:
    import_openvino()
    from rapidocr import EngineType, RapidOCR

    class BoundedOcr(RapidOCR):  # type: ignore[misc]
        """RapidOCR that reads only the largest lines that it detected, and tries uncertain ones upside down."""

        def detect_and_crop(self, img: NDArray[np.uint8], op_record: dict[str, Any]) -> Any:
            crops, found = super().detect_and_crop(img, op_record)
            if len(crops) <= _MOST_LINES:
                return crops, found
            heights = np.array([min(crop.shape[:2]) for crop in crops])
            kept = np.sort(np.argsort(-heights, kind="stable")[:_MOST_LINES])
            found.boxes = np.asarray(found.boxes)[kept]
            found.scores = [found.scores[index] for index in kept]
            return [crops[index] for index in kept], found

        def recognize_txt(self, img: list[NDArray[np.uint8]]) -> Any:
            read = super().recognize_txt([_line_picture(crop) for crop in img])
            uncertain = [index for index, score in enumerate(read.scores) if score < _UNCERTAIN_BELOW]
            if len(uncertain) <= _UNCERTAIN_SHARE * len(img):
                return read
            upside_down = [_line_picture(cv2.rotate(img[index], cv2.ROTATE_180)) for index in uncertain]
            turned = super().recognize_txt(upside_down)
            texts, scores = list(read.txts), list(read.scores)
            for index, text, score in zip(uncertain, turned.txts, turned.scores, strict=True):
                if score > scores[index]:
                    texts[index], scores[index] = text, score
            read.txts, read.scores = tuple(texts), tuple(scores)
            return read

    parameters: dict[str, Any] = {
        "Global.log_level": "error",
        "Global.text_score": 0.3,
        "Global.max_side_len": _MOST_PX,
        "Det.limit_type": "max",
        "Det.limit_side_len": _MOST_PX,
        "Rec.rec_batch_num": 1,
        "Rec.rec_img_shape": [3, _LINE_HEIGHT_PX, _WIDTH_STEP_PX],
        "EngineConfig.openvino.inference_num_threads": threads,
        "EngineConfig.openvino.num_streams": 1,
        # Pinned, the threads of all workers would share the first cores: see runtime.py.
        "EngineConfig.openvino.enable_cpu_pinning": False,
    }
    for part, model in _MODELS.items():
        parameters[f"{part}.engine_type"] = EngineType.OPENVINO
        parameters[f"{part}.model_path"] = str(folder / model)
    return BoundedOcr(params=parameters)
