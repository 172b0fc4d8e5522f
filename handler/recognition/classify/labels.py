"""The classifier's closed set of classes: its labels, the top-k of a frame, and products known by a label alone."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.boxes import BoxXyxyPx
from contract.reply import Detection, Evidence, LabelScore
from recognition.errors import ConfigurationError
from recognition.product import CatalogProduct
from recognition.settings import Thresholds

#: Confidences are promised to 1e-3 between runtimes; more digits would only make replies longer.
_DIGITS = 4


@dataclass(frozen=True)
class LabelSet:
    """``texts[i]`` is the label of class ``i``. ``fingerprint`` identifies the texts and their order."""

    texts: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """First 12 hex digits of SHA-256 over the labels, one a line."""
        return hashlib.sha256("\n".join(self.texts).encode()).hexdigest()[:12]

    def __len__(self) -> int:
        return len(self.texts)

    def indices(self) -> dict[str, list[int]]:
        """Label text to the classes that carry it: a large label set may use one text for several classes."""
        found: dict[str, list[int]] = {}
        for index, text in enumerate(self.texts):
            found.setdefault(text, []).append(index)
        return found


def load_labels(path: Path, *, num_classes: int | None = None) -> LabelSet:
    """Read labels from one of these, told apart by their content.

    - ``{"classes": [{"label": "马克杯", …}, …]}``, the form of this repository's ``labels.json``
    - ``["马克杯", …]`` or ``{"0": "马克杯", …}``
    - ``meta_info.txt`` of a ModelScope folder: tab-separated, the label is the second column
    - plain text, one label a line

    Raises:
        ConfigurationError: unreadable, an empty label, or not exactly ``num_classes`` of them where that is given.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot read labels: {error}") from error
    texts = _from_json(path, text) if text.lstrip()[:1] in ("{", "[") else _from_lines(path, text)
    for index, label in enumerate(texts):
        if not isinstance(label, str) or not label.strip():
            raise ConfigurationError(f"{path}: class {index} has no label text: {label!r}")
        if not _encodable(label):
            raise ConfigurationError(f"{path}: class {index}: half a surrogate pair in {label!r}")
    if not texts:
        raise ConfigurationError(f"{path}: no labels")
    if num_classes is not None and len(texts) != num_classes:
        raise ConfigurationError(f"{path}: {len(texts)} labels, but the model has {num_classes} classes")
    return LabelSet(tuple(label.strip() for label in texts))


def write_labels(labels: LabelSet, path: Path) -> None:
    """Write ``labels`` as the JSON array that ``load_labels`` reads."""
    path.write_text(json.dumps(labels.texts, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def _encodable(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _from_json(path: Path, text: str) -> Sequence[str]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from error
    if isinstance(data, list):
        return data
    classes = data.get("classes")
    if isinstance(classes, list):
        return [entry.get("label", "") if isinstance(entry, dict) else "" for entry in classes]
    try:
        return [data[str(index)] for index in range(len(data))]
    except KeyError as error:
        raise ConfigurationError(f"{path}: class {error} is missing between 0 and {len(data) - 1}") from error


def _from_lines(path: Path, text: str) -> Sequence[str]:
    # Not splitlines(): it also splits at characters that may stand inside a label.
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not any("\t" in line for _, line in lines):
        return [line for _, line in lines]
    labels = []
    for number, line in lines:
        columns = line.split("\t")
        if len(columns) < 2:
            raise ConfigurationError(f"{path}: line {number}: no tab-separated second column: {line[:60]!r}")
        labels.append(columns[1])
    return labels


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities over the last axis, each row summing to 1."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


def top_labels(probabilities: NDArray[np.float32], labels: LabelSet, count: int) -> list[LabelScore]:
    """The ``count`` most probable classes of one image (C,), best first."""
    if count == 0:
        return []
    count = min(count, len(labels))
    # argpartition first: sorting 54,092 classes to find five would cost more than finding the products.
    best = np.argpartition(probabilities, -count)[-count:]
    best = best[np.argsort(-probabilities[best], kind="stable")]
    return [LabelScore(int(i), labels.texts[i], round(float(probabilities[i]), _DIGITS)) for i in best]


@dataclass(frozen=True)
class _Candidate:
    product: CatalogProduct
    class_indices: NDArray[np.intp]
    thresholds: NDArray[np.float32]


class LabelMatcher:
    """Finds the products that the classifier's labels lead to.

    A label speaks for its product from the request's threshold on, else from the product's own, else from the label's,
    else from the default. A product's confidence is that of the most probable label that does.
    """

    def __init__(self, labels: LabelSet, products: Sequence[CatalogProduct], thresholds: Thresholds) -> None:
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

    @property
    def knows_products(self) -> bool:
        return bool(self._candidates)

    def match(
        self, probabilities: NDArray[np.float32], *, threshold: float | None, room: str | None
    ) -> list[Detection]:
        """Products of one image (C,) that may be shown in ``room``, best first."""
        found = []
        for candidate in self._candidates:
            confidences = probabilities[candidate.class_indices]
            allowed = np.flatnonzero(confidences >= (candidate.thresholds if threshold is None else threshold))
            if len(allowed) and candidate.product.in_room(room):
                best = allowed[confidences[allowed].argmax()]
                confidence, needed = float(confidences[best]), float(candidate.thresholds[best])
                evidence = Evidence(label=round(confidence, _DIGITS))
                found.append(
                    detection_of(
                        candidate.product, confidence=confidence, threshold=needed, box=None, evidence=evidence
                    )
                )
        return sorted(found, key=lambda product: -product.confidence)


def _candidate(product: CatalogProduct, indices: Mapping[str, list[int]], thresholds: Thresholds) -> _Candidate | None:
    pairs = [(index, label) for label in product.labels for index in indices.get(label, ())]
    if not pairs:
        return None
    own = product.threshold
    needed = [thresholds.labels.get(label, thresholds.default) if own is None else own for _, label in pairs]
    return _Candidate(product, np.array([index for index, _ in pairs]), np.array(needed, dtype=np.float32))


def detection_of(
    product: CatalogProduct, *, confidence: float, threshold: float, box: BoxXyxyPx | None, evidence: Evidence
) -> Detection:
    """A product as the reply holds it."""
    return Detection(
        sku=product.sku,
        name=product.name,
        url=product.url,
        confidence=round(confidence, _DIGITS),
        box=box,
        evidence=evidence,
        threshold=round(threshold, _DIGITS),
        price=product.price,
        currency=product.currency,
    )
