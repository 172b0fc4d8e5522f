"""What the fit scripts compute, on data whose answer is known."""

import numpy as np

import fit_calibration
import fit_projection
from recognition.find.fusion import FEATURES
from recognition.index.vectors import VectorSpace

PRINT, COLOURS = FEATURES.index("keypoints"), FEATURES.index("keypoint_colours")


def samples(count: int = 400) -> list[fit_calibration.Sample]:
    """Print tells the product, colours tell nothing; one picture in four shows a product left out."""
    random = np.random.default_rng(0)
    made = []
    for number in range(count):
        rows = np.zeros((4, len(FEATURES)), np.float32)
        rows[:, PRINT] = random.uniform(0, 0.8, 4)
        rows[:, COLOURS] = random.uniform(0, 1, 4)
        left_out = number % 4 == 0
        if not left_out:
            rows[1, PRINT] += random.uniform(0, 2.5)
        counts = fit_calibration._LEFT_OUT_WEIGHT if left_out else fit_calibration._CATALOG_WEIGHT
        made.append(fit_calibration.Sample(rows, 4 if left_out else 1, counts))
    return made


def test_the_evidence_that_tells_gets_the_weight():
    weights = fit_calibration.fit(samples(), left_out=())
    assert weights.keypoints > 1.0
    assert weights.keypoint_colours < 0.3 * weights.keypoints
    assert weights.none > 0


def test_a_projection_forgets_what_turning_changes_and_keeps_what_products_differ_in():
    random = np.random.default_rng(0)
    products = np.abs(random.normal(3.0, 1.0, (60, 1, 8)))
    views = np.repeat(products, 6, axis=1)
    # Every view adds as much as it likes of two directions.
    views[:, :, :2] += np.abs(random.normal(0, 6.0, (60, 6, 2)))
    rows = np.sqrt(views) / np.linalg.norm(np.sqrt(views), axis=-1, keepdims=True)

    mean, axes = fit_projection.fit([rows.astype(np.float32)], dimensions=6)

    space = VectorSpace("fitted", mean, axes)
    plain, fitted = VectorSpace("plain"), space

    def found(where: VectorSpace) -> float:
        first, second = (where.vectors(views[:, view].astype(np.float32)) for view in (0, 1))
        return float(((first @ second.T).argmax(axis=1) == np.arange(60)).mean())

    assert axes.shape == (8, 6)
    assert found(fitted) > found(plain) + 0.2
