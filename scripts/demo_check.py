"""`make demo` without a person: fails unless a real browser draws the right cards, beside the right products.

It opens the watch page in Chromium, lets the clip play once from beginning to end, and holds every card that was drawn
against what the clip shows. Printed: the time to the first card, and from a frame's capture to its card event and to
its card on the screen. Exit status: 0 passed, 1 not.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchserve_plan import ROOT

sys.path.insert(0, str(ROOT))

import numpy as np
from rich.console import Console

from demo.browser import Recording, find_chromium, picture, recording, watching
from demo.cards import card_events
from demo.errors import DemoError
from demo.judgement import Verdict, judge
from demo.stage import ARCHIVE, Stage, choose_shop, ended_by_signals, staged
from livecart.pipeline.clip_score import read_truth
from livecart.types import CardEvent

_SIZE_PX = (1280, 900)
#: Beyond the clip's length: the viewer is behind, and the first show may have begun.
_LONGER_S = 14.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
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
                verdict, first_s = _watch(stage, chromium, options.screenshot, tell)
    except DemoError as error:
        print(f"demo-check: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo-check: interrupted; nothing is left running", file=sys.stderr)
        return 130
    first_at_s = None if first_s is None else first_s - began_s
    _report(console, verdict, first_at_s, as_json=options.json)
    for problem in verdict.problems():
        print(f"demo-check: {problem}", file=sys.stderr)
    return 1 if verdict.problems() else 0


def _watch(stage: Stage, chromium: str, screenshot: Path | None, tell: Any) -> tuple[Verdict, float | None]:
    """Watch one turn of the clip; the verdict, and when the first card was drawn (of `time.monotonic`)."""
    assert stage.shop.truth is not None  # noqa: S101 - the drawn clip has one
    truth = read_truth(stage.shop.truth)
    events: list[CardEvent] = []
    threading.Thread(target=_listen, args=(stage.system.events_url, events), daemon=True).start()
    tell(f"打开浏览器 a browser opens {stage.system.watch_url}")
    first_s: float | None = None
    with watching(chromium, stage.system.watch_url, size=_SIZE_PX) as page:
        tell(f"播放中 playing; one turn of the clip takes {truth.duration_s:g} s")
        end_s = time.monotonic() + truth.duration_s + _LONGER_S
        told = 0
        while time.monotonic() < end_s:
            page.wait_for_timeout(250)
            seen = recording(page).seen
            names = [sample.name for at, sample in enumerate(seen) if at == 0 or seen[at - 1].name != sample.name]
            if names and first_s is None:
                first_s = time.monotonic()
            if len(names) > told:
                tell(f"卡片 card: {names[-1]}")
                if screenshot is not None and told < 2:
                    page.wait_for_timeout(600)
                    picture(page, screenshot)
                told = len(names)
        recorded: Recording = recording(page)
    assert stage.station.began_at_s is not None  # noqa: S101 - it has been seen
    return judge(recorded, events, truth, stage.station.began_at_s), first_s


def _listen(url: str, events: list[CardEvent]) -> None:
    for event in card_events(url):
        events.append(event)


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
    console.print(f"first card after {_s(first_at_s)}; most of a product under a card {figures['most_covered']}")
    for name in times:
        console.print(f"{name}: p50 {_s(figures[name]['p50'])}, p95 {_s(figures[name]['p95'])}")


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
