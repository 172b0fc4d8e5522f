"""What several test modules build their cases from: a network that sees colours, an archive's folder, photos.

The stand-in network really looks at the pixels, so that a reply which went to the wrong request is noticed.
"""

import copy
import dataclasses
import io
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recognition.catalog.build import empty_snapshot, index_arrays
from recognition.catalog.embedding import fingerprint
from recognition.network.artifact import LABELS_FILE, LINKS_FILE, SNAPSHOT_FILE, BackboneInfo, write_info
from recognition.product import CatalogProduct
from recognition.settings import ImageLimits, Preprocessing, Thresholds, TopK
from recognition.snapshot.write import SnapshotContents, write_snapshot

#: The stand-in's classes, in index order.
COLOURS = {"红色": (255, 0, 0), "绿色": (0, 255, 0), "蓝色": (0, 0, 255), "白色": (255, 255, 255)}
LINKS = {"红色": "https://shop.example.com/item/1", "蓝色": "https://shop.example.com/item/3"}

PREPROCESSING = Preprocessing(
    input_px=8, resize_px=10, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
)
INFO = BackboneInfo(
    name="colours",
    architecture="stand-in",
    num_classes=len(COLOURS),
    preprocessing=PREPROCESSING,
    weights_sha256="0" * 64,
    licence="Apache-2.0",
)
LIMITS = ImageLimits(max_bytes=1 << 20, max_pixels=1 << 26)
TOP_K = TopK(default=2, highest=50)
THRESHOLDS = Thresholds(default=0.7, lowest=0.05, highest=0.95)

_MODEL_CONFIG: dict[str, Any] = {
    "batchSize": 4,
    "handler": {
        "model": {"source": "efficientnet-lite2"},
        "runtime": {"cpu": "openvino", "threads": 1},
        "thresholds": {"default": 0.7, "lowest": 0.05, "highest": 0.95},
        "top_k": {"default": 2, "highest": 50},
        "images": {"max_bytes": 1 << 20, "max_pixels": 1 << 26},
        "allowed_hosts": ["shop.example.com"],
    },
}


def model_config(**changes: Any) -> dict[str, Any]:
    """A valid ``model-config.yaml``, parsed, with keys of its handler block replaced: ``thresholds__default=0.5``."""
    config = copy.deepcopy(_MODEL_CONFIG)
    for path, value in changes.items():
        *parents, last = path.split("__")
        block = config["handler"]
        for parent in parents:
            block = block[parent]
        block[last] = value
    return config


class ColourRuntime:
    """A ``Runtime`` whose most probable class is the one nearest to the image's mean colour."""

    name = "colours"
    threads = 1

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def forward(self, images: np.ndarray) -> np.ndarray:
        side = PREPROCESSING.input_px
        if images.dtype != np.uint8 or images.shape[1:] != (side, side, 3):
            raise AssertionError(f"the network was given {images.dtype} {images.shape}")
        self.batch_sizes.append(len(images))
        mean = images.reshape(len(images), -1, 3).mean(axis=1)
        distance = np.linalg.norm(mean[:, None, :] - np.array(list(COLOURS.values())), axis=-1)
        return (-distance / 20).astype(np.float32)


class FailingRuntime(ColourRuntime):
    """A network whose forward pass fails, as one does that runs out of memory."""

    def forward(self, images: np.ndarray) -> np.ndarray:
        raise RuntimeError(f"out of memory with {len(images)} images")


def write_archive_folder(folder: Path, *, links: Mapping[str, Any] = LINKS) -> Path:
    """What an unpacked archive holds beside the code, but for the network itself."""
    write_info(INFO, folder)
    (folder / LABELS_FILE).write_text(json.dumps(list(COLOURS), ensure_ascii=False), encoding="utf-8")
    (folder / LINKS_FILE).write_text(json.dumps(links, ensure_ascii=False), encoding="utf-8")
    write_snapshot(folder / SNAPSHOT_FILE, empty_snapshot(fingerprint(INFO), dimensions=INFO.num_classes))
    return folder


def named_snapshot(sku: str, **fields: Any) -> SnapshotContents:
    """A snapshot for the stand-in network, of one product without photos."""
    empty = empty_snapshot(fingerprint(INFO), dimensions=INFO.num_classes)
    contents = dataclasses.replace(empty, products=(CatalogProduct(sku=sku, **fields),), extra={})
    return dataclasses.replace(contents, extra=index_arrays(contents, None))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """``image`` as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def solid(colour: str | tuple[int, ...], *, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    """One colour all over."""
    return Image.new(mode, size, colour)


def noise(width: int, height: int) -> Image.Image:
    """Random pixels, always the same: no two neighbours alike, so that any shift shows."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header names that size, with next to no pixels behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
