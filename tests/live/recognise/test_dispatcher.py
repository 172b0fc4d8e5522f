"""Frames in, looks out: bounded, retried while fresh, no room in another's way, every frame's end told once."""

import asyncio
import itertools
import time
from collections import Counter

import pytest

from livecart.core.errors import RecognizerBusy, RecognizerError
from livecart.core.types import Detections, Frame
from livecart.live.recognise import dispatcher
from livecart.live.recognise.latest_frames import LatestFrames
from livecart.live.recognise.settings import DispatcherSettings
from tests.live.recognise.dispatching import PICTURE, Recognizer, Service, fails, frame, running
from tests.live.recognise.queues import in_thread


async def test_no_more_than_in_flight_at_once():
    recognizer, held = Recognizer(), asyncio.Event()
    rooms = [f"room {number}" for number in range(12)]
    recognizer.behave = dict.fromkeys(rooms, lambda _: held.wait())
    async with running(recognizer, *rooms) as service:
        for room in rooms:
            service.queue.offer(frame(room))
        await service.until(lambda: recognizer.now == 4)
        await asyncio.sleep(0.02)
        assert len(service.queue) == 8
        held.set()
        await service.outcome("answered", 12)
    assert recognizer.most == 4


async def test_frames_that_come_together_are_not_sent_together(monkeypatch):
    """TorchServe would put them into one batch, for one worker, while another is idle."""
    monkeypatch.setattr(dispatcher, "_APART_S", 0.05)
    recognizer, began_s = Recognizer(), []

    async def note(_: Frame) -> None:
        began_s.append(time.monotonic())

    rooms = [f"room {number}" for number in range(6)]
    recognizer.behave = dict.fromkeys(rooms, note)
    async with running(recognizer, *rooms) as service:
        for room in rooms:
            service.queue.offer(frame(room))
        await service.outcome("answered", 6)
    assert min(after - before for before, after in itertools.pairwise(began_s)) >= 0.02


async def test_a_busy_recogniser_is_asked_again():
    recognizer = Recognizer()
    recognizer.behave["a"] = fails(RecognizerBusy("full"), times=3)
    async with running(recognizer, "a") as service:
        service.queue.offer(frame("a"))
        await service.outcome("answered")
    assert len(recognizer.asked) == 4
    assert service.tally.incidents == {"busy": 3}


async def test_it_is_asked_again_only_while_the_frame_is_fresh():
    recognizer = Recognizer()
    recognizer.behave["a"] = fails(RecognizerBusy("full"))
    async with running(recognizer, "a", max_age_s=0.15) as service:
        service.queue.offer(frame("a"))
        await service.outcome("gave_up")
    assert [outcome for _, outcome in service.lost] == ["gave_up"]
    assert len(recognizer.asked) > 2


async def test_a_newer_frame_ends_the_older_ones_retries_at_once():
    recognizer = Recognizer()
    recognizer.behave["a"] = fails(RecognizerBusy("full"), times=1)
    patient = DispatcherSettings(in_flight=4, backoff_first_s=1000.0, backoff_max_s=1000.0)
    async with running(recognizer, "a", settings=patient) as service:
        service.queue.offer(frame("a", 1.0))
        await service.until(lambda: service.tally.incidents["busy"] == 1)
        service.queue.offer(frame("a", 2.0))
        await service.outcome("gave_up")
        await service.outcome("answered")
    assert recognizer.asked == [("a", 1.0), ("a", 2.0)]
    assert service.seen() == [("a", 2.0)]


async def test_a_frame_that_waits_to_be_sent_again_is_in_nobodys_way():
    """With one place only, a room that fails for ever leaves it to the others between its attempts."""
    recognizer = Recognizer()
    recognizer.behave["bad"] = fails(RecognizerBusy("full"))
    lone = DispatcherSettings(in_flight=1, backoff_first_s=1000.0, backoff_max_s=1000.0, drain_s=0)
    async with running(recognizer, "bad", "good", settings=lone) as service:
        service.queue.offer(frame("bad"))
        await service.until(lambda: service.tally.incidents["busy"] == 1)
        for number in range(20):
            service.queue.offer(frame("good", number))
            await service.outcome("answered", number + 1)
    assert service.tally.outcomes == {"answered": 20, "closed": 1}


