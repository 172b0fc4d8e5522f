"""Prometheus metrics of all rooms. docs/live.md has the table; every name begins with `livecart_live_`.

What is counted where it happens are counters and histograms; what others count already (readers, gates, the bus) is
read when Prometheus asks. A room's series go when the room goes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contract.card import CardEvent
from livecart.core.types import RoomView
from livecart.live.outcomes import Incident, Outcome, Stage

_PREFIX = "livecart_live_"
#: Seconds. A gate takes a millisecond, a result a fraction of a second, one that was tried again some seconds.
_STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
#: Whatever a recogniser calls its stages, it makes no more series than this.
_MOST_RECOGNIZER_STAGES = 16


class LiveMetrics:
    """All metrics of one process, in a registry of its own. Implements `FrameMetrics`; any thread may call it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._frames = self._counter(
            "frames",
            "What became of frames that passed the gate: `answered`, `replaced` by a newer one, `stale`, `gave_up`,"
            " `overtaken`, `refused`, `failed`, `closed`",
            "room",
            "outcome",
        )
        self._roi_frames = self._counter(
            "roi_frames",
            "Frames that passed with a place where the archive looks first: that costs a fraction of a whole look",
            "room",
        )
        self._incidents = self._counter(
            "incidents",
            "`busy`: the recogniser turned an attempt away; `link_not_https`: a product left out; "
            "`callback_failed`: a fault of livecart",
            "room",
            "incident",
        )
        self._events = self._counter("card_events", "Card events handed to the bus", "event", "reason")
        self._events_lost = self._counter("card_events_lost", "Card events that the bus did not take")
        self._failures = self._counter(
            "background_failures", "Faults in the background; the log has each. Alert on any", "where"
        )
        self._reloads = self._counter("settings_reloads", "Edits of rooms.toml, `taken` and `refused`", "outcome")
        self._face_searches = self._counter(
            "face_searches",
            "Pictures searched for faces: `found` in time (none is a find), `late`: a card did not wait for it, "
            "`busy`: too many waited, `failed`",
            "outcome",
        )
        self._crops = self._counter(
            "crops",
            "Products cut out, of a `card` or for review (`uncertain`, `close`): `kept`; not made: `face`, `scene` "
            "(nearly the whole picture), `small`, `unsearched` (nobody knows whether a face is in it), `busy`, "
            "`failed`",
            "reason",
            "outcome",
        )
        self._stages = self._histogram(
            "stage_seconds",
            "Of one frame on this side: `gate`, `queue` (age in the queue), `encode`, `request`, `decide`, `faces`",
            "stage",
        )
        self._recognizer = self._histogram("recognizer_seconds", "The recogniser's own stages", "stage")
        self._result_age = self._histogram("captured_to_result_seconds", "From a frame's capture to its decision")
        self._card_age = self._histogram("captured_to_card_seconds", "From the deciding frame's capture to its card")
        self._in_flight = Gauge(f"{_PREFIX}in_flight", "Frames at the recogniser now", registry=self.registry)
        self._concurrency_limit = Gauge(
            f"{_PREFIX}concurrency_limit", "Frames that may be at the recogniser at once", registry=self.registry
        )
        self._load_shedding = Gauge(
            f"{_PREFIX}load_shedding", "1: the machine is short, key frames only", registry=self.registry
        )
        self._rooms: set[str] = set()
        self._recognizer_stages: set[str] = set()

    def open_room(self, room: str) -> None:
        """A room begins: from now on it has series of its own."""
        self._rooms.add(room)

    def forget_room(self, room: str) -> None:
        """The room is gone, and its series with it. What still comes for it counts under the empty room."""
        self._rooms.discard(room)
        self._frames.remove_by_labels({"room": room})
        self._roi_frames.remove_by_labels({"room": room})
        self._incidents.remove_by_labels({"room": room})

    def frame(self, room: str, outcome: Outcome) -> None:
        self._frames.labels(room if room in self._rooms else "", outcome).inc()

    def roi_frame(self, room: str) -> None:
        self._roi_frames.labels(room if room in self._rooms else "").inc()

    def stage(self, stage: Stage, seconds: float) -> None:
        self._stages.labels(stage).observe(seconds)

    def incident(self, room: str, incident: Incident) -> None:
        self._incidents.labels(room if room in self._rooms else "", incident).inc()

    def result(self, age_s: float, stage_seconds: Mapping[str, float]) -> None:
        """A result came to its decision `age_s` after its frame was captured."""
        self._result_age.observe(max(0.0, age_s))
        for stage, seconds in stage_seconds.items():
            if stage in self._recognizer_stages or len(self._recognizer_stages) < _MOST_RECOGNIZER_STAGES:
                self._recognizer_stages.add(stage)
                self._recognizer.labels(stage).observe(seconds)

    def face_search(self, outcome: str) -> None:
        """A search for faces came to its end: see `enricher.FacesOutcome`."""
        self._face_searches.labels(outcome).inc()

    def crop(self, reason: str, outcome: str) -> None:
        """A product was cut out, or was not; `reason` and `outcome` as the metric says."""
        self._crops.labels(reason, outcome).inc()

    def emitted(self, event: CardEvent) -> None:
        self._events.labels(event.event, event.reason or "").inc()
        if event.event == "card":
            self._card_age.observe(max(0.0, event.emitted_at_s - event.captured_at_s))

    def event_lost(self) -> None:
        self._events_lost.inc()

    def in_flight(self, change: int) -> None:
        self._in_flight.inc(change)

    def load(self, *, concurrency_limit: int, is_shedding: bool) -> None:
        """Set the limit of frames at the recogniser at once, and whether load is shed."""
        self._concurrency_limit.set(concurrency_limit)
        self._load_shedding.set(int(is_shedding))

    def reload(self, outcome: str) -> None:
        """The file of rooms was edited: "taken" or "refused"."""
        self._reloads.labels(outcome).inc()

    def background_failure(self, where: str) -> None:
        self._failures.labels(where).inc()

    def outcomes(self, room: str) -> dict[str, int]:
        samples = _samples(self._frames, "_total")
        return {labels["outcome"]: int(value) for labels, value in samples if labels["room"] == room}

    @property
    def stage_seconds(self) -> dict[str, tuple[int, float]]:
        """For each stage how often it was measured, and its seconds added up; the recogniser's with its name before."""
        stages: dict[str, tuple[int, float]] = {}
        for histogram, name in (
            (self._stages, "{stage}"),
            (self._recognizer, "recognizer_{stage}"),
            (self._result_age, "captured_to_result"),
        ):
            sums = _samples(histogram, "_sum")
            for (labels, count), (_, total_s) in zip(_samples(histogram, "_count"), sums, strict=True):
                if count:
                    stages[name.format(**labels)] = (int(count), total_s)
        return stages

    def watch_rooms(self, views: Callable[[], Iterable[RoomView]]) -> None:
        self.registry.register(_RoomsCollector(views))

    def watch_bus(self, stats: Callable[[], Mapping[str, int]]) -> None:
        self.registry.register(_BusCollector(stats))

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}{name}", what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}{name}", what, labels, buckets=_STAGE_BUCKETS_S, registry=self.registry)


