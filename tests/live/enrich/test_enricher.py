"""Events wait for faces, in order and not for long; whatever the detector does, they go out."""

import asyncio
import threading
from collections import Counter

import numpy as np
import pytest

from contract.card import CardEvent
from livecart.core.types import Detection, Detections, Frame
from livecart.live.enrich.crops import CropCache
from livecart.live.enrich.enricher import Enricher
from livecart.live.enrich.faces import Face, FaceFinder, FacesSettings
from livecart.live.video.picture import ArrayPicture
from tests.waiting import until

BOX = (100.0, 100.0, 200.0, 300.0)
FACE = (250.0, 20.0, 320.0, 110.0)


class Meter:
    def __init__(self):
        self.searches, self.crops, self.failures, self.seconds = Counter(), Counter(), Counter(), []

    def stage(self, stage, seconds):
        self.seconds.append(seconds)

    def face_search(self, outcome):
        self.searches[outcome] += 1

    def crop(self, reason, outcome):
        self.crops[reason, outcome] += 1

    def background_failure(self, where):
        self.failures[where] += 1


class Detector:
    """Answers when it may; `faces` may be an exception."""

    def __init__(self):
        self.faces, self.may_answer, self.asked = (Face(FACE, 0.9),), threading.Event(), 0
        self.may_answer.set()

    def detect(self, picture):
        self.asked += 1
        assert self.may_answer.wait(10)
        if isinstance(self.faces, Exception):
            raise self.faces
        return self.faces


class Bench:
    """An enricher, what came out of it, and what it was told."""

    def __init__(self, detector, *, most_waiting=16, **settings):
        self.detector, self.meter, self.events, self.reviewed = detector, Meter(), [], []
        self.settings = FacesSettings(**settings)
        self.finder = FaceFinder(self.settings, self.meter, load=lambda _: detector, most_waiting=most_waiting)
        self.cache = CropCache()
        self.now_s = 100.0
        self.enricher = Enricher(
            self.Sink(self.events),
            self.finder,
            self.meter,
            cache=self.cache,
            review=self.Sink(self.reviewed),
            settings=self.settings,
            clock=lambda: self.now_s,
        )
        self.event_id = 0

    class Sink:
        def __init__(self, into):
            self.put = into.append

    def look(self, *events, room="room-1", confidence=0.9, after_s=1.0, picture=True):
        """A look whose decision makes these events of card "a", or of the one named after a colon."""
        self.now_s += after_s
        pixels = ArrayPicture(np.full((360, 640, 3), 90, np.uint8)) if picture else None
        seen = Detection("1001", "noodles", "https://shop.example.com", confidence, BOX, threshold=0.7)
        products = (seen,) if confidence else ()
        look = Detections(room, self.now_s, self.now_s, 640, 360, products, {}, picture=pixels)
        self.enricher.before_decision(look)
        for event in events:
            self.put(event, room)
        self.enricher.after_decision(look)

    def put(self, event, room="room-1"):
        kind, _, card = event.partition(":")
        self.event_id += 1
        fields = dict.fromkeys(("price", "currency", "reason"))
        self.enricher.put(
            CardEvent(
                event=kind, event_id=self.event_id, card_id=card or "a", room=room, sku="1001", name="noodles",
                url="https://shop.example.com", confidence=0.9, box=BOX, frame_width=640, frame_height=360, pts_s=1.0,
                captured_at_s=self.now_s, decided_at_s=1.0, emitted_at_s=1.0, **fields,
            )
        )  # fmt: skip

    def told(self, room="room-1"):
        return [(event.event, event.avoid) for event in self.events if event.room == room]


@pytest.fixture
async def bench():
    made = []

    def make(**settings):
        made.append(Bench(Detector(), **settings))
        return made[-1]

    yield make
    for each in made:
        each.detector.may_answer.set()
        await each.finder.close()


async def test_a_card_says_where_faces_are_and_its_crop_is_kept(bench):
    room = bench()
    room.look("card")
    await until(lambda: len(room.cache) == 1)
    assert room.told() == [("card", (FACE,))]
    crop = room.cache.crop_of("a")
    assert (crop.room, crop.sku, crop.card_id, crop.confidence, crop.reason) == ("room-1", "1001", "a", 0.9, "card")
    assert crop.captured_at_s == room.now_s
    assert crop.jpeg.startswith(b"\xff\xd8")
    assert room.meter.searches == {"found": 1}
    assert room.meter.crops == {("card", "kept"): 1}


async def test_no_face_is_known_to_be_none(bench):
    room = bench()
    room.detector.faces = ()
    room.look("card")
    await until(room.told)
    assert room.told() == [("card", ())]


async def test_a_rooms_events_keep_their_order_and_other_rooms_do_not_wait(bench):
    room = bench()
    room.detector.may_answer.clear()
    room.look("card")
    room.put("withdraw")
    room.put("withdraw", room="room-2")
    await asyncio.sleep(0.02)
    assert (room.told(), room.told("room-2")) == ([], [("withdraw", None)])
    room.detector.may_answer.set()
    await until(lambda: len(room.told()) == 2)
    assert room.told() == [("card", (FACE,)), ("withdraw", None)]


async def test_a_card_waits_no_longer_than_it_may(bench):
    room = bench(wait_s=0.05)
    room.detector.may_answer.clear()
    room.look("card")
    await until(room.told)
    assert room.told() == [("card", None)]
    room.detector.may_answer.set()
    await until(lambda: room.meter.searches["late"])
    # The faces came too late for the card, but not for its crop, nor for the next event.
    await until(lambda: room.cache.crop_of("a"))
    room.put("update")
    assert room.told()[1:] == [("update", (FACE,))]


