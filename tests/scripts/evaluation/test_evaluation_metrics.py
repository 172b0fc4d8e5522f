"""Figures from answers, checked against numbers worked out by hand."""

import pytest

from evaluation.metrics import (
    Candidate,
    ImageResult,
    combine,
    summarise,
    wilson,
)


def answer(sku: str | None, *found: tuple[str, float], **more: object) -> ImageResult:
    return ImageResult(sku, tuple(Candidate(name, confidence) for name, confidence in found), **more)  # type: ignore[arg-type]


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


def test_wilson_as_published() -> None:
    # The example of Newcombe (1998): 81 of 263.
    assert wilson(81, 263) == pytest.approx([0.2553, 0.3662], abs=1e-4)
    assert wilson(0, 1000) == pytest.approx([0.0, 0.00383], abs=1e-5)


def test_boxes_count_only_where_the_product_is_right() -> None:
    truth = (100.0, 100.0, 200.0, 300.0)

    def framed(sku: str, box: tuple[float, float, float, float] | None) -> ImageResult:
        return ImageResult(sku, (Candidate("a", 0.9, box),), truth, "flood")

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