async def test_a_frame_that_waits_for_its_place_is_replaced_by_a_newer_one():
    recognizer, held = Recognizer(), asyncio.Event()
    tries = iter([RecognizerBusy("full")])

    def behave(_: Frame):
        error = next(tries, None)
        if error is not None:
            raise error
        return held.wait()

    recognizer.behave["a"] = behave
    lone = DispatcherSettings(in_flight=1, backoff_first_s=0.01, backoff_max_s=0.01)
    async with running(recognizer, "a", "b", settings=lone) as service:
        service.queue.offer(frame("a"))
        # Sent again, it has the only place, while the dispatcher waits for a frame without holding one.
        await service.until(lambda: len(recognizer.asked) == 2)
        service.queue.offer(frame("b", 1.0))
        await asyncio.sleep(0.02)
        service.queue.offer(frame("b", 2.0))
        held.set()
        await service.outcome("answered", 2)
    assert recognizer.asked == [("a", 0.0), ("a", 0.0), ("b", 2.0)]
    assert (service.tally.outcomes["replaced"], service.lost) == (1, [])


async def test_frames_that_are_sent_again_and_again_leave_others_their_turn():
    recognizer = Recognizer()

    async def times_out(_: Frame) -> None:
        await asyncio.sleep(0.02)
        raise RecognizerBusy("no answer in time")

    recognizer.behave |= {"file 1": times_out, "file 2": times_out, "file 3": times_out}
    lone = DispatcherSettings(in_flight=1, backoff_first_s=0.001, backoff_max_s=0.001, drain_s=0.1)
    async with running(recognizer, *recognizer.behave, "live", settings=lone) as service:
        for room in recognizer.behave:
            in_thread(service.queue.offer_and_wait, frame(room))
        await service.until(lambda: len(recognizer.asked) > 10)
        for number in range(10):
            before = len(recognizer.asked)
            service.queue.offer(frame("live", number))
            await service.outcome("answered", number + 1)
            # The files' frames each have their turn, and the one that is being tried.
            assert len(recognizer.asked) - before <= 5


async def test_a_refused_frame_is_not_asked_again(caplog):
    recognizer = Recognizer()
    recognizer.behave["a"] = fails(RecognizerError("400 bad_image"))
    async with running(recognizer, "a") as service:
        for number in range(5):
            service.queue.offer(frame("a", number))
            await service.outcome("refused", number + 1)
    assert len(recognizer.asked) == 5
    assert sum("400 bad_image" in message for message in caplog.messages) == 1


async def test_a_fault_of_ours_loses_one_frame_and_is_seen(caplog):
    recognizer = Recognizer()
    recognizer.behave["a"] = fails(ZeroDivisionError("a bug"), times=1)
    async with running(recognizer, "a") as service:
        service.queue.offer(frame("a", 1.0))
        await service.outcome("failed")
        service.queue.offer(frame("a", 2.0))
        await service.outcome("answered")
    assert "a bug" in caplog.text


async def test_a_callback_that_raises_is_counted_and_hurts_nobody(caplog):
    def on_result(_: Detections) -> None:
        raise KeyError("decision")

    async with running(Recognizer(), "a", on_result=on_result) as service:
        for number in range(2):
            service.queue.offer(frame("a", number))
            await service.outcome("answered", number + 1)
    assert service.tally.incidents == {"callback_failed": 2}
    assert "decision" in caplog.text