async def test_a_still_picture_is_searched_once(bench):
    room = bench()
    room.look("card")
    await until(room.told)
    for _ in range(3):
        room.now_s += 10
        room.put("update")
    assert room.detector.asked == 1
    assert room.told()[1:] == [("update", (FACE,))] * 3


async def test_updates_are_searched_once_a_second_and_repeat_the_last_between(bench):
    room = bench()
    room.look("card")
    await until(room.told)
    moved = (10.0, 10.0, 50.0, 60.0)
    room.detector.faces = (Face(moved, 0.8),)
    room.look("update", after_s=0.4)
    assert room.told()[1:] == [("update", (FACE,))]
    room.look("update", after_s=0.7)
    await until(lambda: len(room.told()) == 3)
    assert room.told()[2:] == [("update", (moved,))]
    assert room.detector.asked == 2


async def test_a_frame_that_was_followed_without_a_look_is_searched_for_its_update(bench):
    room = bench()
    room.look("card")
    await until(lambda: room.cache.crop_of("a"))
    moved = (10.0, 10.0, 50.0, 60.0)
    room.detector.faces = (Face(moved, 0.8),)
    room.now_s += 1
    pixels = ArrayPicture(np.full((360, 640, 3), 80, np.uint8))
    room.enricher.saw_frame(Frame("room-1", pixels, room.now_s, room.now_s))
    room.put("update")
    room.put("card:b")
    await until(lambda: len(room.told()) == 3)
    assert room.told()[1:] == [("update", (moved,)), ("card", (moved,))]
    # The product's box is that of the look, whose picture is another one.
    assert room.meter.crops == {("card", "kept"): 1, ("card", "unsearched"): 1}


async def test_looks_without_events_are_not_searched(bench):
    room = bench()
    for _ in range(5):
        room.look()
    await asyncio.sleep(0.02)
    assert room.detector.asked == 0
    room.look(confidence=0.0)
    assert room.enricher._rooms["room-1"].detections is None


async def test_what_was_known_long_ago_is_not_told(bench):
    room = bench()
    room.look("card")
    await until(room.told)
    room.look("update", picture=False, after_s=29)
    room.look("update", picture=False, after_s=2)
    assert room.told()[1:] == [("update", (FACE,)), ("update", None)]


async def test_a_failing_detector_is_counted_and_cards_go_without(bench, caplog):
    room = bench()
    room.detector.faces = RuntimeError("out of memory")
    room.look("card")
    room.look("card:b")
    await until(lambda: len(room.told()) == 2)
    assert room.told() == [("card", None)] * 2
    assert room.meter.searches == {"failed": 2}
    assert room.meter.failures == {"faces": 2}
    assert len(room.cache) == 0
    assert room.meter.crops == {("card", "unsearched"): 2}
    assert [record.message for record in caplog.records].count(
        "cards go out without knowing of faces, and no crops are kept: out of memory"
    ) == 1
    room.detector.faces = (Face(FACE, 0.9),)
    room.look("card:c")
    await until(lambda: room.cache.crop_of("c"))
    assert room.told()[2:] == [("card", (FACE,))]


async def test_no_more_pictures_wait_than_may(bench):
    room = bench(most_waiting=2)
    room.detector.may_answer.clear()
    for number in range(4):
        room.look("card", room=f"room-{number}")
    assert room.meter.searches == {"busy": 2}
    assert [room.told(f"room-{number}") for number in (2, 3)] == [[("card", None)]] * 2
    assert room.meter.crops == {("card", "unsearched"): 2}


async def test_a_crop_with_a_face_is_dropped_and_counted(bench):
    room = bench()
    room.detector.faces = (Face((110.0, 110.0, 190.0, 200.0), 0.5),)
    room.look("card")
    await until(lambda: room.meter.crops)
    assert room.meter.crops == {("card", "face"): 1}
    assert len(room.cache) == 0


async def test_an_uncertain_product_goes_to_review_once_it_is_gone(bench):
    room = bench()
    room.look(confidence=0.6)
    await until(lambda: room.meter.crops["uncertain", "kept"])
    room.look(confidence=0.61)
    room.look(confidence=0.0)
    room.look(confidence=0.0, after_s=5)
    assert [(crop.sku, crop.card_id, crop.reason) for crop in room.reviewed] == [("1001", None, "uncertain")]
    assert len(room.cache) == 0


async def test_a_room_that_ends_waits_for_its_last_faces(bench):
    room = bench()
    room.detector.may_answer.clear()
    room.look("card")
    room.put("withdraw")
    drain = asyncio.create_task(room.enricher.drain("room-1"))
    await asyncio.sleep(0.02)
    assert not drain.done()
    room.detector.may_answer.set()
    await asyncio.wait_for(drain, 5)
    assert room.told() == [("card", (FACE,)), ("withdraw", None)]
    await room.enricher.drain("a room without events")


async def test_a_room_that_goes_leaves_nothing_waiting(bench):
    room = bench()
    room.detector.may_answer.clear()
    room.look("card")
    room.put("withdraw")
    room.enricher.forget_room("room-1")
    assert room.told() == [("card", None), ("withdraw", None)]
    room.detector.may_answer.set()
    await until(lambda: room.meter.searches)
    assert room.told() == [("card", None), ("withdraw", None)]


async def test_without_a_finder_events_pass_as_they_are():
    events, meter, cache = [], Meter(), CropCache()
    enricher = Enricher(Bench.Sink(events), None, meter, cache=cache)
    room = Bench(Detector())
    room.enricher = enricher
    room.look("card", "update")
    assert [event.avoid for event in events] == [None, None]
    assert (meter.searches, meter.crops, len(cache)) == ({}, {}, 0)
    await room.finder.close()
