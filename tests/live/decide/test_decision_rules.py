"""What holds whatever is seen and asked for: hypothesis drives rooms with made-up hosts, streams and wishes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from livecart.core.types import Detection, Detections
from livecart.live.decide import DecisionSettings, RoomDecision
from tests.live.room_driver import ASIDE, BESIDE, HEIGHT_PX, HELD, ROOM, START_S, WIDTH_PX

SKUS = "ABC"
AGAIN_AFTER_S, AGAIN_EVERY_S = 12.0, 40.0

products = st.builds(
    Detection,
    sku=st.sampled_from(SKUS),
    name=st.just("n"),
    url=st.just("https://shop.example.com/1"),
    confidence=st.floats(0.3, 1.0),
    box_xyxy_px=st.sampled_from([HELD, ASIDE, BESIDE, None]),
)
steps = st.one_of(
    st.tuples(st.just("look"), st.lists(products, max_size=3)),
    st.tuples(st.just("same"), st.none()),
    st.tuples(st.just("again"), st.none()),
    st.tuples(st.just("unchanged"), st.none()),
    st.tuples(st.just("tick"), st.sampled_from([1.0, 20.0])),
    st.tuples(st.just("pts_back"), st.sampled_from([3.0, 5000.0])),
    st.tuples(st.just("mute"), st.tuples(st.sampled_from(SKUS), st.sampled_from([5.0, None]))),
    st.tuples(st.just("unmute"), st.sampled_from(SKUS)),
    st.tuples(st.just("list"), st.sampled_from([None, ("A",), ("A", "B"), ()])),
    st.tuples(st.just("withdraw"), st.sampled_from(SKUS)),
    st.tuples(st.just("restart"), st.none()),
)
#: Hosts mostly show, and mostly the same thing for a while.
scripts = st.lists(st.one_of(st.tuples(st.just("hold"), products), steps), max_size=60)


class Stage:
    """Runs a script; each event is noted with what held when it came."""

    def __init__(self, max_cards: int) -> None:
        self.settings = DecisionSettings(
            max_cards=max_cards, again_after_absence_s=AGAIN_AFTER_S, again_every_s=AGAIN_EVERY_S, silence_s=15
        )
        self.now_s = START_S
        self.pts_s = 100.0
        self.room = RoomDecision(ROOM, self.settings, clock=self.time, monotonic=self.time)
        self.listed: tuple[str, ...] | None = None
        self.muted: dict[str, float] = {}
        self.shown: list[Detection] = []
        self.looks = 0
        self.last_sight_s: dict[str, float] = {}
        #: (event, wall clock, longest absence before it)
        self.events: list = []

    def time(self) -> float:
        return self.now_s

    def run(self, script) -> None:
        for name, value in script:
            getattr(self, f"do_{name}")(value)
        self.note(self.room.close())

    def do_hold(self, detection) -> None:
        for _ in range(4):
            self.do_look([detection])

    def do_look(self, seen) -> None:
        self.shown = seen
        self.now_s += 1
        self.pts_s += 1
        self.do_again(None)

    def do_same(self, _) -> None:
        self.do_look(self.shown)

    def do_again(self, _) -> None:
        look = Detections(ROOM, self.pts_s, self.now_s, WIDTH_PX, HEIGHT_PX, tuple(self.shown), {})
        self.note(self.room.on_result(look))
        self.sight()

    def do_unchanged(self, _) -> None:
        self.now_s += 1
        self.pts_s += 1
        self.note(self.room.on_unchanged(self.pts_s, self.now_s))
        self.sight()

    def do_tick(self, passed_s) -> None:
        self.now_s += passed_s
        self.note(self.room.tick(self.now_s))

    def do_pts_back(self, by_s) -> None:
        self.pts_s -= by_s

    def do_mute(self, value) -> None:
        sku, for_s = value
        self.muted[sku] = float("inf") if for_s is None else self.now_s + for_s
        self.note(self.room.mute(sku, for_s))

    def do_unmute(self, sku) -> None:
        self.muted.pop(sku, None)
        self.note(self.room.unmute(sku))

    def do_list(self, skus) -> None:
        self.listed = skus
        self.note(self.room.set_products(skus))

    def do_withdraw(self, sku) -> None:
        self.note(self.room.withdraw(sku))

    def do_restart(self, _) -> None:
        state = self.room.state()
        self.room = RoomDecision(ROOM, self.settings, clock=self.time, monotonic=self.time, state=state)

    def sight(self) -> None:
        for detection in self.shown:
            self.last_sight_s[detection.sku] = self.now_s

    def note(self, events) -> None:
        for event in events:
            absent_s = self.now_s - self.last_sight_s.get(event.sku, float("-inf"))
            self.events.append((event, self.now_s, absent_s))
            if event.event == "card":
                assert self.listed is None or event.sku in self.listed
                assert self.muted.get(event.sku, 0) <= self.now_s


def played(script, max_cards=1) -> Stage:
    stage = Stage(max_cards)
    stage.run(script)
    return stage


@given(scripts, st.integers(1, 3))
@settings(max_examples=120, deadline=None)
def test_cards_updates_and_withdrawals_follow_each_other(script, max_cards):
    live: dict[str, str] = {}
    used = set()
    for number, (event, _, _) in enumerate(played(script, max_cards).events, start=1):
        assert event.event_id == number
        if event.event == "card":
            assert event.sku not in live
            assert event.card_id not in used
            live[event.sku] = event.card_id
            used.add(event.card_id)
        else:
            assert live[event.sku] == event.card_id
        if event.event == "withdraw":
            assert event.reason is not None
            del live[event.sku]
        assert (event.reason is None) == (event.event != "withdraw")
        assert len(live) <= max_cards
    assert not live, "every card is withdrawn in the end"


@given(scripts, st.integers(1, 3))
@settings(max_examples=120, deadline=None)
def test_a_product_comes_again_only_after_an_absence_or_long_after(script, max_cards):
    # An absence cannot be longer than the wall clock says, so what the room took for one is held against that.
    announced: dict[str, float] = {}
    gaps: dict[str, float] = {}
    stage = Stage(max_cards)
    told = 0
    for name, value in [*script, ("look", [])]:
        before = dict(stage.last_sight_s)
        getattr(stage, f"do_{name}")(value)
        for sku, seen_s in stage.last_sight_s.items():
            if seen_s != before.get(sku):
                gaps[sku] = max(gaps.get(sku, 0.0), seen_s - before.get(sku, seen_s))
        for event, at_s, absent_s in stage.events[told:]:
            if event.event == "withdraw" and event.reason == "stream_lost":
                announced.pop(event.sku, None)
            elif event.event == "card":
                since_s = at_s - announced.get(event.sku, float("-inf"))
                longest_s = max(gaps.get(event.sku, 0.0), absent_s)
                assert since_s >= AGAIN_EVERY_S or longest_s >= AGAIN_AFTER_S
                announced[event.sku] = at_s
                gaps[event.sku] = 0.0
        told = len(stage.events)


@given(st.lists(st.sampled_from("AB"), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_the_same_calls_give_the_same_decisions(answers):
    script = [("look", [Detection(sku, "n", "https://shop.example.com/1", 0.9, HELD)]) for sku in answers]
    runs = [
        [(event.event, event.sku, event.pts_s, event.box) for event, _, _ in played(script).events] for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_memory_does_not_grow_with_what_was_ever_shown():
    stage = Stage(1)
    for number in range(2000):
        stage.do_look([Detection(f"{number // 2}", "n", "https://shop.example.com/1", 0.9, HELD)])
    assert len(stage.room.state().tracks) <= AGAIN_AFTER_S
