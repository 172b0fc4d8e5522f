"""What is tracked, what is background, and what needs a look. Small pictures, drawn."""

import copy

import cv2
import numpy as np
import pytest

from livecart.core.types import InSight
from livecart.live.gate.background_model import Assessment, BackgroundModel
from livecart.live.gate.foreground import KnownPicture, foreground_score
from livecart.live.gate.settings import GateSettings
from livecart.live.gate.template import track
from tests.drawings import package

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
def test_background_that_moved_is_known(shift):
    # Not at the edges, where other background comes in.
    inside = (0.2, 0.1, 0.8, 0.9)
    assert foreground_score(wall(shift=shift), [KnownPicture(wall())], enough=LEVELS, within=inside) < LEVELS


def test_a_product_is_new_wherever_it_is():
    for at in (HELD, (0, 60, 8, 14), (34, 2, 9, 16)):
        assert foreground_score(held(wall(), at), [KnownPicture(wall())], enough=LEVELS) >= LEVELS


def test_what_is_beside_or_outside_does_not_count():
    picture, known = held(wall()), [KnownPicture(wall())]
    assert foreground_score(picture, known, enough=LEVELS, beside=[box()]) < LEVELS
    assert foreground_score(picture, known, enough=LEVELS, within=(0.0, 0.0, 0.2, 0.2)) < LEVELS
    assert foreground_score(picture, known, enough=LEVELS, within=box()) >= LEVELS


def test_with_nothing_known_everything_is_new():
    assert foreground_score(wall(), [], enough=LEVELS) == float("inf")
    assert foreground_score(wall(), [KnownPicture(wall()[:, :40])], enough=LEVELS) == float("inf")


@pytest.mark.parametrize("moved", [(0, 0), (5, -4), (-6, 7)])
def test_a_product_is_tracked(moved):
    to = (HELD[0] + moved[0], HELD[1] + moved[1], HELD[2], HELD[3])
    found = track(held(wall()), held(wall(shift=2), to), box())
    assert found is not None
    assert found.score > 0.9
    assert found.box == pytest.approx(box(to), abs=0.02)


def test_another_product_in_its_place_is_not_taken_for_it():
    scores = [track(held(wall()), held(wall(), seed=seed), box()).score for seed in (7, 8, 9)]
    assert max(scores) < GateSettings().track_score


def kind(assessed: Assessment) -> str:
    """The reason that the gate gives."""
    return "look" if assessed.needs_look else "tracked" if assessed.boxes else "background"


def looked(model: BackgroundModel, picture, seen: InSight, at_s: float, *, whole: bool = True) -> None:
    submitted = model.submit((at_s, at_s), picture, allow_roi=not whole)
    assert (submitted.roi is None) == whole
    model.on_result(submitted, seen)


def roi(model: BackgroundModel, picture, at_s: float) -> tuple[float, float, float, float] | None:
    """The region of a frame submitted now; the model stays as it is."""
    return copy.deepcopy(model).submit((at_s, at_s), picture, allow_roi=True).roi


class Room:
    """Frames a second apart; every look is answered at once."""

    def __init__(self, **settings):
        self.model = BackgroundModel(GateSettings(**settings))
        self.now_s = 0.0
        self.submitted_at_s = 0.0

    def frame(self, picture, seen: InSight, **how) -> str:
        """Assess a frame; if it needs a look, that is what is seen."""
        assessed = self.model.assess(picture, self.now_s, self.submitted_at_s, **how)
        if assessed.needs_look:
            looked(self.model, picture, seen, self.now_s)
            self.submitted_at_s = self.now_s
        self.now_s += 1.0
        return "arrival" if assessed.arrival else kind(assessed)


NOTHING = InSight()
A = InSight({"A": box()}, frozenset("A"))


def test_background_is_looked_at_from_time_to_time():
    room = Room(background_every_s=4.0)
    kinds = [room.frame(wall(shift=number % 2), NOTHING) for number in range(10)]
    assert kinds == ["look", *["background"] * 3] * 2 + ["look", "background"]


def test_something_new_is_looked_at_until_it_is_decided_or_background():
    room = Room(alert_s=2.0)
    room.frame(wall(), NOTHING)
    assert room.frame(held(wall()), NOTHING) == "arrival"
    # The recogniser may have missed it.
    assert room.frame(held(wall(), (15, 30, 14, 26)), InSight(A.boxes, pending=True)) == "look"
    assert room.frame(held(wall(), (14, 31, 14, 26)), A) == "look"
    assert room.frame(held(wall(), (15, 31, 14, 26)), A) == "tracked"