async def test_a_live_rooms_time_never_runs_backwards():
    recognizer, slow = Recognizer(), asyncio.Event()
    recognizer.behave["a"] = lambda each: slow.wait() if each.pts_s == 1.0 else None
    async with running(recognizer, "a") as service:
        service.queue.offer(frame("a", 1.0))
        await service.until(lambda: recognizer.now == 1)
        service.queue.offer(frame("a", 2.0))
        await service.outcome("answered")
        slow.set()
        await service.outcome("overtaken")
    assert service.seen() == [("a", 2.0)]


async def test_an_answer_for_a_room_closed_meanwhile_is_dropped():
    recognizer, slow = Recognizer(), asyncio.Event()
    recognizer.behave["a"] = lambda _: slow.wait()
    async with running(recognizer, "a") as service:
        service.queue.offer(frame("a", 1.0))
        await service.until(lambda: recognizer.now == 1)
        service.queue.close("a")
        service.queue.open("a")
        slow.set()
        await service.outcome("closed")
        service.queue.offer(frame("a", 0.5))
        await service.outcome("answered")
    assert service.seen() == [("a", 0.5)]


async def test_a_file_loses_nothing_and_keeps_its_order():
    recognizer = Recognizer()
    failures = Counter({1.0: 3, 4.0: 1, 7.0: 2})

    def behave(each: Frame):
        if failures[each.pts_s] > 0:
            failures[each.pts_s] -= 1
            raise RecognizerBusy("full")
        return asyncio.sleep(0.01 if each.pts_s % 2 else 0)

    recognizer.behave["file"] = behave

    def read(queue: LatestFrames) -> bool:
        return all(queue.offer_and_wait(Frame("file", PICTURE, float(number), 0.0)) for number in range(40))

    async with running(recognizer, "file") as service:
        assert await asyncio.to_thread(read, service.queue)
        assert service.seen() == [("file", float(number)) for number in range(40)]
    assert recognizer.most == 1
    assert service.lost == []


async def test_a_file_is_not_tried_for_ever():
    recognizer = Recognizer()
    recognizer.behave["file"] = fails(RecognizerBusy("down"))
    impatient = DispatcherSettings(in_flight=2, backoff_first_s=0.01, backoff_max_s=0.02, lossless_patience_s=0.1)
    async with running(recognizer, "file", settings=impatient) as service:
        in_thread(service.queue.offer_and_wait, Frame("file", PICTURE, 0.0, 0.0))
        await service.outcome("gave_up")
    assert len(recognizer.asked) > 2


async def test_closing_waits_for_the_answers_on_their_way():
    recognizer, held = Recognizer(), asyncio.Event()
    recognizer.behave["a"] = lambda _: held.wait()
    async with running(recognizer, "a") as service:
        service.queue.offer(frame("a", 1.0))
        await service.until(lambda: recognizer.now == 1)
        service.queue.offer(frame("a", 2.0))
        service.queue.close_all()
        await asyncio.sleep(0.01)
        assert service.task is not None
        assert not service.task.done()
        held.set()
    assert service.seen() == [("a", 1.0)]
    assert service.tally.outcomes == {"answered": 1, "closed": 1}


async def test_closing_does_not_wait_for_ever():
    recognizer = Recognizer()
    recognizer.behave["a"] = lambda _: asyncio.sleep(3600)
    async with running(recognizer, "a", settings=DispatcherSettings(drain_s=0.02)) as service:
        service.queue.offer(frame("a"))
        await service.until(lambda: recognizer.now == 1)
    assert [outcome for _, outcome in service.lost] == ["closed"]


async def test_cancelling_drops_what_is_in_flight_at_once():
    recognizer = Recognizer()
    recognizer.behave["a"] = lambda _: asyncio.sleep(3600)
    service = Service(recognizer, "a")
    service.task = asyncio.create_task(service.dispatcher.run())
    service.queue.offer(frame("a"))
    await service.until(lambda: recognizer.now == 1)
    service.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await service.task
    assert recognizer.now == 0
    assert service.tally.outcomes == {"closed": 1}
