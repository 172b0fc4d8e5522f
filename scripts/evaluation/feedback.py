"""What `livecart catalog export-training` writes, as pictures for a fit: crops, and what they show or do not.

Those crops became photos and negatives of the catalog when they were decided on. A catalog that holds a picture would
tell nothing about it, so that the fit's catalog is without them.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from contract.catalog import CATALOG_FILE, CatalogMistake, read_catalog
from contract.feedback import CATALOG_FOLDER, FEEDBACK_FILE, Feedback
from evaluation.dataset import EvaluationError

#: A product's mistakes cost the more the more it is clicked: so many times, at the least and at the most.
_LEAST_WEIGHT, _MOST_WEIGHT = 0.5, 2.0


@dataclass(frozen=True)
class TaughtPicture:
    """A crop. ``sku``: what it shows, or, where ``is_not``, what it was taken for and does not show.

    ``weight`` is of the product, by its clicks.
    """

    name: str
    data: bytes
    sku: str
    is_not: bool
    weight: float


def read_feedback(folder: Path) -> tuple[Feedback, list[dict[str, object]]]:
    """The file, and the products of the catalog beside it.

    Raises:
        EvaluationError: one of the two cannot be read.
    """
    path, catalog = folder / FEEDBACK_FILE, folder / CATALOG_FOLDER / CATALOG_FILE
    try:
        feedback = msgspec.json.decode(path.read_bytes(), type=Feedback)
        text = catalog.read_text(encoding="utf-8")
        read_catalog(text)
        products: list[dict[str, object]] = json.loads(text)["products"]
    except (OSError, ValueError, CatalogMistake) as error:
        raise EvaluationError(f"{folder}: is no folder of `livecart catalog export-training`: {error}") from error
    return feedback, products


def taught(folder: Path) -> Iterator[TaughtPicture]:
    """Crops that a person decided on, and negatives of before that are no other product's own photo.

    Raises:
        EvaluationError: as of ``read_feedback``, or a picture is not there.
    """
    feedback, products = read_feedback(folder)
    weights = _weights({product.sku: product.clicks for product in feedback.products})
    known = {str(product["sku"]) for product in products}
    seen = set()
    for crop in feedback.crops:
        sku = crop.shows or crop.taken_for
        if crop.state != "pending" and sku in known:
            path = folder / crop.path
            seen.add(path.stem)
            yield TaughtPicture(crop.path, _read(path), sku, crop.shows is None, weights.get(sku, _LEAST_WEIGHT))
    own = {_digest(photo) for product in products for photo in _texts(product, "photos")}
    for product in products:
        sku = str(product["sku"])
        for name in _texts(product, "negatives"):
            if _digest(name) not in own | seen:
                path = folder / CATALOG_FOLDER / name
                yield TaughtPicture(name, _read(path), sku, True, weights.get(sku, _LEAST_WEIGHT))


def write_untaught_catalog(folder: Path, out: Path) -> Path:
    """Write the catalog of ``folder`` to ``out`` as it was before it learned from crops. Returns ``out``."""
    feedback, products = read_feedback(folder)
    learned = {PurePosixPath(crop.path).stem for crop in feedback.crops}
    entries = []
    (out / "photos").mkdir(parents=True, exist_ok=True)
    for product in products:
        photos = [name for name in _texts(product, "photos") if _digest(name) not in learned]
        entries.append({name: value for name, value in product.items() if name != "negatives"} | {"photos": photos})
        for name in photos:
            shutil.copyfile(folder / CATALOG_FOLDER / name, out / "photos" / PurePosixPath(name).name)
    document = {"schema": 1, "products": entries}
    (out / CATALOG_FILE).write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return out


def _weights(clicks: Mapping[str, int]) -> dict[str, float]:
    mean = sum(clicks.values()) / max(1, len(clicks))
    return {
        sku: min(_MOST_WEIGHT, max(_LEAST_WEIGHT, ((count + 1) / (mean + 1)) ** 0.5)) for sku, count in clicks.items()
    }


def _texts(product: Mapping[str, object], key: str) -> list[str]:
    names = product.get(key)
    return [str(name) for name in names] if isinstance(names, list) else []


def _digest(name: str) -> str:
    """Photos of an export are named by what they hold."""
    return PurePosixPath(name).stem


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"{path}: {error}") from error
