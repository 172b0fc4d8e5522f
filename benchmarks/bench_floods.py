"""Does the server answer, and does another room get its cards, while strangers flood it?

`livecart run` with a catalog and two rooms, both live streams of a clip in which cards come every few seconds; the
recogniser is a stand-in. Strangers flood room 0, each way for some seconds, from a process of their own (floods.py);
meanwhile `/healthz` is asked by new connections, and a viewer of room 1 takes each event's delay since its frame was
captured. First the same without a flood.

    python benchmarks/bench_floods.py                             everything, a minute and a half
    python benchmarks/bench_floods.py --seconds 3 --only pongs    one flood, nothing is written

Exit status: 0, or 1 if `/healthz` took 200 ms or more (p99) under a flood, or fewer than 95 % of room 1's events came
within 1 s.
"""

import argparse
import datetime
import json
import multiprocessing
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks import floods
from benchmarks.bench_soak import stand_in
from benchmarks.room_process import live_source, merged, rooms_toml, running
from benchmarks.stand_in_recognizer import PRODUCTS
from livecart.shop.repositories import products
from tests.server.stand_in import write_clip
from tests.shop.catalog_stores import allow_shop, open_upgraded, patch

ROOT = Path(__file__).resolve().parent.parent
#: What the project promises under a flood.
MOST_HEALTHZ_P99_MS, MOST_CARD_S, LEAST_SHARE_WITHIN = 200.0, 1.0, 0.95
CALM = "no flood"
_PROBE_EVERY_S, _PROBE_TIMEOUT_S = 0.04, 5.0
_HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
_SHOWN_S, _WARM_UP_S = 4.0, 4.0
console = Console(stderr=True, highlight=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each flood (default: %(default)s)")
    parser.add_argument("--only", choices=list(floods.FLOODS), help="one flood")
    options = parser.parse_args()
    names = [options.only] if options.only else list(floods.FLOODS)
    with strangers() as flood, server() as url:
        measured(CALM, url, _WARM_UP_S, flood)
        rows = [measured(name, url, options.seconds, flood) for name in (CALM, *names)]
    report = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "seconds": options.seconds,
        "floods": rows,
        "missed": [f"{row['flood']}: {what}" for row in rows for what in missed(row)],
    }
    show(report)
    if not options.only and options.seconds >= parser.get_default("seconds"):
        output = ROOT / "benchmarks" / "results" / "floods.json"
        output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 1 if report["missed"] else 0


@contextmanager
def server() -> Iterator[str]:
    """Address of `livecart run` with two live rooms and a catalog; ended with the block."""
    with tempfile.TemporaryDirectory(prefix="livecart-bench-") as name:
        folder = Path(name)
        shows = [(sku, index * _SHOWN_S, (index + 1) * _SHOWN_S) for index, sku in enumerate(PRODUCTS)]
        write_clip(folder / "clip.mp4", shows, len(PRODUCTS) * _SHOWN_S)
        database = f"sqlite:///{folder / 'catalog.db'}"
        store = open_upgraded(database)
        allow_shop(store)
        with store.write("bench") as session:
            for sku in PRODUCTS:
                products.create(session, patch(sku))
        store.close()
        with stand_in() as recognizer, live_source(folder / "clip.mp4") as (source, _):
            settings = merged(
                {"recognizer": {"base_url": recognizer}},
                # Each product's card comes again whenever it does.
                {"decision": {"again_every_s": _SHOWN_S, "again_after_absence_s": 0}},
                {"catalog": {"url": database, "folder": str(folder / "catalog")}},
            )
            ahead_ms = [0, round(_SHOWN_S * 500)]
            with running(rooms_toml(settings, source=source, ahead_ms=ahead_ms), folder) as livecart:
                yield livecart.url


@contextmanager
def strangers() -> Iterator[Connection]:
    """A process that floods; what `floods.run` reads and sends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=floods.run, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.terminate()
        process.join(10)


def measured(name: str, url: str, seconds: float, flood: Connection) -> dict[str, Any]:
    """One flood, or none, and what others saw of it."""
    console.print(f"{name} …")
    port = urlsplit(url).port
    assert port is not None
    delays_s: list[float] = []
    over = threading.Event()
    viewer = threading.Thread(target=_view, args=(port, delays_s, over))
    viewer.start()
    if name != CALM:
        flood.send((name, port, seconds + 2))
        assert flood.recv() == "flooding"
    healthz_s = _probe(port, seconds)
    counted = {} if name == CALM else flood.recv()
    over.set()
    viewer.join()
    return {
        "flood": name,
        "healthz": len(healthz_s),
        "healthz_p50_ms": round(statistics.median(healthz_s) * 1000, 1),
        "healthz_p99_ms": round(_quantile(healthz_s, 0.99) * 1000, 1),
        "events": len(delays_s),
        "event_p50_s": round(_quantile(delays_s, 0.5), 3),
        "event_p95_s": round(_quantile(delays_s, 0.95), 3),
        "events_in_time": sum(each <= MOST_CARD_S for each in delays_s),
        **counted,
    }


def missed(row: dict[str, Any]) -> list[str]:
    """Promises that a flood broke."""
    found = []
    if row["healthz_p99_ms"] >= MOST_HEALTHZ_P99_MS:
        found.append(f"/healthz p99 was {row['healthz_p99_ms']:g} ms")
    if row["events_in_time"] < max(1, LEAST_SHARE_WITHIN * row["events"]):
        found.append(f"{row['events_in_time']} of {row['events']} events of the other room came in time")
    return found


def show(report: dict[str, Any]) -> None:
    table = Table(title=f"{report['seconds']:g} s each", title_justify="left")
    keys = ("healthz_p50_ms", "healthz_p99_ms", "events", "event_p50_s", "event_p95_s")
    counts = ("connections", "pieces", "ended_by_server", "not_let_in")
    for heading in ("flood", *keys, *counts):
        table.add_column(heading.replace("_", " "), justify="left" if heading == "flood" else "right")
    for row in report["floods"]:
        table.add_row(row["flood"], *(str(row.get(key, "")) for key in (*keys, *counts)))
    out = Console(width=140, highlight=False)
    out.print(table)
    out.print("missed: " + ("; ".join(report["missed"]) or "nothing"))


def _probe(port: int, seconds: float) -> list[float]:
    """Seconds that `/healthz` took each time, over new connections."""
    taken_s, end_s = [], time.monotonic() + seconds
    while time.monotonic() < end_s:
        began_s = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", port), _PROBE_TIMEOUT_S) as probe:
                probe.sendall(_HEALTHZ)
                answered = probe.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            answered = False
        taken_s.append(time.monotonic() - began_s if answered else _PROBE_TIMEOUT_S)
        time.sleep(_PROBE_EVERY_S)
    return taken_s


def _view(port: int, delays_s: list[float], over: threading.Event) -> None:
    """A viewer of room 1: each event's seconds since its frame was captured."""
    with suppress(ConnectionClosed, OSError), connect(f"ws://127.0.0.1:{port}/rooms/room-1/events") as viewer:
        while not over.is_set():
            with suppress(TimeoutError):
                said = json.loads(viewer.recv(timeout=0.2))
                if said["type"] == "event":
                    delays_s.append(time.time() - said["event"]["captured_at_s"])


def _quantile(values: list[float], share: float) -> float:
    """0 where there is none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


if __name__ == "__main__":
    sys.exit(main())
