"""Figures from answers, checked against numbers worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.metrics import (
    Answer,
    Candidate,
    by_evidence,
    calibration_error,
    combine,
    precision_coverage,
    reliability,
    summarise,
    times,
    wilson,
)

SHARES = st.floats(0, 1)


def answer(sku: str | None, *found: tuple[str, float], **more: object) -> Answer:
    return Answer(sku, tuple(Candidate(name, confidence) for name, confidence in found), **more)  # type: ignore[arg-type]


QUERIES = [
    answer("a", ("a", 0.9), ("b", 0.2)),
    answer("b", ("a", 0.8), ("b", 0.7)),
    answer("c", ("c", 0.5)),
    answer("d", ("a", 0.3), ("a", 0.2), ("b", 0.2), ("c", 0.15), ("e", 0.12), ("d", 0.1)),
    answer("e"),
]
NEGATIVES = [answer(None, ("a", 0.71)), answer(None, ("a", 0.69)), answer(None), answer(None, ("b", 0.1))]


def test_a_seeds_figures() -> None:
    figures = summarise(QUERIES, NEGATIVES, threshold=0.7)
    assert figures["r_at_1"] == pytest.approx(2 / 5)
    # d is the fifth product of its reply, because a, found in two places, counts once.
    assert figures["r_at_5"] == pytest.approx(4 / 5)
    assert (figures["coverage"], figures["precision"]) == (pytest.approx(2 / 5), pytest.approx(1 / 2))
    assert figures["false_pops_per_1000"] == pytest.approx(250)
    assert figures["ece"] == pytest.approx((0.1 + 0.8 + 0.5 + 0.3) / 4)
    assert (figures["queries"], figures["negatives"], figures["shown"], figures["shown_right"]) == (5, 4, 2, 1)


def test_figures_of_nothing_are_none_and_not_zero() -> None:
    figures = summarise([answer("a")], [], threshold=0.7)
    assert (figures["r_at_1"], figures["coverage"]) == (0, 0)
    for name in ("precision", "false_pops_per_1000", "ece", "box_center_hit", "box_iou50"):
        assert figures[name] is None
    assert wilson(0, 0) is None


def test_the_default_threshold_itself_is_enough() -> None:
    assert summarise([answer("a", ("a", 0.7))], [], threshold=0.7)["coverage"] == 1


def test_errors_count_as_not_found() -> None:
    failed = Answer("a", error="415: not an image")
    figures = summarise([failed, answer("a", ("a", 0.9))], [], threshold=0.7)
    assert (figures["r_at_1"], figures["errors"]) == (0.5, 1)


def test_seeds_are_averaged_and_their_counts_pooled() -> None:
    seeds = [summarise(QUERIES, NEGATIVES, threshold=0.7), summarise(QUERIES[:1], NEGATIVES[2:], threshold=0.7)]
    figures = combine(seeds, QUERIES + QUERIES[:1], NEGATIVES + NEGATIVES[2:])
    assert figures["r_at_1"] == pytest.approx((0.4 + 1) / 2)
    assert figures["r_at_1_sd"] == pytest.approx(0.6 / 2**0.5)
    assert figures["precision"] == pytest.approx((0.5 + 1) / 2)
    assert figures["precision_ci95"] == wilson(2, 3)
    assert figures["false_pops_per_1000"] == pytest.approx(125)
    assert (figures["queries"], figures["negatives"], figures["false_pops"]) == (6, 6, 1)
    keys = "r_at_1 r_at_5 coverage precision false_pops_per_1000 ece box_center_hit box_iou50 ms queries"
    assert set(keys.split()) <= set(figures)


def test_one_seed_has_no_spread() -> None:
    assert combine([summarise(QUERIES, [], threshold=0.7)], QUERIES, [])["r_at_1_sd"] is None


def test_wilson_as_published() -> None:
    # The example of Newcombe (1998): 81 of 263.
    assert wilson(81, 263) == pytest.approx([0.2553, 0.3662], abs=1e-4)
    assert wilson(0, 1000) == pytest.approx([0.0, 0.00383], abs=1e-5)


@given(st.integers(1, 5000), SHARES)
def test_wilson_holds_the_share(count: int, share: float) -> None:
    hits = round(count * share)
    low, high = wilson(hits, count) or (2, -1)
    assert 0 <= low <= hits / count + 1e-12
    assert hits / count - 1e-12 <= high <= 1


def test_bins_hold_their_lower_end() -> None:
    bins = reliability([0.3, 0.39, 0.4, 1.0, 0.0], [True, False, True, True, False])
    assert [entry.count for entry in bins] == [1, 2, 1, 1]
    assert (bins[1].confidence, bins[1].accuracy) == (pytest.approx(0.345), 0.5)


@given(st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=50))
def test_calibration_error_is_a_share_and_counts_every_query(pairs: list[tuple[float, bool]]) -> None:
    confidences, right = [c for c, _ in pairs], [r for _, r in pairs]
    error = calibration_error(confidences, right)
    assert error is not None
    assert 0 <= error <= 1
    assert sum(entry.count for entry in reliability(confidences, right)) == len(pairs)


def test_boxes_count_only_where_the_product_is_right() -> None:
    truth = (100.0, 100.0, 200.0, 300.0)

    def framed(sku: str, box: tuple[float, float, float, float] | None) -> Answer:
        return Answer(sku, (Candidate("a", 0.9, box),), truth, "flood")

    frames = [
        framed("a", truth),
        framed("a", (140.0, 180.0, 160.0, 220.0)),  # its centre inside, but too small
        framed("a", (300.0, 100.0, 400.0, 300.0)),
        framed("a", None),  # right, but nowhere
        framed("b", truth),  # another product
    ]
    figures = summarise(frames, [], threshold=0.5)
    assert (figures["box_center_hit"], figures["box_iou50"]) == (pytest.approx(2 / 4), pytest.approx(1 / 4))
    whole = combine([figures], frames, [])
    assert whole["by_cutout"]["flood"]["queries"] == 5


def test_precision_against_coverage() -> None:
    points = precision_coverage([*QUERIES[:3], answer("a", ("a", 0.5)), answer("e")])
    assert points == [
        (0.9, pytest.approx(1 / 5), 1.0),
        (0.8, pytest.approx(2 / 5), 0.5),
        (0.5, pytest.approx(4 / 5), pytest.approx(3 / 4)),
    ]


def test_each_evidence_alone() -> None:
    def seen(sku: str, **scores: dict[str, float | None]) -> Answer:
        return Answer(sku, tuple(Candidate(name, 0.5, None, evidence) for name, evidence in scores.items()))

    queries = [
        seen("a", a={"photo": 0.9, "text": None}, b={"photo": 0.1, "text": 0.8}),
        seen("b", a={"photo": 0.9, "text": 0.1}, b={"photo": 0.2, "text": 0.8}),
        Answer("c"),
    ]
    assert by_evidence(queries, "photo") == pytest.approx(1 / 3)
    assert by_evidence(queries, "text") == pytest.approx(1 / 3)
    assert by_evidence(queries, "label") is None


def test_times_leave_failures_out() -> None:
    answers = [Answer("a", timing_ms={"network": float(ms)}, wall_ms=ms + 1.0) for ms in range(101)]
    measured = times([*answers, Answer("a", wall_ms=9e9, error="503")])
    assert measured == {"network": {"p50": 50.0, "p95": 95.0}, "wall": {"p50": 51.0, "p95": 96.0}}
