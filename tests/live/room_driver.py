"""Drives a RoomDecision with made-up looks and a clock that stands still between them."""

from livecart.core.types import Detection, Detections
from livecart.live.decide import DecisionSettings, RoomDecision

ROOM = "room-1"
WIDTH_PX, HEIGHT_PX = 720, 1280
START_S = 1_700_000_000.0
#: In the hand: middle of the picture, 12 % of it.
HELD = (210.0, 440.0, 510.0, 800.0)
#: On the table at the left edge, 3 %.
ASIDE = (10.0, 1000.0, 150.0, 1200.0)
#: Like ASIDE, at the right edge.
BESIDE = (560.0, 1000.0, 700.0, 1200.0)


def product(sku, box=HELD, confidence=0.9):
    return Detection(sku, f"name of {sku}", f"https://shop.example.com/{sku}", confidence, box, "12.90", "CNY")


def looked(pts_s, *products, captured_at_s=None, size=(WIDTH_PX, HEIGHT_PX)):
    return Detections(
        ROOM, pts_s, START_S + pts_s if captured_at_s is None else captured_at_s, *size, tuple(products), {}
    )


class Driver:
    """One room, whose wall clock follows its frames."""

    def __init__(self, state=None, availability=None, **settings):
        self.now_s = START_S
        self.events = []
        self.settings = DecisionSettings(**settings)
        self.room = RoomDecision(
            ROOM,
            self.settings,
            clock=lambda: self.now_s,
            monotonic=lambda: self.now_s,
            state=state,
            availability=availability,
        )

    def look(self, pts_s, *products, **more):
        look = looked(pts_s, *products, **more)
        self.now_s = max(self.now_s, look.captured_at_s + 0.2)
        return self._note(self.room.on_result(look))

    def unchanged(self, pts_s):
        self.now_s = max(self.now_s, START_S + pts_s)
        return self._note(self.room.on_unchanged(pts_s, START_S + pts_s))

    def call(self, name, *args, **more):
        return self._note(getattr(self.room, name)(*args, **more))

    def show(self, from_s, to_s, *products, step_s=1.0):
        """Look every `step_s` from one time to the other, both included."""
        events = []
        for number in range(round((to_s - from_s) / step_s) + 1):
            events += self.look(from_s + number * step_s, *products)
        return events

    def _note(self, events):
        self.events += events
        return [
            (event.event, event.sku, event.reason) if event.reason else (event.event, event.sku) for event in events
        ]
