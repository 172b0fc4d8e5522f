"""Which way round a room is asked about, by what its results told."""

import pytest

from contract.reply import TextLine
from livecart.core.types import Detections
from livecart.live.mirroring import Mirroring

TEXT = (TextLine("茶", 0.9, (0.0, 0.0, 9.0, 9.0)),)


def result(mirrored: bool | None, *, with_text: bool = False) -> Detections:
    return Detections("r", 0.0, 0.0, 720, 1280, (), {}, texts=TEXT if with_text else (), mirrored=mirrored)


def asked(mirroring: Mirroring, count: int, told: bool | None, *, with_text: bool = False) -> list[bool | None]:
    """The options of so many requests, each answered alike before the next."""
    options = []
    for _ in range(count):
        options.append(mirroring.option())
        mirroring.on_result(result(told, with_text=with_text))
    return options


@pytest.mark.parametrize("setting", [True, False])
def test_a_setting_is_held_whatever_results_tell(setting):
    mirroring = Mirroring(setting)
    assert asked(mirroring, 40, told=not setting) == [setting] * 40
    assert mirroring.mirrored is setting


def test_a_room_is_left_to_the_recogniser_until_print_tells_and_again_when_it_tells_otherwise():
    mirroring = Mirroring(None)
    assert asked(mirroring, 3, told=None) == [None] * 3
    assert (asked(mirroring, 2, told=True), mirroring.mirrored) == ([None, True], True)
    assert (asked(mirroring, 3, told=False), mirroring.mirrored) == ([True, False, False], False)


@pytest.mark.parametrize("known", [True, False])
def test_a_known_room_that_tells_nothing_is_left_to_the_recogniser_now_and_then(known):
    mirroring = Mirroring(None)
    mirroring.on_result(result(known))
    assert asked(mirroring, 8, told=None) == [known, known, known, None] * 2


def test_text_that_tells_nothing_is_tried_the_other_way_round_now_and_then():
    mirroring = Mirroring(None)
    options = asked(mirroring, 32, told=None, with_text=True)
    assert [place for place, option in enumerate(options) if option] == [15, 31]
    assert asked(Mirroring(None), 32, told=None) == [None] * 32


def test_a_room_in_which_print_reads_is_never_tried_the_other_way_round():
    mirroring = Mirroring(None)
    mirroring.on_result(result(False))
    assert True not in asked(mirroring, 50, told=None, with_text=True)
