"""Prometheus metrics of the hub. docs/live.md has the table; every name begins with `livecart_hub_`.

What happens once for each of thousands of viewers is counted in plain integers, which are read when Prometheus asks.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from livecart.web.hub.messages import FEEDBACK_KINDS, FeedbackKind

_PREFIX = "livecart_hub_"


class HubMetrics(Collector):
    """Counters of one hub, in `registry`. To be used in one event loop."""

    def __init__(self, registry: CollectorRegistry, on_background_failure: Callable[[str], None]) -> None:
        self.background_failure = on_background_failure
        self.messages_sent = 0
        self.messages_dropped = 0
        self.queue_high_water = 0
        self.bus_gaps = 0
        self.feedback_duplicates = 0
        #: Connections that ended.
        self.connections_ended = 0
        self._refused: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._feedback: Counter[str] = Counter(dict.fromkeys(FEEDBACK_KINDS, 0))
        self._feedback_refused: Counter[str] = Counter()
        self._viewers: Callable[[], Mapping[str, int]] = dict
        registry.register(self)

    def watch_viewers(self, by_room: Callable[[], Mapping[str, int]]) -> None:
        self._viewers = by_room

    def refuse(self, reason: str) -> None:
        self._refused[reason] += 1

    def end(self, reason: str) -> None:
        """A connection was ended: "left" by the viewer, else by the hub."""
        self.connections_ended += 1
        self._ended[reason] += 1

    def count_feedback(self, kind: FeedbackKind) -> None:
        self._feedback[kind] += 1

    def refuse_feedback(self, reason: str) -> None:
        self._feedback_refused[reason] += 1

    def collect(self) -> Iterator[Metric]:
        viewers = GaugeMetricFamily(
            f"{_PREFIX}viewers", "Connected now; rooms without any are left out", labels=["room"]
        )
        for room, count in self._viewers().items():
            viewers.add_metric([room], count)
        yield viewers
        yield self._gauge("queue_high_water", "Most messages that ever waited for one viewer", self.queue_high_water)
        for name, what, value in (
            ("messages_sent", "Messages handed to connections", self.messages_sent),
            ("messages_dropped", "Messages that slow viewers did not get", self.messages_dropped),
            ("bus_gaps", "Times that events of the bus were missing", self.bus_gaps),
            ("feedback_duplicates", "Feedback events that had been counted already", self.feedback_duplicates),
        ):
            yield CounterMetricFamily(f"{_PREFIX}{name}", what, value=value)
        yield self._labelled(
            "refused",
            "Not let in: `origin`, `ticket`, `room`, `full`, `room_full`, `ip_full`, `bus` (away), `protocol`, "
            "`closing`",
            "reason",
            self._refused,
        )
        yield self._labelled(
            "ended",
            "`left` by the viewer; by the hub: `slow`, `silent`, `protocol`, `rate`, `room` (removed), `shutdown`",
            "reason",
            self._ended,
        )
        yield self._labelled("feedback", "Feedback events, each once", "kind", self._feedback)
        yield self._labelled(
            "feedback_refused", "Feedback left out: `time`, `rate`, `protocol`", "reason", self._feedback_refused
        )

    @staticmethod
    def _gauge(name: str, what: str, value: float) -> Metric:
        return GaugeMetricFamily(f"{_PREFIX}{name}", what, value=value)

    @staticmethod
    def _labelled(name: str, what: str, label: str, counts: Mapping[str, int]) -> Metric:
        family = CounterMetricFamily(f"{_PREFIX}{name}", what, labels=[label])
        for value, count in counts.items():
            family.add_metric([value], count)
        return family
