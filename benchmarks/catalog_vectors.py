"""Vectors for ``bench_catalog_scale.py``, spread as those of real photos are.

Measured on 898 photos of drinks and groceries with EfficientNet-Lite2 in its fitted space: the average vector has norm
0.17, the variances along the principal axes fall with the power -0.6 (first hundred) to -0.9 (first three hundred) of
their rank, two products differ by 0.42 in all, photos of one product by 0.58. A query differs from its product as much
as a photo does.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recognition.find.views import windows_of

DIMENSIONS = 512
_MEAN_NORM = 0.17
_POWER = -0.75
_BETWEEN, _WITHIN = 0.42, 0.58
_QUERY_NOISE = 1.0
_PRODUCTS_AT_ONCE = 5_000
#: Cells of the map of a portrait frame of 360 × 640 pixels.
_ROWS, _COLUMNS = 20, 12
#: How much of a cell inside the product is the product.
_SHOWN = 0.85


def _spread(variance: float) -> NDArray[np.float32]:
    shares = np.arange(1, DIMENSIONS + 1) ** _POWER
    deviations: NDArray[np.float32] = np.sqrt(variance * shares / shares.sum()).astype(np.float32)
    return deviations


_MEAN = np.full(DIMENSIONS, _MEAN_NORM / DIMENSIONS**0.5, dtype=np.float32)


def blocks(products: int, photos: int) -> Iterator[tuple[int, NDArray[np.float16]]]:
    """Number of the first product and vectors (n * photos, D) of some products at a time."""
    for first in range(0, products, _PRODUCTS_AT_ONCE):
        random = np.random.default_rng([1, first])
        centres = _centres(first, min(_PRODUCTS_AT_ONCE, products - first))
        noise = random.standard_normal((len(centres), photos, DIMENSIONS), dtype=np.float32)
        noise *= _spread(_WITHIN)
        noise += centres[:, None]
        yield first, _normalised(noise.reshape(-1, DIMENSIONS)).astype(np.float16)


def held_out(products: NDArray[np.int64]) -> NDArray[np.float32]:
    """One view (n, D) of each product that is not among its photos; ``products`` ascending."""
    views = np.empty((len(products), DIMENSIONS), dtype=np.float32)
    random = np.random.default_rng(2)
    for first in np.unique(products // _PRODUCTS_AT_ONCE) * _PRODUCTS_AT_ONCE:
        mine = np.flatnonzero((products >= first) & (products < first + _PRODUCTS_AT_ONCE))
        views[mine] = _centres(int(first), _PRODUCTS_AT_ONCE)[products[mine] - first]
    views += random.standard_normal(views.shape, dtype=np.float32) * _spread(_WITHIN) * _QUERY_NOISE
    return _normalised(views)


def frame_windows(shown: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """(M, D) all windows of a map whose ground changes slowly, with a product as ``shown`` (D,) somewhere in it."""
    random = np.random.default_rng([3, seed])
    corners = random.standard_normal((5 * 3, DIMENSIONS), dtype=np.float32) * _spread(_BETWEEN + _WITHIN)
    ground = np.kron(_between(_ROWS, 5), _between(_COLUMNS, 3)) @ corners + _MEAN
    cells = ground.reshape(_ROWS, _COLUMNS, DIMENSIONS)
    high, wide = int(random.integers(5, 11)), int(random.integers(3, 6))
    top, left = int(random.integers(0, _ROWS - high + 1)), int(random.integers(0, _COLUMNS - wide + 1))
    inside = cells[top : top + high, left : left + wide]
    inside *= 1 - _SHOWN
    inside += _SHOWN * shown
    return _normalised(windows_of(_ROWS, _COLUMNS).pooling @ cells.reshape(-1, DIMENSIONS))


def _centres(first: int, count: int) -> NDArray[np.float32]:
    random = np.random.default_rng([4, first])
    return _MEAN + random.standard_normal((count, DIMENSIONS), dtype=np.float32) * _spread(_BETWEEN)


def _normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _between(length: int, knots: int) -> NDArray[np.float32]:
    """(length, knots) weights of the knots at each place, linear between the two nearest."""
    at = np.linspace(0, knots - 1, length)[:, None]
    weights: NDArray[np.float32] = np.maximum(1 - np.abs(at - np.arange(knots)), 0).astype(np.float32)
    return weights
