"""Evidence to decisions: probabilities, the top-k labels, and which products may be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.errors import ConfigurationError
from recognition.labels import LabelSet
from recognition.links import LinkedProduct
from recognition.reply import Evidence, LabelScore, Product
from recognition.settings import Thresholds

#: Confidences are promised to 1e-3 between runtimes; more digits would only make replies longer.
_DIGITS = 4


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities over the last axis, each row summing to 1."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


def top_labels(probabilities: NDArray[np.float32], labels: LabelSet, count: int) -> list[LabelScore]:
    """The ``count`` most probable classes of one image (C,), best first."""
    count = min(count, len(labels))
    # argpartition first: sorting 54,092 classes to find five would cost more than finding the products.
    best = np.argpartition(probabilities, -count)[-count:]
    best = best[np.argsort(-probabilities[best], kind="stable")]
    return [LabelScore(int(i), labels.texts[i], round(float(probabilities[i]), _DIGITS)) for i in best]


@dataclass(frozen=True)
class _Candidate:
    product: LinkedProduct
    class_indices: NDArray[np.intp]
    thresholds: NDArray[np.float32]


class LabelMatcher:
    """Finds the products that the classifier's labels lead to.

    A label speaks for its product from the request's threshold on, else from the product's own, else from the label's,
    else from the default. A product's confidence is that of the most probable label that does.
    """

    def __init__(self, labels: LabelSet, products: Sequence[LinkedProduct], thresholds: Thresholds) -> None:
        """Find the classes that lead to each product.

        Raises:
            ConfigurationError: a threshold is set for a label that the model does not have.
        """
        indices = labels.indices()
        strangers = sorted(set(thresholds.labels) - set(indices))
        if strangers:
            raise ConfigurationError(f"thresholds.labels: the model has no label {', '.join(map(repr, strangers))}")
        self._candidates = [
            candidate for product in products if (candidate := _candidate(product, indices, thresholds)) is not None
        ]
        reachable = {candidate.product.sku for candidate in self._candidates}
        #: Products that no label of this model leads to.
        self.unreachable = [product for product in products if product.sku not in reachable]

    def match(self, probabilities: NDArray[np.float32], *, threshold: float | None, room: str | None) -> list[Product]:
        """Products of one image (C,) that may be shown in ``room``, best first."""
        found = []
        for candidate in self._candidates:
            confidences = probabilities[candidate.class_indices]
            needed = candidate.thresholds if threshold is None else threshold
            allowed = np.flatnonzero(confidences >= needed)
            if len(allowed) and candidate.product.in_room(room):
                best = allowed[confidences[allowed].argmax()]
                found.append(_shown(candidate.product, float(confidences[best]), float(candidate.thresholds[best])))
        return sorted(found, key=lambda product: -product.confidence)


def _candidate(product: LinkedProduct, indices: Mapping[str, list[int]], thresholds: Thresholds) -> _Candidate | None:
    pairs = [(index, label) for label in product.labels for index in indices.get(label, ())]
    if not pairs:
        return None
    own = product.threshold
    needed = [thresholds.labels.get(label, thresholds.default) if own is None else own for _, label in pairs]
    return _Candidate(product, np.array([index for index, _ in pairs]), np.array(needed, dtype=np.float32))


def _shown(product: LinkedProduct, confidence: float, threshold: float) -> Product:
    rounded = round(confidence, _DIGITS)
    return Product(
        sku=product.sku,
        name=product.name,
        url=product.url,
        confidence=rounded,
        box=None,
        evidence=Evidence(label=rounded),
        threshold=round(threshold, _DIGITS),
        price=product.price,
        currency=product.currency,
    )