def test_what_the_recogniser_does_not_know_becomes_background():
    room = Room(alert_s=2.0, background_every_s=30.0)
    room.frame(wall(), NOTHING)
    kinds = [room.frame(held(wall(), (14 + number % 2, 30, 14, 26)), NOTHING) for number in range(6)]
    assert kinds == ["arrival", "look", "background", "background", "background", "background"]


def test_a_second_product_beside_a_tracked_one_is_looked_at():
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(held(wall()), A)
    room.frame(held(wall()), A)
    assert room.frame(held(wall(), (15, 30, 14, 26)), A) == "tracked"
    assert room.frame(held(held(wall()), (32, 4, 10, 18), seed=8), A) == "look"


def test_tracked_products_are_confirmed_from_time_to_time():
    room = Room(confirm_every_s=3.0)
    room.frame(wall(), NOTHING)
    kinds = [room.frame(held(wall(), (14 + number % 2, 30, 14, 26)), A) for number in range(7)]
    assert kinds == ["arrival", "tracked", "tracked", "look", "tracked", "tracked", "look"]


def test_a_product_that_left_known_background_needs_one_look():
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(held(wall()), A)
    assert room.frame(wall(), InSight(missing=True)) == "look"
    # The decision would like another, but the picture shows that it is gone.
    assert room.frame(wall(shift=1), NOTHING, wanted=True) == "background"


def test_a_product_that_is_missed_while_it_is_there_is_looked_at_again():
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(held(wall()), A)
    turned = held(wall(), seed=8)
    assert room.frame(turned, InSight(missing=True)) == "look"
    assert room.frame(turned, NOTHING, wanted=True) == "look"


@pytest.mark.parametrize("seen", [InSight({"A": box()}, pending=True), InSight({"A": None}, frozenset("A"))])
def test_what_is_pending_or_has_no_place_always_needs_a_look(seen):
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(held(wall()), seen)
    assert room.frame(held(wall()), seen) == "look"


def test_a_product_without_a_card_may_be_lost():
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(held(wall()), InSight(A.boxes))
    assert room.frame(wall(), NOTHING) == "background"


def test_a_look_that_was_lost_leaves_the_next_frame_to_look_at():
    room = Room()
    room.frame(wall(), NOTHING)
    room.frame(wall(), NOTHING)
    room.model.on_lost()
    assert room.frame(wall(), NOTHING) == "look"


def test_time_that_jumps_back_begins_anew():
    room = Room()
    room.frame(wall(), NOTHING)
    room.now_s, room.submitted_at_s = 3.0, 500.0
    assert room.frame(wall(), NOTHING) == "look"


@pytest.fixture
def holding_a() -> BackgroundModel:
    model = BackgroundModel(GateSettings(confirm_every_s=5.0))
    looked(model, wall(), NOTHING, 0.0)
    looked(model, held(wall()), A, 1.0)
    return model


@pytest.mark.parametrize("to", [HELD, (17, 27, 14, 26), (12, 33, 14, 26)])
def test_the_next_look_has_its_roi_where_the_product_went(holding_a, to):
    assert roi(holding_a, held(wall(), to), 2.0) == pytest.approx(box(to), abs=0.03)


def test_it_has_one_also_where_the_product_turned(holding_a):
    turned = held(wall(), seed=8)
    assert roi(holding_a, turned, 2.0) == pytest.approx(box(), abs=0.1)


def test_what_is_gone_is_not_looked_for_where_it_was(holding_a):
    assert roi(holding_a, wall(), 2.0) is None


def test_something_new_elsewhere_is_looked_for_everywhere(holding_a):
    assert roi(holding_a, held(held(wall()), (0, 2, 9, 16), seed=7), 2.0) is None


def test_a_look_that_may_announce_has_a_roi_whatever_is_new_but_the_one_after_it_has_none(holding_a):
    pending, crowded = InSight(A.boxes, pending=True), held(held(wall()), (0, 2, 9, 16), seed=7)
    looked(holding_a, held(wall()), pending, 2.0)
    assert roi(holding_a, crowded, 2.5) == pytest.approx(box(), abs=0.03)
    looked(holding_a, crowded, pending, 2.5, whole=False)
    assert roi(holding_a, crowded, 3.0) is None


