"""Figures from answers: ranking, what would be shown, calibration, boxes and times. Pure functions, no files."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract.boxes import BoxXyxyPx, iou

BINS = 10
EVIDENCE = ("photo", "text", "label")
#: Figures that are means over the seeds.
_MEANS = (
    "r_at_1",
    "r_at_5",
    "coverage",
    "precision",
    "false_pops_per_1000",
    "ece",
    "box_center_hit",
    "box_iou50",
    "core_ms",
)
_Z_95 = 1.959964


@dataclass(frozen=True)
class Candidate:
    """A product of a reply. ``box_xyxy_px`` is None where the whole image was judged."""

    sku: str
    confidence: float
    box_xyxy_px: BoxXyxyPx | None = None
    evidence: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageResult:
    """Answer to one image. ``sku`` None: it shows nothing of the catalog. ``candidates``: best first.

    ``core_ms``: of the processor, all threads together; None where another process answered.
    """

    sku: str | None
    candidates: tuple[Candidate, ...] = ()
    truth_box_xyxy_px: BoxXyxyPx | None = None
    cutout: str | None = None
    timing_ms: Mapping[str, float] = field(default_factory=dict)
    wall_ms: float = 0.0
    error: str | None = None
    core_ms: float | None = None

    @property
    def best(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None

    @property
    def is_right(self) -> bool:
        """True where the first candidate is what the image shows."""
        return self.best is not None and self.best.sku == self.sku

    def shows(self, threshold: float) -> bool:
        """True where a product would be shown at ``threshold``."""
        return self.best is not None and self.best.confidence >= threshold


def summarise(queries: Sequence[ImageResult], negatives: Sequence[ImageResult], *, threshold: float) -> dict[str, Any]:
    """One seed's figures. A share of nothing is None."""
    shown = [answer for answer in queries if answer.shows(threshold)]
    right = sum(answer.is_right for answer in shown)
    pops = sum(answer.shows(threshold) for answer in negatives)
    return {
        "r_at_1": _share(sum(answer.is_right for answer in queries), len(queries)),
        "r_at_5": _share(sum(_within(answer, 5) for answer in queries), len(queries)),
        "coverage": _share(len(shown), len(queries)),
        "precision": _share(right, len(shown)),
        "false_pops_per_1000": None if not negatives else 1000 * pops / len(negatives),
        "ece": calibration_error(*judged(queries)),
        **box_hits(queries),
        "core_ms": _mean(answer.core_ms for answer in [*queries, *negatives]),
        "queries": len(queries),
        "shown": len(shown),
        "shown_right": right,
        "negatives": len(negatives),
        "false_pops": pops,
        "errors": sum(answer.error is not None for answer in [*queries, *negatives]),
    }


def combine(
    per_seed: Sequence[Mapping[str, Any]], queries: Sequence[ImageResult], negatives: Sequence[ImageResult]
) -> dict[str, Any]:
    """The figures of all seeds: means of theirs; counts, intervals and times from their answers together."""
    totals = {name: sum(seed[name] for seed in per_seed) for name in ("shown", "shown_right", "false_pops", "errors")}
    first = [seed["r_at_1"] for seed in per_seed if seed["r_at_1"] is not None]
    pops = wilson(totals["false_pops"], len(negatives))
    return {
        **{name: _mean(seed[name] for seed in per_seed) for name in _MEANS},
        "ms": times(queries),
        "queries": len(queries),
        "negatives": len(negatives),
        "r_at_1_sd": statistics.stdev(first) if len(first) > 1 else None,
        "precision_ci95": wilson(totals["shown_right"], totals["shown"]),
        "false_pops_per_1000_ci95": None if pops is None else [1000 * bound for bound in pops],
        "ece_pooled": calibration_error(*judged(queries)),
        "r_at_1_by_evidence": {kind: by_evidence(queries, kind) for kind in EVIDENCE},
        "text_read": {"queries": text_read(queries), "negatives": text_read(negatives)},
        "by_cutout": by_cutout(queries),
        **totals,
    }


def wilson(hits: int, count: int) -> list[float] | None:
    """Lower and upper end of the 95 % Wilson score interval of a share; None of nothing."""
    if not count:
        return None
    share, z2 = hits / count, _Z_95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z_95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return [max(0.0, middle - half), min(1.0, middle + half)]


def judged(queries: Iterable[ImageResult]) -> tuple[list[float], list[bool]]:
    """Confidence of the best product, and whether it is right, of the queries that got any."""
    answered = [(answer.best.confidence, answer.is_right) for answer in queries if answer.best is not None]
    return [confidence for confidence, _ in answered], [right for _, right in answered]


