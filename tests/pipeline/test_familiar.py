"""What is followed, what is scenery, and what has to be looked at. Small pictures, drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawings import package

from livecart.pipeline.familiar import Familiar, FamiliarSettings, Seen
from livecart.pipeline.follow import follow
from livecart.pipeline.scenery import KnownPicture, novelty

HEIGHT, WIDTH = 80, 44
#: Where a product is held, in pixels of the halved copy.
HELD = (14, 30, 14, 26)
LEVELS = 20.0


def wall(seed: int = 0, shift: int = 0) -> np.ndarray:
    """A studio that may have moved sideways."""
    random = np.random.default_rng(seed)
    soft = cv2.resize(random.integers(60, 200, (10, 8, 3)).astype(np.uint8), (WIDTH + 20, HEIGHT))
    return soft[:, 10 + shift : 10 + shift + WIDTH].transpose(2, 0, 1).copy()


def held(picture: np.ndarray, at: tuple[int, int, int, int] = HELD, seed: int = 3) -> np.ndarray:
    """The picture with a package at x, y, width, height."""
    x, y, wide, tall = at
    drawn = cv2.resize(package(seed), (wide, tall), interpolation=cv2.INTER_AREA).transpose(2, 0, 1)
    shown = picture.copy()
    shown[:, y : y + tall, x : x + wide] = drawn
    return shown


def box(at: tuple[int, int, int, int] = HELD) -> tuple[float, float, float, float]:
    x, y, wide, tall = at
    return x / WIDTH, y / HEIGHT, (x + wide) / WIDTH, (y + tall) / HEIGHT


@pytest.mark.parametrize("shift", [0, 1, 3, 5])
def test_scenery_that_moved_is_known(shift):
    # Not at the edges, where other scenery comes in.
    inside = (0.2, 0.1, 0.8, 0.9)
    assert novelty(wall(shift=shift), [KnownPicture(wall())], enough=LEVELS, within=inside) < LEVELS


def test_a_product_is_new_wherever_it_is():
    for at in (HELD, (0, 60, 8, 14), (34, 2, 9, 16)):
        assert novelty(held(wall(), at), [KnownPicture(wall())], enough=LEVELS) >= LEVELS


def test_what_is_beside_or_outside_does_not_count():
    picture, known = held(wall()), [KnownPicture(wall())]
    assert novelty(picture, known, enough=LEVELS, beside=[box()]) < LEVELS
    assert novelty(picture, known, enough=LEVELS, within=(0.0, 0.0, 0.2, 0.2)) < LEVELS
    assert novelty(picture, known, enough=LEVELS, within=box()) >= LEVELS


def test_with_nothing_known_everything_is_new():
    assert novelty(wall(), [], enough=LEVELS) == float("inf")
    assert novelty(wall(), [KnownPicture(wall()[:, :40])], enough=LEVELS) == float("inf")


@pytest.mark.parametrize("moved", [(0, 0), (5, -4), (-6, 7)])
def test_a_product_is_followed(moved):
    to = (HELD[0] + moved[0], HELD[1] + moved[1], HELD[2], HELD[3])
    found = follow(held(wall()), held(wall(shift=2), to), box())
    assert found is not None
    assert found.score > 0.9
    assert found.box == pytest.approx(box(to), abs=0.02)


def test_another_product_in_its_place_is_not_taken_for_it():
    scores = [follow(held(wall()), held(wall(), seed=seed), box()).score for seed in (7, 8, 9)]
    assert max(scores) < FamiliarSettings().follow_score


class Room:
    """Frames a second apart; every look is answered at once."""

    def __init__(self, **settings):
        self.familiar = Familiar(FamiliarSettings(**settings))
        self.now_s = 0.0
        self.looked_at_s = 0.0

    def frame(self, picture, seen: Seen, **how) -> str:
        """Judge a frame; if it is due it is looked at, and that is what is seen."""
        judged = self.familiar.judge(picture, self.now_s, self.looked_at_s, **how)
        if judged.kind == "due":
            key = (self.now_s, self.now_s)
            self.familiar.asked(key, picture, self.now_s)
            self.familiar.told(key, seen)
            self.looked_at_s = self.now_s
        self.now_s += 1.0
        return "arrival" if judged.arrival else judged.kind


NOTHING = Seen()
A = Seen({"A": box()}, frozenset("A"))


def test_known_scenery_is_looked_at_from_time_to_time():
    room = Room(familiar_every_s=4.0)
    kinds = [room.frame(wall(shift=number % 2), NOTHING) for number in range(10)]
    assert kinds == ["due", *["familiar"] * 3] * 2 + ["due", "familiar"]


def test_something_new_is_looked_at_until_it_is_decided_or_known():
    room = Room(alert_s=2.0)
    room.frame(wall(), NOTHING)
    assert room.frame(held(wall()), NOTHING) == "arrival"
    # The recogniser may have missed it.
    assert room.frame(held(wall(), (15, 30, 14, 26)), Seen(A.boxes, undecided=True)) == "due"
    assert room.frame(held(wall(), (14, 31, 14, 26)), A) == "due"
    assert room.frame(held(wall(), (15, 31, 14, 26)), A) == "followed"


def test_what_the_recogniser_does_not_know_becomes_scenery():
    room = Room(alert_s=2.0, familiar_every_s=30.0)
    room.frame(wall(), NOTHING)
    kinds = [room.frame(held(wall(), (14 + number % 2, 30, 14, 26)), NOTHING) for number in range(6)]
    assert kinds == ["arrival", "due", "familiar", "familiar", "familiar", "familiar"]


def test_a_second_product_beside_a_followed_one_is_looked_at():
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(held(wall()), A)
    room.frame(held(wall()), A)
    assert room.frame(held(wall(), (15, 30, 14, 26)), A) == "followed"
    assert room.frame(held(held(wall()), (32, 4, 10, 18), seed=8), A) == "due"


def test_followed_products_are_confirmed_from_time_to_time():
    room = Room(confirm_every_s=3.0)
    room.frame(wall(), NOTHING)
    kinds = [room.frame(held(wall(), (14 + number % 2, 30, 14, 26)), A) for number in range(7)]
    assert kinds == ["arrival", "followed", "followed", "due", "followed", "followed", "due"]


def test_a_product_that_left_known_scenery_needs_one_look():
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(held(wall()), A)
    assert room.frame(wall(), Seen(missing=True)) == "due"
    # The decision would like another, but the picture shows that it is gone.
    assert room.frame(wall(shift=1), NOTHING, wanted=True) == "familiar"


def test_a_product_that_is_missed_while_it_is_there_is_looked_at_again():
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(held(wall()), A)
    turned = held(wall(), seed=8)
    assert room.frame(turned, Seen(missing=True)) == "due"
    assert room.frame(turned, NOTHING, wanted=True) == "due"


@pytest.mark.parametrize("seen", [Seen({"A": box()}, undecided=True), Seen({"A": None}, frozenset("A"))])
def test_what_is_undecided_or_has_no_place_is_always_due(seen):
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(held(wall()), seen)
    assert room.frame(held(wall()), seen) == "due"


def test_a_product_without_a_card_may_be_lost():
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(held(wall()), Seen(A.boxes))
    assert room.frame(wall(), NOTHING) == "familiar"


def test_a_look_that_was_lost_leaves_the_next_frame_due():
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(wall(), NOTHING)
    room.familiar.lost((1.0, 1.0))
    assert room.frame(wall(), NOTHING) == "due"


def test_time_that_jumps_back_begins_anew():
    room = Room()
    room.frame(wall(), NOTHING)
    room.now_s, room.looked_at_s = 3.0, 500.0
    assert room.frame(wall(), NOTHING) == "due"


def looked(familiar: Familiar, picture, seen: Seen, at_s: float, *, whole: bool = True) -> None:
    familiar.asked((at_s, at_s), picture, at_s, whole=whole)
    familiar.told((at_s, at_s), seen)


@pytest.fixture
def holding_a() -> Familiar:
    familiar = Familiar(FamiliarSettings(confirm_every_s=5.0))
    looked(familiar, wall(), NOTHING, 0.0)
    looked(familiar, held(wall()), A, 1.0)
    return familiar


@pytest.mark.parametrize("to", [HELD, (17, 27, 14, 26), (12, 33, 14, 26)])
def test_the_next_look_is_confined_to_where_the_product_went(holding_a, to):
    assert holding_a.focus(held(wall(), to), 2.0) == pytest.approx(box(to), abs=0.03)


def test_it_is_confined_also_where_the_product_turned(holding_a):
    turned = held(wall(), seed=8)
    assert holding_a.focus(turned, 2.0) == pytest.approx(box(), abs=0.1)


def test_what_is_gone_is_not_looked_for_where_it_was(holding_a):
    assert holding_a.focus(wall(), 2.0) is None


def test_something_new_elsewhere_is_looked_for_everywhere(holding_a):
    assert holding_a.focus(held(held(wall()), (0, 2, 9, 16), seed=7), 2.0) is None


def test_a_look_that_may_announce_is_confined_whatever_is_new_but_the_one_after_it_is_not(holding_a):
    undecided, crowded = Seen(A.boxes, undecided=True), held(held(wall()), (0, 2, 9, 16), seed=7)
    looked(holding_a, held(wall()), undecided, 2.0)
    assert holding_a.focus(crowded, 2.5) == pytest.approx(box(), abs=0.03)
    looked(holding_a, crowded, undecided, 2.5, whole=False)
    assert holding_a.focus(crowded, 3.0) is None


def test_what_is_new_is_looked_for_once_the_product_is_announced(holding_a):
    crowded = held(held(wall()), (0, 2, 9, 16), seed=7)
    looked(holding_a, held(wall()), Seen(A.boxes, undecided=True), 2.0)
    assert holding_a.focus(crowded, 2.5) is not None
    looked(holding_a, crowded, A, 2.5, whole=False)
    assert holding_a.judge(crowded, 3.0, 2.5).kind == "due"
    assert holding_a.focus(crowded, 3.0) is None
    assert not holding_a.owes_look(4.4)
    assert holding_a.owes_look(4.5)
    looked(holding_a, crowded, A, 4.5)
    assert not holding_a.owes_look(99.0)


def test_a_confined_look_that_passes_over_nothing_owes_none(holding_a):
    looked(holding_a, held(wall()), Seen(A.boxes, undecided=True), 2.0)
    assert holding_a.focus(held(wall()), 2.5) is not None
    looked(holding_a, held(wall()), A, 2.5, whole=False)
    assert not holding_a.owes_look(99.0)


def test_a_confined_look_that_decides_ends_the_alert():
    familiar = Familiar(FamiliarSettings(alert_s=6.0))
    looked(familiar, wall(), NOTHING, 0.0)
    assert familiar.judge(held(wall()), 1.0, 0.0).arrival
    looked(familiar, held(wall()), Seen(A.boxes, undecided=True), 1.0)
    looked(familiar, held(wall()), A, 1.5, whole=False)
    assert familiar.judge(held(wall()), 2.0, 1.5).kind == "followed"


def test_now_and_then_everything_is_looked_at(holding_a):
    looked(holding_a, held(wall()), A, 4.0, whole=False)
    assert holding_a.focus(held(wall()), 5.0) is not None
    assert holding_a.focus(held(wall()), 6.0) is None
    assert holding_a.focus(held(wall()), 0.5) is None


@pytest.mark.parametrize(
    "seen",
    [
        NOTHING,
        Seen({"A": None}, frozenset("A")),
        Seen({"A": box(), "B": box((0, 2, 9, 16))}),
        Seen({"A": box(), "B": None}),
        Seen({"A": box()}, missing=True),
        Seen({"A": box()}, unsure=frozenset("A")),
        Seen({"A": box()}, unsure=frozenset("A"), undecided=True),
    ],
    ids=["nothing", "no place", "two", "one without a place", "one is missing", "unsure", "unsure and undecided"],
)
def test_only_one_sure_product_whose_place_is_known_is_looked_at_alone(holding_a, seen):
    looked(holding_a, held(wall()), seen, 2.0)
    assert holding_a.focus(held(wall()), 3.0) is None


@pytest.mark.parametrize(
    ("a", "b"),
    [(HELD, (29, 33, 7, 20)), ((11, 20, 20, 40), (32, 28, 11, 30)), ((11, 20, 20, 40), (32, 2, 11, 16))],
    ids=["beside", "as large", "above"],
)
def test_what_comes_close_by_is_seen_by_the_second_look(a, b):
    """A confined look sees only its own product: it may not make the other one scenery."""
    familiar, seen, both = (
        Familiar(FamiliarSettings()),
        Seen({"A": box(a)}, frozenset("A")),
        held(held(wall(), a), b, 7),
    )
    looked(familiar, wall(), NOTHING, 0.0)
    looked(familiar, held(wall(), a), seen, 1.0)
    assert familiar.judge(both, 1.5, 1.0).kind == "due"
    assert familiar.focus(both, 1.5) is not None
    looked(familiar, both, seen, 1.5, whole=False)
    assert familiar.judge(both, 2.0, 1.5).kind == "due"
    assert familiar.focus(both, 2.0) is None
    # Once a whole look has seen nothing more in it, it is scenery.
    looked(familiar, both, seen, 2.0)
    assert familiar.judge(both, 2.5, 2.0).kind == "followed"


def test_a_confined_look_puts_no_whole_one_off(holding_a):
    looked(holding_a, held(wall()), A, 4.0, whole=False)
    assert holding_a.judge(held(wall()), 5.9, 4.0).kind == "followed"
    assert holding_a.judge(held(wall()), 6.0, 4.0).kind == "due"
    assert holding_a.focus(held(wall()), 6.0) is None


def test_after_a_lost_look_everything_is_looked_at(holding_a):
    holding_a.lost((2.0, 2.0))
    assert holding_a.focus(held(wall()), 2.0) is None
