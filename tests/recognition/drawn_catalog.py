"""A catalog of two drawn packages, queries of its frames, and what was detected there."""

from pathlib import Path

import numpy as np
from PIL import Image

from recognition.catalog.loaded import LoadedCatalog
from recognition.find.detector import FrameQuery
from recognition.product import CatalogProduct
from tests.recognition.drawn_packages import PackageRuntime, build, package
from tests.snapshot_files import product
from tests.stand_ins import COLOURS

SURE = 0.7
RED, BLUE = package(1, (190, 30, 40)), package(2, (30, 60, 190))
PRODUCTS = (
    product("red", photos=("red.png",), rooms=("9", "10")),
    product("blue", photos=("blue.png",)),
)
#: Has no photos.
NAMED = product("named", words=("珍珍荔枝味汽水", "珍珍"))
NO_LABELS = np.zeros(len(COLOURS), dtype=np.float32)
#: How red is held in most frames.
RED_SHOWN = {"at": (220, 500), "scale": 0.9, "turned_deg": 12}


def two_packages(folder: Path, *more: CatalogProduct) -> LoadedCatalog:
    """The catalog of RED and BLUE, and of ``more`` without photos."""
    return build(folder, (*PRODUCTS, *more), {"red.png": RED, "blue.png": BLUE}, PackageRuntime())


def query(catalog, picture: Image.Image, *, text: str = "never", room: str | None = None) -> FrameQuery:
    shown_from = np.full(catalog.snapshot.products, 0.5)
    return FrameQuery(picture, catalog.snapshot.room_mask(room), text, NO_LABELS, shown_from)


def skus(catalog, found, *, least: float = SURE) -> list[str]:
    return [catalog.snapshot.product(seen.product).sku for seen in found.detections if seen.confidence >= least]