@dataclass(frozen=True)
class Bin:
    """Queries whose confidence lies between two tenths: their mean confidence and how many of them are right."""

    confidence: float
    accuracy: float
    count: int


def reliability(confidences: Sequence[float], right: Sequence[bool]) -> list[Bin]:
    """Ten bins of equal width, empty ones left out. Each but the last is without its upper end."""
    members: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, is_right in zip(confidences, right, strict=True):
        # Rounded first: 0.3 * 10 must not fall below 3 for want of a binary digit.
        members[min(BINS - 1, int(round(confidence * BINS, 9)))].append((confidence, is_right))
    return [
        Bin(statistics.fmean(c for c, _ in group), statistics.fmean(r for _, r in group), len(group))
        for group in members
        if group
    ]


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float | None:
    """Expected calibration error: the bins' distances between confidence and accuracy, weighted by their counts."""
    bins = reliability(confidences, right)
    return _share(sum(abs(entry.confidence - entry.accuracy) * entry.count for entry in bins), len(confidences))


def precision_coverage(queries: Sequence[ImageResult]) -> list[tuple[float, float, float]]:
    """(threshold, coverage, precision) from the highest confidence down, one for each that occurs."""
    order = sorted(zip(*judged(queries), strict=True), reverse=True)
    points = []
    right = 0
    for count, (confidence, is_right) in enumerate(order, start=1):
        right += is_right
        if count == len(order) or order[count][0] != confidence:
            points.append((confidence, count / len(queries), right / count))
    return points


def box_hits(queries: Iterable[ImageResult]) -> dict[str, float | None]:
    """Of the frames whose best product is right: share with the box's centre in the product, and with IoU >= 0.5."""
    boxes = [
        (answer.best.box_xyxy_px, answer.truth_box_xyxy_px)
        for answer in queries
        if answer.is_right and answer.best is not None and answer.truth_box_xyxy_px is not None
    ]
    centres = sum(found is not None and _centre_in(found, truth) for found, truth in boxes)
    overlaps = sum(found is not None and iou(found, truth) >= 0.5 for found, truth in boxes)
    return {"box_center_hit": _share(centres, len(boxes)), "box_iou50": _share(overlaps, len(boxes))}


def by_evidence(queries: Sequence[ImageResult], kind: str) -> float | None:
    """R@1 where one kind of evidence alone ranks the candidates; None where none of them has that kind."""
    hits, any_value = 0, False
    for answer in queries:
        values = [(value, each.sku) for each in answer.candidates if (value := each.evidence.get(kind)) is not None]
        any_value = any_value or bool(values)
        hits += bool(values) and max(values, key=lambda pair: pair[0])[1] == answer.sku
    return _share(hits, len(queries)) if any_value else None


def by_cutout(queries: Iterable[ImageResult]) -> dict[str, dict[str, Any]]:
    """Of frames: ranking and boxes by how the product was cut out of its photo."""
    groups: dict[str, list[ImageResult]] = {}
    for answer in queries:
        if answer.cutout is not None:
            groups.setdefault(answer.cutout, []).append(answer)
    return {
        name: {
            "queries": len(group),
            "r_at_1": _share(sum(answer.is_right for answer in group), len(group)),
            **box_hits(group),
        }
        for name, group in sorted(groups.items())
    }


def times(answers: Iterable[ImageResult]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of each stage and of the whole (``wall``), in milliseconds."""
    values: dict[str, list[float]] = {}
    for answer in answers:
        if answer.error is None:
            for stage, duration in (*answer.timing_ms.items(), ("wall", answer.wall_ms)):
                values.setdefault(stage, []).append(duration)
    return {
        stage: {"p50": round(_percentile(each, 0.5), 3), "p95": round(_percentile(each, 0.95), 3)}
        for stage, each in values.items()
    }


def text_read(answers: Sequence[ImageResult]) -> float | None:
    """Share of the images whose text was read, by the time that it took."""
    return _share(sum(answer.timing_ms.get("text", 0.0) > 0 for answer in answers), len(answers))


def _within(answer: ImageResult, count: int) -> bool:
    """True where the right product is among the first ``count``; one found twice in the image counts once."""
    return answer.sku in list(dict.fromkeys(candidate.sku for candidate in answer.candidates))[:count]


def _centre_in(found: BoxXyxyPx, truth: BoxXyxyPx) -> bool:
    x, y = (found[0] + found[2]) / 2, (found[1] + found[3]) / 2
    return truth[0] <= x <= truth[2] and truth[1] <= y <= truth[3]


def _percentile(values: Sequence[float], share: float) -> float:
    """By linear interpolation between the two nearest values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
