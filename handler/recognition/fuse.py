"""Evidence to one confidence: how likely each product is the one that a region shows, or that none of them is.

A conditional logit with an outside option (D. McFadden, 1974): every candidate gets a score that is linear in its
features, "none of them" a constant one, and the confidences are their softmax. A close second thus takes confidence
from the first: the margin between the two needs no rule of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.calibration import Weights

#: So many pairs of points agree by chance.
_CHANCE_POINTS = 4.0
#: More points than e**3 times chance make it no surer; their colours count no more than with e**1.5 times.
_MOST_PRINT = 3.0
_MOST_COLOURED_PRINT = 1.5
#: Text that another candidate shares and this one does not counts up to this mass, of about two short words.
_MOST_TEXT = 15.0
#: Candidates of a region beyond these are not weighed: of 100,000 products nearly all are "none".
CANDIDATES = 20

#: The order of a feature row; the same names as in ``Weights``.
FEATURES = tuple(name for name in Weights.__struct_fields__ if name != "none")


@dataclass(frozen=True)
class EvidenceRows:
    """Raw evidence of C candidates in one region, float32 (C,) each.

    ``photo`` is the inner product with the best photo vector (0 without photos), ``points`` the pairs of local features
    that agree with the best photo, ``colours`` how alike the two are in colour there (0..1; 0 too where that was not
    compared) and ``pattern`` how well their colours correlate (-1..1), ``read_print`` the mass of text shared with it,
    ``read_name`` the mass shared with the name and ``name_mass`` the name's own, ``label`` the classifier's probability
    of the product's labels, and ``has_photos`` says which candidates have any.
    """

    photo: NDArray[np.float32]
    points: NDArray[np.float32]
    colours: NDArray[np.float32]
    pattern: NDArray[np.float32]
    read_print: NDArray[np.float32]
    read_name: NDArray[np.float32]
    name_mass: NDArray[np.float32]
    label: NDArray[np.float32]
    has_photos: NDArray[np.bool_]


def features(evidence: EvidenceRows) -> NDArray[np.float32]:
    """Rows (C, len(FEATURES)) that a score is linear in, each about 0 to 3; ``read_less`` 0 to -3.

    What is read tells products apart that look alike: a candidate counts less the more text another one shares. That
    it shares text itself says little beside its print: so does its sister that the catalog does not have.
    """
    photo = np.where(evidence.has_photos, np.maximum(evidence.photo, 0.0), 0.0)
    points = np.log(np.maximum(evidence.points, _CHANCE_POINTS) / _CHANCE_POINTS)
    name = np.sqrt(evidence.read_name) * 0.3
    share = np.minimum(evidence.read_name / np.maximum(evidence.name_mass, 1e-6), 1.0)
    seen, unseen = evidence.has_photos, ~evidence.has_photos
    coloured = np.minimum(points, _MOST_COLOURED_PRINT) * 2.0
    read = np.maximum(evidence.read_print, evidence.read_name) * seen
    less = np.minimum(read.max(initial=0.0) - read, _MOST_TEXT) * 0.2
    columns = (
        photo**2 * 10.0,
        np.minimum(points, _MOST_PRINT),
        np.minimum(points, 1.0),
        coloured * evidence.colours,
        coloured * np.maximum(evidence.pattern, 0.0),
        -less * seen,
        share * seen,
        name * unseen,
        share * unseen,
        evidence.label,
    )
    return np.stack(columns, axis=1).astype(np.float32)


def confidences(rows: NDArray[np.float32], weights: Weights) -> NDArray[np.float64]:
    """Probability (C,) that each candidate is the product shown; what is missing to 1 is that none of them is."""
    vector = np.array([getattr(weights, name) for name in FEATURES])
    scores = rows.astype(np.float64) @ vector
    if len(scores) > CANDIDATES:
        floor = np.partition(scores, -CANDIDATES)[-CANDIDATES]
        scores = np.where(scores >= floor, scores, -np.inf)
    highest = max(float(scores.max(initial=-np.inf)), weights.none)
    odds = np.exp(scores - highest)
    result: NDArray[np.float64] = odds / (odds.sum() + np.exp(weights.none - highest))
    return result
