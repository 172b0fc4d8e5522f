"""A room's stream is sampled faster while something comes or is decided, and slower where the machine is short."""

from __future__ import annotations

import time

import numpy as np
import pytest

from livecart.pipeline.ingest import ArrayPicture, IngestSettings
from livecart.pipeline.room_pace import RoomPace
from livecart.types import Frame, Look

PICTURE = ArrayPicture(np.zeros((36, 64, 3), np.uint8))


def look(pts_s: float, *, late_s: float = 0.0) -> Look:
    return Look("r", pts_s, time.time() - late_s, 64, 36, (), {})


def room(*, lossless: bool = False, **ingest) -> RoomPace:
    return RoomPace(IngestSettings(**ingest), lossless=lossless)


def test_an_arrival_hurries_for_half_a_second():
    paced = room()
    paced.arrived(Frame("r", PICTURE, 10.0, 0.0))
    assert paced.pace.hurries(10.4)
    assert not paced.pace.hurries(10.6)


@pytest.mark.parametrize("economy", ["auto", "always"])
def test_a_frame_that_is_wanted_is_hurried_for(economy):
    paced = room(economy=economy)
    paced.wanted(10.0)
    assert paced.pace.hurries(10.9)
    assert not paced.pace.hurries(11.1)


@pytest.mark.parametrize(("economy", "hurries"), [("auto", True), ("always", False)])
def test_a_frame_that_was_passed_over_is_hurried_for_unless_the_machine_is_short(economy, hurries):
    paced = room(economy=economy)
    paced.passed_over(10.0)
    assert paced.pace.hurries(10.9) is hurries
    paced.set_short(short=True)
    paced.passed_over(20.0)
    assert not paced.pace.hurries(20.5)


def test_a_wanted_frame_cuts_no_longer_hurry_short():
    paced = room()
    paced.decided(look(10.0, late_s=3.0), deciding=True)
    paced.wanted(10.5)
    assert paced.pace.hurries(13.0)


def test_a_file_does_not_depend_on_when_a_frame_was_wanted():
    paced = room(lossless=True)
    paced.wanted(10.0)
    assert not paced.pace.hurries(10.5)


def test_one_decision_hurries_once_for_a_while():
    paced = room(lossless=True)
    for pts_s in (10.0, 11.0, 12.0):
        paced.decided(look(pts_s), deciding=True)
    assert paced.pace.hurries(11.4)
    assert not paced.pace.hurries(11.6)
    paced.decided(look(13.0), deciding=False)
    assert not paced.pace.hurries(11.4)
    paced.decided(look(14.0), deciding=True)
    assert paced.pace.hurries(15.4)


@pytest.mark.parametrize(("lossless", "hurries"), [(False, True), (True, False)])
def test_a_live_looks_lateness_is_added(lossless, hurries):
    paced = room(lossless=lossless)
    paced.decided(look(10.0, late_s=3.0), deciding=True)
    assert paced.pace.hurries(13.0) == hurries


@pytest.mark.parametrize(
    ("mode", "lossless", "at_first", "when_short"),
    [
        ("auto", False, False, True),
        ("auto", True, False, False),
        ("always", True, True, True),
        ("never", False, False, False),
    ],
)
def test_a_short_machine_saves_where_it_may(mode, lossless, at_first, when_short):
    paced = room(economy=mode, lossless=lossless)
    assert paced.pace.economy == at_first
    paced.set_short(short=True)
    assert paced.pace.economy == when_short
    paced.set_short(short=False)
    assert paced.pace.economy == at_first


def test_while_it_saves_no_arrival_hurries():
    paced = room(economy="always")
    paced.arrived(Frame("r", PICTURE, 10.0, 0.0))
    assert not paced.pace.hurries(10.2)
