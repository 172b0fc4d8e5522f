"""Frames that look like one on its way to a look wait for what it says, and for nothing else."""

from __future__ import annotations

from livecart.pipeline.awaited_look import AwaitedLook


def key(pts_s: float) -> tuple[float, float]:
    return pts_s, 1000.0 + pts_s


def test_what_was_held_is_told_with_the_answer_once_and_only_the_newest():
    awaited = AwaitedLook()
    awaited.sent(key(1))
    assert awaited.hold(key(2))
    assert awaited.hold(key(3))
    assert awaited.answered(key(1)) == key(3)
    assert awaited.answered(key(1)) is None
    assert not awaited.hold(key(4))


def test_an_older_frames_answer_changes_nothing():
    awaited = AwaitedLook()
    awaited.sent(key(1))
    awaited.sent(key(2))
    assert awaited.hold(key(3))
    assert awaited.answered(key(1)) is None
    awaited.lost(key(1))
    assert awaited.answered(key(2)) == key(3)


def test_a_newer_frame_sent_forgets_what_was_held_for_the_older_one():
    awaited = AwaitedLook()
    awaited.sent(key(1))
    awaited.hold(key(2))
    awaited.sent(key(3))
    assert awaited.answered(key(3)) is None


def test_a_frame_that_is_lost_takes_what_was_held_with_it():
    awaited = AwaitedLook()
    awaited.sent(key(1))
    awaited.hold(key(2))
    awaited.lost(key(1))
    assert not awaited.hold(key(3))
    assert awaited.answered(key(1)) is None
