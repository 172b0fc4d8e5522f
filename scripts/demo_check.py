"""`make demo` without a person: fails unless a real browser draws the right cards, beside the right products.

It opens the watch page in Chromium, lets the clip play once from beginning to end, and holds every card that was drawn
against what the clip shows. Printed: the time to the first card, and from a frame's capture to its card event and to
its card on the screen. Exit status: 0 passed, 1 not.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from demo.audience import watch
from demo.browser import find_chromium
from demo.errors import DemoError
from demo.judgement import Verdict
from demo.stage import choose_shop, ended_by_signals, staged
from torchserve_plan import ARCHIVE


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console(highlight=False, soft_wrap=True)
    began_s = time.monotonic()

    def tell(what: str) -> None:
        console.print(f"{time.monotonic() - began_s:5.0f} s  {what}")

    try:
        with ended_by_signals():
            chromium = find_chromium()
            shop = choose_shop(None, None, tell)
            with staged(shop, options.archive, tell) as stage:
                tell(f"打开浏览器 a browser opens {stage.system.watch_url}")
                watched = watch(stage, chromium, tell=tell, screenshot=options.screenshot)
    except DemoError as error:
        print(f"demo-check: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo-check: interrupted; nothing is left running", file=sys.stderr)
        return 130
    verdict = watched.verdict
    first_at_s = None if watched.first_card_s is None else watched.first_card_s - began_s
    _report(console, verdict, first_at_s, as_json=options.json)
    for problem in verdict.problems():
        print(f"demo-check: {problem}", file=sys.stderr)
    return 1 if verdict.problems() else 0


def _report(console: Console, verdict: Verdict, first_at_s: float | None, *, as_json: bool) -> None:
    times = {
        "captured_to_event_s": verdict.captured_to_event_s,
        "frame_shown_to_drawn_s": verdict.late_s,
        "captured_to_drawn_s": verdict.captured_to_drawn_s,
    }
    figures: dict[str, Any] = {
        "shows": verdict.shows,
        "found": verdict.found,
        "right": verdict.right,
        "aside": verdict.aside,
        "wrong": verdict.wrong,
        "most_covered": max(verdict.covered, default=None),
        "first_card_s": first_at_s,
    }
    for name, values in times.items():
        p50, p95 = np.percentile(values, [50, 95]) if values else (None, None)
        figures[name] = {"p50": p50 and round(float(p50), 3), "p95": p95 and round(float(p95), 3)}
    if as_json:
        console.print_json(json.dumps(figures, ensure_ascii=False))
        return
    console.print(f"\n{verdict.found} of {verdict.shows} shows got their card; right cards {verdict.right}, ", end="")
    console.print(f"of bystanders {len(verdict.aside)}, wrong {len(verdict.wrong)}")
    covered = _percent(figures["most_covered"])
    console.print(f"first card after {_s(first_at_s)}; most of a product under a card {covered}")
    for name in times:
        console.print(f"{name}: p50 {_s(figures[name]['p50'])}, p95 {_s(figures[name]['p95'])}")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _s(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.2f} s"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--screenshot", type=Path, metavar="FILE", help="write what the page looks like with a card")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
