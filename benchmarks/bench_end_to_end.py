"""Frame captured -> card event -> drawn, of the whole system: one room, a real browser, and up to 1,000 viewers in all.

The demo's clip is sent as a live stream; TorchServe, livecart, the catalog and the browser run on this machine. First
the browser watches alone, then among 999 others by WebSocket (benchmarks/viewer_crowd.py). Printed, p50, p95, p99:

    captured_to_event   from a frame's capture to its card event on the bus
    event_to_viewers    from there to each viewer of the crowd: the hub
    shown_to_drawn      from the moment the frame is on the viewer's screen to its card: 0 is on time
    captured_to_drawn   from capture to the card on the screen; the delay of HLS, seconds, is in it

    python benchmarks/bench_end_to_end.py --turns 3 --viewers 1000

Exit status: 0, or 1 if a card was wrong, or came more than 300 ms (median) after its frame.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from viewer_crowd import crowd

from demo.audience import watch
from demo.browser import find_chromium
from demo.errors import DemoError
from demo.judgement import Verdict
from demo.stage import Stage, choose_shop, ended_by_signals, staged
from torchserve_plan import ARCHIVE

ROOT = Path(__file__).resolve().parent.parent


_SHARES = (50, 95, 99)


def measure(stage: Stage, chromium: str, *, viewers: int, turns: int) -> tuple[Verdict, dict[str, Any]]:
    """The browser among `viewers` in all; the verdict, and times by name."""
    arrivals: list[float] = []
    with ExitStack() as stack:
        others = stack.enter_context(crowd(stage.system.events_url, viewers - 1)) if viewers > 1 else None
        verdict = watch(stage, chromium, turns=turns, tell=_tell).verdict
        if others is not None:
            arrivals = others.take()
    times = {
        "captured_to_event": verdict.captured_to_event_s,
        "event_to_viewers": arrivals,
        "shown_to_drawn": verdict.late_s,
        "captured_to_drawn": verdict.captured_to_drawn_s,
    }
    figures: dict[str, Any] = {
        name: {"count": len(values), **{f"p{share}_s": _percentile(values, share) for share in _SHARES}}
        for name, values in times.items()
    }
    return verdict, {"viewers": viewers, "shows": verdict.shows, "found": verdict.found, **figures}


def _percentile(values: list[float], share: int) -> float | None:
    return round(float(np.percentile(values, share)), 4) if values else None


def _tell(what: str) -> None:
    print(f"  {what}", file=sys.stderr)


def _table(report: dict[str, Any]) -> Table:
    table = Table(title=f"{report['viewers']} viewers: {report['found']} of {report['shows']} shows with their card")
    for column in ("seconds", "count", *(f"p{share}" for share in _SHARES)):
        table.add_column(column, justify="left" if column == "seconds" else "right")
    for name, figures in report.items():
        if isinstance(figures, dict):
            shown = ["–" if (value := figures[f"p{share}_s"]) is None else f"{value:.3f}" for share in _SHARES]
            table.add_row(name, str(figures["count"]), *shown)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3, help="of the 48 s clip, each time (default: %(default)s)")
    parser.add_argument("--viewers", type=int, default=1000, help="in all, the browser among them (default: 1000)")
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--output", type=Path, help="also write the report there")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    reports, problems = [], []
    try:
        with ended_by_signals():
            chromium = find_chromium()
            shop = choose_shop(None, None, _tell)
            with staged(shop, options.archive, _tell, most_viewers=options.viewers + 10) as stage:
                for viewers in sorted({1, options.viewers}):
                    verdict, report = measure(stage, chromium, viewers=viewers, turns=options.turns)
                    reports.append(report)
                    problems += verdict.problems()
    except (DemoError, RuntimeError) as error:
        print(f"bench_end_to_end: {error}", file=sys.stderr)
        return 1
    done = {"cores": os.cpu_count(), "load_1_min": round(os.getloadavg()[0], 1), "runs": reports, "problems": problems}
    text = json.dumps(done, indent=1, ensure_ascii=False)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
    if options.json:
        print(text)
    else:
        console = Console(highlight=False)
        for report in reports:
            console.print(_table(report))
        console.print(f"{done['cores']} cores, load {done['load_1_min']}", *problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
