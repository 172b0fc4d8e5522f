"""Evidence to one confidence for each product that a region may show.

A conditional logit with an outside option (D. McFadden, 1974): every candidate gets a score that is linear in its
features, "none of them" a constant one, and the confidences are their softmax. A close second thus takes confidence
from the first: the margin between the two needs no rule of its own.

Where a frame looks more like a product's negative examples, its confidence is lowered. That a thing is not this
product says nothing of what it is, so that nothing else gains by it; only where a negative example is another product's
own photo does that one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from recognition.catalog.loaded import Negatives
from recognition.errors import ConfigurationError

_CALIBRATIONS = Path(__file__).parents[1] / "fitted" / "calibrations"
#: Fitted without the network's vectors: right for any backbone, if less sharp.
FALLBACK = "any"


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Log-odds per unit of each feature of ``features``, all 0 and up, and of ``none``: that nothing is shown."""

    salience: float
    keypoints: float
    keypoints_present: float
    keypoint_colours: float
    keypoint_pattern: float
    read_less: float
    read_foreign: float
    read_name_share: float
    read_only_name: float
    read_only_name_share: float
    label: float
    none: float


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of one backbone, and what they were fitted on, for people."""

    backbone: str
    fitted_on: str
    weights: Weights


def load_calibration(backbone: str) -> Calibration:
    """The calibration of ``backbone``, or the one for any backbone if it has none of its own.

    Raises:
        ConfigurationError: the file is missing or not of its form.
    """
    path = _CALIBRATIONS / f"{backbone}.json"
    if not path.is_file():
        path = _CALIBRATIONS / f"{FALLBACK}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Calibration)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; run scripts/fit_calibration.py") from error


#: So many pairs of points agree by chance.
_CHANCE_POINTS = 4.0
#: More points than e**3 times chance make it no surer; their colours count no more than with e**1.5 times.
_MOST_KEYPOINTS = 3.0
_MOST_COLOURED_KEYPOINTS = 1.5
#: What stands out further is as good as the photo itself.
_MOST_SALIENCE = 25.0
#: Text that another candidate shares and this one does not counts up to this mass, of about two short words.
_MOST_TEXT = 15.0
#: More concepts than this contradict no more.
_MOST_FOREIGN = 2.0
#: Candidates of a region beyond these are not weighed: of 100,000 products nearly all are "none".
CANDIDATES = 20

#: The order of a feature row; the same names as in ``Weights``.
FEATURES = tuple(name for name in Weights.__struct_fields__ if name != "none")


@dataclass(frozen=True)
class EvidenceRows:
    """Raw evidence of C candidates in one region, float32 (C,) each.

    ``photo``: inner product with the photo vector that stands out most, ``salience`` by how many standard deviations it
    does; 0 without photos. ``points``: keypoints that agree with the
    best photo; ``colours``: how alike the two are in colour there, 0..1, 0 too where that was not compared;
    ``pattern``: how well their colours correlate, -1..1. ``read_packaging``: mass of text shared with that photo;
    ``read_name``: with the name, whose own is ``name_mass``; ``foreign``: concepts read that the product does not have.
    ``label``: the classifier's probability of the product's
    labels.
    """

    photo: NDArray[np.float32]
    salience: NDArray[np.float32]
    points: NDArray[np.float32]
    colours: NDArray[np.float32]
    pattern: NDArray[np.float32]
    read_packaging: NDArray[np.float32]
    read_name: NDArray[np.float32]
    name_mass: NDArray[np.float32]
    foreign: NDArray[np.float32]
    label: NDArray[np.float32]
    has_photos: NDArray[np.bool_]


def features(evidence: EvidenceRows) -> NDArray[np.float32]:
    """Rows (C, len(FEATURES)) that a score is linear in, each about 0 to 3; ``read_less`` and ``read_foreign`` 0 to -3.

    What is read tells products apart that look alike: a candidate counts less the more text another one shares. That
    it shares text itself says little beside its keypoints: so does its sister that the catalog does not have.
    """
    points = np.log(np.maximum(evidence.points, _CHANCE_POINTS) / _CHANCE_POINTS)
    name = np.sqrt(evidence.read_name) * 0.3
    share = np.minimum(evidence.read_name / np.maximum(evidence.name_mass, 1e-6), 1.0)
    seen, unseen = evidence.has_photos, ~evidence.has_photos
    coloured = np.minimum(points, _MOST_COLOURED_KEYPOINTS) * 2.0
    read = np.maximum(evidence.read_packaging, evidence.read_name) * seen
    less = np.minimum(read.max(initial=0.0) - read, _MOST_TEXT) * 0.2
    columns = (
        np.clip(evidence.salience, 0.0, _MOST_SALIENCE) / 5.0 * seen,
        np.minimum(points, _MOST_KEYPOINTS),
        np.minimum(points, 1.0),
        coloured * evidence.colours,
        coloured * np.maximum(evidence.pattern, 0.0),
        -less * seen,
        -np.minimum(evidence.foreign, _MOST_FOREIGN) * seen,
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


#: By what a product's photos must lead its negatives in keypoints and colours to be believed, and how sharply. On drawn
#: packages the product itself led by 0.3 to 1.2 in 17 of 20 frames, the same in other colours by -1.4 to -0.1.
_EVEN, _SHARPNESS = -0.4, 12.0
_COLOURS_COUNT = 0.7
#: A negative was cut out of a stream, photos were taken in a shop: whatever is shown in a stream looks more like the
#: former: in squares of the inner product, the product itself by 0.1 to 0.38, and what the negative shows, in the same
#: show again, by 0.4 to 0.6.
_STREAM_LIKENESS, _LIKENESS_COUNTS = 0.4, 10.0
_POINTS, _COLOURS = (FEATURES.index(name) for name in ("keypoints", "keypoint_colours"))


def discounted(
    products: Sequence[int], evidence: EvidenceRows, negatives: Negatives, weights: Weights
) -> dict[int, float]:
    """Confidences of the candidates ``products`` (C,), negative rows left out.

    Confidence that a product loses by its negative examples goes to none but its near-duplicates, which are weighed as
    if it were not there. Without negative examples they are those of ``confidences``.
    """
    rows = features(evidence)
    squares = np.square(np.maximum(evidence.photo, 0.0)).astype(np.float64)
    hidden = set(negatives.negative_rows.values())
    real = [place for place, product in enumerate(products) if product not in hidden]
    sure = confidences(rows[real], weights)
    found = {products[place]: float(confidence) for place, confidence in zip(real, sure, strict=True)}
    place_of = {product: place for place, product in enumerate(products)}
    beliefs = {
        product: _belief(rows[own] - rows[other], float(squares[other] - squares[own]))
        for product, negative_row in negatives.negative_rows.items()
        if product in found and negative_row in place_of
        for own, other in [(place_of[product], place_of[negative_row])]
    }
    for product in list(found):
        rivals = {
            rival: belief
            for rival, belief in beliefs.items()
            if product in negatives.near_duplicates[rival] and belief < 0.5
        }
        if rivals:
            others = [place for place in real if products[place] not in rivals]
            alone = float(confidences(rows[others], weights)[others.index(place_of[product])])
            share = max(rivals.values())
            found[product] = share * found[product] + (1.0 - share) * alone
    return {product: confidence * beliefs.get(product, 1.0) for product, confidence in found.items()}


def _belief(lead: NDArray[np.float32], likeness_lag: float) -> float:
    """Trust in a product, 0 to 1, by the lead (F,) of its photos' features over those of its negative examples.

    ``likeness_lag``: by how much the square of the negative examples' inner product is above that of the photos.
    """
    keypoint_lead = float(lead[_POINTS]) + _COLOURS_COUNT * float(lead[_COLOURS])
    likeness = _LIKENESS_COUNTS * max(0.0, likeness_lag - _STREAM_LIKENESS)
    return float(1.0 / (1.0 + np.exp(-_SHARPNESS * (keypoint_lead - likeness - _EVEN))))
