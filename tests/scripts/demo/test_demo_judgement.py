"""What a browser drew, against what the clip shows."""

from typing import Any

import msgspec
import pytest

from demo.browser import Recording, Sample
from demo.judgement import Verdict, judge
from livecart.cli.clip_score import ClipTruth, ShownProduct
from tests.web.hub_clients import event

BEGAN_S = 1000.0
PRODUCT = (100.0, 100.0, 300.0, 300.0)
BESIDE, OVER = (320.0, 100.0, 500.0, 200.0), (200.0, 100.0, 400.0, 300.0)


def shown(name: str, from_s: float, to_s: float) -> ShownProduct:
    boxes = [(from_s + step, *PRODUCT) for step in range(int(to_s - from_s) + 1)]
    return ShownProduct(sku=name, name=name, from_s=from_s, to_s=to_s, boxes=boxes)


TRUTH = ClipTruth(
    schema=1,
    clip="clip.mp4",
    fps=25,
    width=720,
    height=1280,
    duration_s=40,
    shows=[shown("a", 2, 8), shown("b", 12, 18), shown("c", 22, 28)],
    bystanders=[shown("d", 12, 18)],
)


def card(name: str, from_s: float, to_s: float, box: Any = BESIDE) -> list[Sample]:
    """Seen five times a second; 7 s after it was captured."""
    steps = int((to_s - from_s) * 5) + 1
    return [Sample(name, BEGAN_S + from_s + s / 5, BEGAN_S + from_s + s / 5 + 7, box) for s in range(steps)]


def verdict(*cards: list[Sample], until_s: float = 39.0, captured_s: float = 0.0) -> Verdict:
    seen = [sample for each in cards for sample in each]
    events = [
        msgspec.structs.replace(
            event("card", number), name=each[0].name, captured_at_s=each[0].date_s - captured_s,
            emitted_at_s=each[0].date_s + 1,
        )
        for number, each in enumerate(cards, 1)
    ]  # fmt: skip
    return judge(Recording(BEGAN_S, BEGAN_S + until_s, seen), events, TRUTH, BEGAN_S)


RIGHT = (card("a", 3, 8), card("b", 13, 17), card("c", 23, 27))


def test_right_cards_pass_and_are_timed() -> None:
    found = verdict(*RIGHT, captured_s=0.1)
    assert (found.shows, found.found, found.right, found.wrong, found.aside) == (3, 3, 3, [], [])
    assert found.problems() == []
    assert found.covered == [0, 0, 0]
    assert found.late_s == pytest.approx([0.1] * 3)
    assert found.captured_to_drawn_s == pytest.approx([7.1] * 3)
    assert found.captured_to_event_s == pytest.approx([1.1] * 3)


def test_the_second_turn_of_the_clip_counts_alike() -> None:
    moved = [[Sample(s.name, s.date_s + 40, s.now_s + 40, s.box_xyxy_px) for s in each] for each in RIGHT]
    found = verdict(*RIGHT, *moved, until_s=79.0)
    assert (found.shows, found.found, found.problems()) == (6, 6, [])


@pytest.mark.parametrize(
    ("cards", "options", "why"),
    [
        ((*RIGHT, card("a", 31, 33)), {}, "wrong card: a at 31.0 s"),
        ((*RIGHT, card("x", 31, 33)), {}, "wrong card: x"),
        (RIGHT[:1], {}, "1 of 3 shows"),
        ((), {}, "0 of 3 shows"),
        (RIGHT, {"until_s": 20.0}, "only 2 shows"),
        (
            (RIGHT[0], card("b", 13, 17, OVER), card("c", 23, 27, OVER)),
            {},
            "2 cards came up over their product",
        ),
        (RIGHT, {"captured_s": 0.9}, "0.90 s"),
    ],
)
def test_what_does_not_pass(cards: tuple[list[Sample], ...], options: dict[str, float], why: str) -> None:
    [problem] = verdict(*cards, **options).problems()
    assert why in problem
