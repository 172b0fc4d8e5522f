"""Work and cost of rooms between two moments: livecart's own metrics, and processor time by process and thread."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.room_process import Livecart

_PREFIX = "livecart_live_"
#: Name of a metric and its labels.
SeriesKey = tuple[str, frozenset[tuple[str, str]]]
_MIB = 1 << 20
#: Workers that use less of a core than this, for so long, wait for requests.
_IDLE_SHARE, _IDLE_FOR_S = 0.05, 3.0

#: What the threads of livecart do, by the beginning of their names; the first thread is the event loop.
THREADS = {"ingest-": "ingest and gate", "livecart-jpeg": "encode"}
EVENT_LOOP, OTHER_THREADS = "requests, decision, bus", "other threads"


@dataclass(frozen=True, slots=True)
class Programs:
    """The processes that are measured."""

    livecart: Livecart
    #: TorchServe's Java process; its workers are its children.
    torchserve: psutil.Process
    source: psutil.Process


@dataclass(frozen=True, slots=True)
class Moment:
    """Counters as they stood at one time. `cpu_s`: seconds of processor time by who used them."""

    at_s: float
    series: dict[SeriesKey, float]
    cpu_s: dict[str, float]
    machine_busy_s: float


def moment_of(programs: Programs) -> Moment:
    series = {
        (sample.name.removeprefix(_PREFIX), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(programs.livecart.metrics())
        for sample in family.samples
    }
    cpu_s = _threads_cpu_s(programs.livecart.process)
    cpu_s["TorchServe: front end"] = _cpu_s(programs.torchserve)
    cpu_s["TorchServe: workers"] = sum(_cpu_s(child) for child in programs.torchserve.children(recursive=True))
    cpu_s["source"] = _cpu_s(programs.source)
    busy = psutil.cpu_times()
    idle_s = busy.idle + getattr(busy, "iowait", 0.0)
    return Moment(time.monotonic(), series, cpu_s, sum(busy) - idle_s - getattr(busy, "guest", 0.0))


def wait_idle(torchserve: psutil.Process, timeout_s: float = 180.0) -> bool:
    """Wait until TorchServe's workers have nothing to do; False where they still have after `timeout_s`."""
    give_up_s = time.monotonic() + timeout_s
    while time.monotonic() < give_up_s:
        workers = torchserve.children(recursive=True)
        before_s = sum(_cpu_s(worker) for worker in workers)
        time.sleep(_IDLE_FOR_S)
        if sum(_cpu_s(worker) for worker in workers) - before_s < _IDLE_SHARE * _IDLE_FOR_S:
            return True
    return False


def memory_mib(programs: Programs) -> dict[str, float]:
    """Memory that is each program's own (USS), MiB."""
    workers = programs.torchserve.children(recursive=True)
    return {
        "livecart": round(programs.livecart.process.memory_full_info().uss / _MIB, 1),
        "TorchServe: front end": round(programs.torchserve.memory_full_info().uss / _MIB, 1),
        "TorchServe: workers": round(sum(worker.memory_full_info().uss for worker in workers) / _MIB, 1),
    }


class Between:
    """Differences between two moments."""

    def __init__(self, before: Moment, after: Moment) -> None:
        self.seconds = after.at_s - before.at_s
        self.cpu_s = {who: after.cpu_s[who] - before.cpu_s.get(who, 0.0) for who in after.cpu_s}
        self.machine_busy_s = after.machine_busy_s - before.machine_busy_s
        self._grown = {key: value - before.series.get(key, 0.0) for key, value in after.series.items()}

    def counted(self, name: str, label: str) -> dict[str, int]:
        """A counter's growth over all rooms, by one of its labels; without what did not happen."""
        totals: dict[str, float] = defaultdict(float)
        for (metric, labels), value in self._grown.items():
            if metric == f"{name}_total":
                totals[dict(labels).get(label, "")] += value
        return {key: round(value) for key, value in sorted(totals.items()) if value}

    def mean_ms(self, name: str) -> dict[str, float]:
        """Mean of a histogram of seconds, in milliseconds, by its label `stage`."""
        means = {}
        for (metric, labels), seconds in self._grown.items():
            count = self._grown.get((f"{name}_count", labels), 0.0)
            if metric == f"{name}_sum" and count:
                means[dict(labels).get("stage", "")] = round(1000 * seconds / count, 2)
        return means

    def distribution(self, name: str) -> Distribution:
        at_most: dict[float, float] = defaultdict(float)
        for (metric, labels), value in self._grown.items():
            if metric == f"{name}_bucket":
                at_most[float(dict(labels)["le"])] += value
        return Distribution(dict(sorted(at_most.items())))


@dataclass(frozen=True, slots=True)
class Distribution:
    """Cumulative counts by each bucket's upper bound in seconds."""

    at_most: Mapping[float, float]

    @property
    def count(self) -> int:
        return round(self.at_most.get(math.inf, 0.0))

    def share_within(self, bound_s: float) -> float:
        """Share of the values at most `bound_s`, which must be a bucket's bound: exact."""
        return self.at_most[bound_s] / self.count if self.count else 0.0

    def quantile_s(self, share: float) -> float | None:
        """The value that `share` of all keep, interpolated within its bucket as Prometheus does; None without values.

        Above the last finite bound that bound is given.
        """
        wanted, low_s, below = share * self.count, 0.0, 0.0
        for bound_s, at_most in self.at_most.items():
            if at_most >= wanted and at_most > below:
                if math.isinf(bound_s):
                    return low_s
                return low_s + (bound_s - low_s) * (wanted - below) / (at_most - below)
            low_s, below = bound_s, at_most
        return None

    def summary(self) -> dict[str, Any]:
        """Count and the usual quantiles, seconds."""
        return {
            "count": self.count,
            **{f"p{round(100 * share)}_s": _rounded(self.quantile_s(share)) for share in (0.5, 0.95)},
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _threads_cpu_s(process: psutil.Process) -> dict[str, float]:
    """Seconds of processor time of a `named_threads.py` process, by what its threads do."""
    used: dict[str, float] = dict.fromkeys((*THREADS.values(), EVENT_LOOP, OTHER_THREADS), 0.0)
    for thread in process.threads():
        used[_group(process.pid, thread.id)] += thread.user_time + thread.system_time
    return used


def _group(pid: int, thread_id: int) -> str:
    if thread_id == pid:
        return EVENT_LOOP
    try:
        name = Path(f"/proc/{pid}/task/{thread_id}/comm").read_text()
    except OSError:  # it ended meanwhile
        name = ""
    return next((group for beginning, group in THREADS.items() if name.startswith(beginning)), OTHER_THREADS)