def _samples(metric: Counter | Histogram, suffix: str) -> list[tuple[dict[str, str], float]]:
    """Labels and values of a metric's samples of one kind."""
    return [
        (each.labels, each.value)
        for family in metric.collect()
        for each in family.samples
        if each.name.endswith(suffix)
    ]


#: Counters of a room's reader, and where its view has them.
_OF_READERS: dict[str, tuple[str, Callable[[RoomView], int]]] = {
    "sampled_frames": ("Frames sampled from the stream", lambda view: view.frames_sampled),
    "decoded_frames": ("Frames decoded", lambda view: view.frames_decoded),
    "connections": ("Times the stream was opened", lambda view: view.connections),
    "reconnects": ("Times the stream was opened again", lambda view: max(0, view.connections - 1)),
    "stream_failures": ("Times the stream was lost or not to be opened", lambda view: view.failures),
    "stream_stalls": ("Of those, because nothing new came", lambda view: view.stalls),
}


class _RoomsCollector(Collector):
    """Counters that readers and gates keep themselves."""

    def __init__(self, views: Callable[[], Iterable[RoomView]]) -> None:
        self._views = views

    def collect(self) -> Iterator[Metric]:
        views = list(self._views())
        yield self._by_state(views)
        for name, (what, value) in _OF_READERS.items():
            family = CounterMetricFamily(f"{_PREFIX}{name}", what, labels=["room"])
            for view in views:
                family.add_metric([view.id], value(view))
            yield family
        gate = CounterMetricFamily(
            f"{_PREFIX}gate_frames",
            "Looked at: `first`, `changed`, `wanted`, `forced`; skipped: `unchanged`, `background`, `tracked`, "
            "`blurred`, `transition`, `pending` (the result of an earlier one)",
            labels=["room", "reason"],
        )
        for view in views:
            for reason, count in view.gate.items():
                gate.add_metric([view.id, reason], count)
        yield gate

    def _by_state(self, views: Iterable[RoomView]) -> Metric:
        counts = dict.fromkeys(("connecting", "live", "stalled", "reconnecting", "ended", "closed"), 0)
        for view in views:
            counts[view.state] = counts.get(view.state, 0) + 1
        family = GaugeMetricFamily(
            f"{_PREFIX}rooms",
            "Rooms by the state of their stream: `connecting`, `live`, `stalled`, `reconnecting`, `ended`",
            labels=["state"],
        )
        for state, count in counts.items():
            family.add_metric([state], count)
        return family


_BUS = {
    "published": "Events that are on the bus",
    "duplicates": "Published events that were on it already",
    "dropped": "Events that never got onto the bus: the outbox was full, or it was closed while the bus was away",
    "queued": "Events that wait in the outbox",
    "publish_failures": "Times that who publishes found the bus away",
    "read_failures": "Times that who reads found the bus away",
    "subscriber_dropped": "Events that subscribers did not get because their queues were full",
    "unreadable": "Entries on the bus that are no events",
    "subscribers": "Open subscriptions",
}


class _BusCollector(Collector):
    """The bus's own counters; `queued` and `subscribers` go up and down."""

    _GAUGES = frozenset({"queued", "subscribers"})

    def __init__(self, stats: Callable[[], Mapping[str, int]]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        for name, value in self._stats().items():
            kind = GaugeMetricFamily if name in self._GAUGES else CounterMetricFamily
            yield kind(f"{_PREFIX}bus_{name}", _BUS[name], value=value)
