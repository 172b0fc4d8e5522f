"""The products of a clip and of its catalog: photos of a folder, or packages that we draw.

A photo that the catalog holds is never the one that is held into the clip.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from clips.catalog_photos import take_photo
from clips.designs import Design, design_products
from clips.errors import ClipError
from clips.packaging import any_view, draw_package
from evaluation.compose import decode_rgb, seed_for
from evaluation.cutout import Cutout, cut_out
from evaluation.dataset import Query, load_dataset, split, write_catalog

_LINK = "https://shop.example.com/item/"
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class ClipProduct:
    """A product as it is held into a clip. ``price``: its own, in yuan; None where nobody has said."""

    sku: str
    name: str
    cutout: Cutout
    price: str | None = None


class Products(Protocol):
    """Source of a clip's products."""

    def choose(self, count: int, seed: int) -> list[ClipProduct]:
        """Up to ``count`` different products of the catalog, fewer where there are no more."""

    def write_catalog(self, folder: Path) -> Path:
        """Write the catalog folder: ``catalog.json`` and ``photos/``. Returns ``folder``."""


class FolderProducts:
    """Products of a folder with ``labels.tsv``. ``shots`` photos of each are the catalog's.

    ``limit`` is the most products that the catalog holds. Which products and photos those are goes by
    ``catalog_seed`` alone, so that clips of any seed share one catalog.

    Raises:
        EvaluationError: no such folder, or its labels.tsv is wrong.
        ClipError: no product has a photo to spare.
    """

    def __init__(self, folder: Path, *, shots: int, catalog_seed: int, limit: int | None = None) -> None:
        dataset = load_dataset(folder)
        order = sorted(dataset.products, key=lambda product: seed_for(catalog_seed, product.sku, "in the catalog"))
        kept = {product.sku for product in order[:limit]}
        chosen = tuple(product for product in dataset.products if product.sku in kept)
        self._split = split(dataclasses.replace(dataset, products=chosen), shots=shots, seed=catalog_seed)
        self._names = {product.sku: product.name for product in chosen}
        self._spare: dict[str, list[Query]] = {}
        for query in self._split.queries:
            self._spare.setdefault(query.sku, []).append(query)
        if not self._spare:
            raise ClipError(f"{folder}: no product has more than {shots} photos; take fewer with --shots")

    def choose(self, count: int, seed: int) -> list[ClipProduct]:
        """By the seed. Products of which a photo can be cut out come first; others are held as the whole photo."""
        order = sorted(self._spare, key=lambda sku: seed_for(seed, sku, "shown"))
        cut: list[ClipProduct] = []
        whole: list[ClipProduct] = []
        for sku in order:
            if len(cut) == count:
                break
            product = self._of(sku, seed)
            (whole if product.cutout.method == "whole" else cut).append(product)
        return (cut + whole)[:count]

    def write_catalog(self, folder: Path) -> Path:
        return write_catalog(self._split, folder)

    def _of(self, sku: str, seed: int) -> ClipProduct:
        """The product's first spare photo that can be cut out, else its first."""
        photos = sorted(self._spare[sku], key=lambda query: seed_for(seed, query.key, "shown"))
        first: Cutout | None = None
        for query in photos:
            try:
                found = cut_out(decode_rgb(query.path.read_bytes()))
            except OSError as error:
                raise ClipError(f"{query.path}: {error}; correct labels.tsv or the photo") from error
            first = first or found
            if found.method != "whole":
                return ClipProduct(sku, self._names[sku], found)
        assert first is not None, "a product without photos is not in labels.tsv"  # noqa: S101
        return ClipProduct(sku, self._names[sku], first)


class DrawnProducts:
    """``count`` invented products, by ``catalog_seed``; ``shots`` photos of each are drawn for the catalog."""

    def __init__(self, count: int, *, shots: int, catalog_seed: int) -> None:
        self._designs = design_products(count, catalog_seed)
        self._shots, self._seed = shots, catalog_seed

    def choose(self, count: int, seed: int) -> list[ClipProduct]:
        """By the seed, each seen in a light of its own."""
        order = sorted(self._designs, key=lambda design: seed_for(seed, design.sku, "shown"))[:count]
        return [
            ClipProduct(
                design.sku,
                design.name,
                draw_package(design, any_view(_rng(seed, design.sku, "view"))),
                price=self._price(design),
            )
            for design in order
        ]

    def write_catalog(self, folder: Path) -> Path:
        (folder / "photos").mkdir(parents=True, exist_ok=True)
        entries = [self._entry(design, folder) for design in self._designs]
        document = {"schema": 1, "products": entries}
        (folder / "catalog.json").write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
        return folder

    def _entry(self, design: Design, folder: Path) -> dict[str, Any]:
        photos = [f"photos/{design.sku}-{number}.jpg" for number in range(1, self._shots + 1)]
        for photo in photos:
            picture = take_photo(design, _rng(self._seed, photo))
            Image.fromarray(picture).save(folder / photo, quality=_JPEG_QUALITY)
        rng = _rng(self._seed, design.sku, "stock")
        entry: dict[str, Any] = {
            "sku": design.sku,
            "name": design.name,
            "brand": design.brand,
            "words": [design.kind.name, design.flavour.taste],
            "url": _LINK + design.sku,
            "price": self._price(design),
            "currency": "CNY",
            "stock": int(rng.integers(20, 900)),
        }
        return entry | ({"photos": photos} if photos else {})

    def _price(self, design: Design) -> str:
        return f"{int(_rng(self._seed, design.sku, 'price').integers(5, 60))}.90"


def _rng(seed: int, *parts: str) -> np.random.Generator:
    return np.random.default_rng(seed_for(seed, *parts))
