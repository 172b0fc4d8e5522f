"""Photos drawn for tests, and files that only look like photos."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

FORMATS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}


def photo(seed: int = 0, kind: str = "jpeg", width_px: int = 60, height_px: int = 80) -> bytes:
    """A photo whose bytes differ by seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((width_px, height_px))
    file = io.BytesIO()
    picture.save(file, FORMATS[kind], **({"lossless": True} if kind == "webp" else {}))
    return file.getvalue()