def test_what_is_new_is_looked_for_once_the_product_is_announced(holding_a):
    crowded = held(held(wall()), (0, 2, 9, 16), seed=7)
    looked(holding_a, held(wall()), InSight(A.boxes, pending=True), 2.0)
    assert roi(holding_a, crowded, 2.5) is not None
    looked(holding_a, crowded, A, 2.5, whole=False)
    assert kind(holding_a.assess(crowded, 3.0, 2.5)) == "look"
    assert roi(holding_a, crowded, 3.0) is None
    assert not holding_a.is_whole_due(4.4)
    assert holding_a.is_whole_due(4.5)
    looked(holding_a, crowded, A, 4.5)
    assert not holding_a.is_whole_due(99.0)


def test_a_look_at_a_roi_that_passes_over_nothing_makes_no_whole_one_due(holding_a):
    looked(holding_a, held(wall()), InSight(A.boxes, pending=True), 2.0)
    assert roi(holding_a, held(wall()), 2.5) is not None
    looked(holding_a, held(wall()), A, 2.5, whole=False)
    assert not holding_a.is_whole_due(99.0)


def test_a_look_at_a_roi_that_decides_ends_the_alert():
    model = BackgroundModel(GateSettings(alert_s=6.0))
    looked(model, wall(), NOTHING, 0.0)
    assert model.assess(held(wall()), 1.0, 0.0).arrival
    looked(model, held(wall()), InSight(A.boxes, pending=True), 1.0)
    looked(model, held(wall()), A, 1.5, whole=False)
    assert kind(model.assess(held(wall()), 2.0, 1.5)) == "tracked"


def test_now_and_then_everything_is_looked_at(holding_a):
    looked(holding_a, held(wall()), A, 4.0, whole=False)
    assert roi(holding_a, held(wall()), 5.0) is not None
    assert roi(holding_a, held(wall()), 6.0) is None
    assert roi(holding_a, held(wall()), 0.5) is None


@pytest.mark.parametrize(
    "seen",
    [
        NOTHING,
        InSight({"A": None}, frozenset("A")),
        InSight({"A": box(), "B": box((0, 2, 9, 16))}),
        InSight({"A": box(), "B": None}),
        InSight({"A": box()}, missing=True),
        InSight({"A": box()}, uncertain=frozenset("A")),
        InSight({"A": box()}, uncertain=frozenset("A"), pending=True),
    ],
    ids=["nothing", "no place", "two", "one without a place", "one is missing", "uncertain", "uncertain and pending"],
)
def test_only_one_sure_product_whose_place_is_known_is_looked_at_alone(holding_a, seen):
    looked(holding_a, held(wall()), seen, 2.0)
    assert roi(holding_a, held(wall()), 3.0) is None


@pytest.mark.parametrize(
    ("a", "b"),
    [(HELD, (29, 33, 7, 20)), ((11, 20, 20, 40), (32, 28, 11, 30)), ((11, 20, 20, 40), (32, 2, 11, 16))],
    ids=["beside", "as large", "above"],
)
def test_what_comes_close_by_is_seen_by_the_second_look(a, b):
    """A look at a region sees only its own product: it may not make the other one background."""
    model, seen, both = (
        BackgroundModel(GateSettings()),
        InSight({"A": box(a)}, frozenset("A")),
        held(held(wall(), a), b, 7),
    )
    looked(model, wall(), NOTHING, 0.0)
    looked(model, held(wall(), a), seen, 1.0)
    assert kind(model.assess(both, 1.5, 1.0)) == "look"
    assert roi(model, both, 1.5) is not None
    looked(model, both, seen, 1.5, whole=False)
    assert kind(model.assess(both, 2.0, 1.5)) == "look"
    assert roi(model, both, 2.0) is None
    # Once a whole look has seen nothing more in it, it is background.
    looked(model, both, seen, 2.0)
    assert kind(model.assess(both, 2.5, 2.0)) == "tracked"


def test_a_look_at_a_roi_puts_no_whole_one_off(holding_a):
    looked(holding_a, held(wall()), A, 4.0, whole=False)
    assert kind(holding_a.assess(held(wall()), 5.9, 4.0)) == "tracked"
    assert kind(holding_a.assess(held(wall()), 6.0, 4.0)) == "look"
    assert roi(holding_a, held(wall()), 6.0) is None


def test_after_a_lost_look_everything_is_looked_at(holding_a):
    holding_a.on_lost()
    assert roi(holding_a, held(wall()), 2.0) is None
