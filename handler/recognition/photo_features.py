"""What recognition keeps of one catalog photo, and who makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: Bytes of one packed local descriptor.
DESCRIPTOR_BYTES = 32
#: Cells of a photo's mean colours on either side, whatever its shape.
CELLS = 12


@dataclass(frozen=True)
class PhotoFeatures:
    """Everything of one photo that is matched later.

    ``vectors`` float16 (views, D), each L2-normalised; ``cells`` uint8 (``CELLS``, ``CELLS``, 3), its mean colours as
    RGB; ``local_xy`` float16 (l, 2) and ``local_descriptors`` uint8
    (l, ``DESCRIPTOR_BYTES``), one row a point; ``lines``, the text read on it with confidences 0..1.
    """

    vectors: NDArray[np.float16]
    cells: NDArray[np.uint8]
    local_xy: NDArray[np.float16]
    local_descriptors: NDArray[np.uint8]
    lines: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.vectors.dtype != np.float16 or len(self.vectors) == 0:
            raise ValueError(f"vectors: float16 (1 or more, D) expected, got {_told(self.vectors)}")
        if self.cells.shape != (CELLS, CELLS, 3) or self.cells.dtype != np.uint8:
            raise ValueError(f"cells: uint8 {(CELLS, CELLS, 3)} expected, got {_told(self.cells)}")
        if self.local_xy.ndim != 2 or self.local_xy.shape[1] != 2 or self.local_xy.dtype != np.float16:
            raise ValueError(f"local_xy: float16 (l, 2) expected, got {_told(self.local_xy)}")
        shape = (len(self.local_xy), DESCRIPTOR_BYTES)
        if self.local_descriptors.shape != shape or self.local_descriptors.dtype != np.uint8:
            raise ValueError(f"local_descriptors: uint8 {shape} expected, got {_told(self.local_descriptors)}")


class PhotoEmbedder(Protocol):
    """Turns the bytes of a photo file into features.

    ``fingerprint`` identifies the weights and the recipe: features of equal fingerprints may be compared.
    ``dimensions`` is D of the vectors.
    """

    fingerprint: str
    dimensions: int

    def embed(self, image: bytes) -> PhotoFeatures:
        """Features of one photo.

        Raises:
            RecognitionError: the bytes are not a photo that can be decoded.
        """
        ...


def _told(array: NDArray[np.generic]) -> str:
    return f"{array.dtype} {array.shape}"
