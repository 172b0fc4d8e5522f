"""A room's stream is sampled faster while something comes or is decided, and slower where the machine is short."""

import time

import numpy as np
import pytest

from livecart.core.types import Detections, Frame
from livecart.live.sampling_controller import SamplingController
from livecart.live.video import ArrayPicture, IngestSettings

PICTURE = ArrayPicture(np.zeros((36, 64, 3), np.uint8))


def look(pts_s: float, *, late_s: float = 0.0) -> Detections:
    return Detections("r", pts_s, time.time() - late_s, 64, 36, (), {})


def room(*, lossless: bool = False, **ingest) -> SamplingController:
    return SamplingController(IngestSettings(**ingest), lossless=lossless)


def test_an_arrival_speeds_up_for_half_a_second():
    paced = room()
    paced.arrived(Frame("r", PICTURE, 10.0, 0.0))
    assert paced.rate.is_fast(10.4)
    assert not paced.rate.is_fast(10.6)


@pytest.mark.parametrize("load_shedding", ["auto", "always"])
def test_a_frame_that_is_wanted_speeds_up(load_shedding):
    paced = room(load_shedding=load_shedding)
    paced.wanted(10.0)
    assert paced.rate.is_fast(10.9)
    assert not paced.rate.is_fast(11.1)


@pytest.mark.parametrize(("load_shedding", "is_fast"), [("auto", True), ("always", False)])
def test_a_frame_that_was_passed_over_speeds_up_unless_the_machine_is_short(load_shedding, is_fast):
    paced = room(load_shedding=load_shedding)
    paced.passed_over(10.0)
    assert paced.rate.is_fast(10.9) is is_fast
    paced.set_short(short=True)
    paced.passed_over(20.0)
    assert not paced.rate.is_fast(20.5)


def test_a_wanted_frame_cuts_no_longer_speed_up_short():
    paced = room()
    paced.on_result(look(10.0, late_s=3.0), pending=True)
    paced.wanted(10.5)
    assert paced.rate.is_fast(13.0)


def test_a_file_does_not_depend_on_when_a_frame_was_wanted():
    paced = room(lossless=True)
    paced.wanted(10.0)
    assert not paced.rate.is_fast(10.5)


def test_one_decision_speeds_up_once_for_a_while():
    paced = room(lossless=True)
    for pts_s in (10.0, 11.0, 12.0):
        paced.on_result(look(pts_s), pending=True)
    assert paced.rate.is_fast(11.4)
    assert not paced.rate.is_fast(11.6)
    paced.on_result(look(13.0), pending=False)
    assert not paced.rate.is_fast(11.4)
    paced.on_result(look(14.0), pending=True)
    assert paced.rate.is_fast(15.4)


@pytest.mark.parametrize(("lossless", "is_fast"), [(False, True), (True, False)])
def test_a_live_looks_lateness_is_added(lossless, is_fast):
    paced = room(lossless=lossless)
    paced.on_result(look(10.0, late_s=3.0), pending=True)
    assert paced.rate.is_fast(13.0) == is_fast


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
    paced = room(load_shedding=mode, lossless=lossless)
    assert paced.rate.load_shedding == at_first
    paced.set_short(short=True)
    assert paced.rate.load_shedding == when_short
    paced.set_short(short=False)
    assert paced.rate.load_shedding == at_first


def test_while_load_is_shed_no_arrival_speeds_up():
    paced = room(load_shedding="always")
    paced.arrived(Frame("r", PICTURE, 10.0, 0.0))
    assert not paced.rate.is_fast(10.2)
