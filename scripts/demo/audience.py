"""Somebody who watches the room in a real browser, while another viewer notes what the hub says."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contract.card import CardEvent
from demo.browser import picture, recording, watching
from demo.cards import card_events
from demo.errors import DemoError
from demo.judgement import Verdict, judge
from demo.stage import Stage
from livecart.cli.clip_score import read_truth

_SIZE_PX = (1280, 900)
#: Beyond the clip's length: the viewer is behind, and the first show may have begun.
_LONGER_S = 14.0
_LOOK_EVERY_MS, _SETTLED_MS = 250, 600


@dataclass(frozen=True)
class Watched:
    """Result of a visit; `first_card_s` is when the first card was drawn, of `time.monotonic`."""

    verdict: Verdict
    first_card_s: float | None


def watch(
    stage: Stage, chromium: str, *, tell: Callable[[str], None], turns: int = 1, screenshot: Path | None = None
) -> Watched:
    """Watch the clip from beginning to end.

    Args:
        stage: with a clip whose truth is known.
        chromium: the browser's path.
        tell: of each card as it is drawn.
        turns: of the clip.
        screenshot: written when the second card is there.

    Raises:
        DemoError: there is no truth, or the browser shows nothing.
    """
    if stage.shop.truth is None:
        raise DemoError("what the stream shows is not known")
    truth = read_truth(stage.shop.truth)
    events: list[CardEvent] = []
    threading.Thread(target=_listen, args=(stage.system.events_url, events), daemon=True).start()
    first_card_s: float | None = None
    with watching(chromium, stage.system.watch_url, size=_SIZE_PX) as page:
        tell(f"播放中 playing; one turn of the clip takes {truth.duration_s:g} s")
        end_s = time.monotonic() + turns * truth.duration_s + _LONGER_S
        told = 0
        while time.monotonic() < end_s:
            page.wait_for_timeout(_LOOK_EVERY_MS)
            seen = recording(page).seen
            names = [sample.name for at, sample in enumerate(seen) if at == 0 or seen[at - 1].name != sample.name]
            if names and first_card_s is None:
                first_card_s = time.monotonic()
            if len(names) > told:
                tell(f"卡片 card: {names[-1]}")
                if screenshot is not None and told < 2:
                    page.wait_for_timeout(_SETTLED_MS)
                    picture(page, screenshot)
                told = len(names)
        recorded = recording(page)
    if stage.station.began_at_s is None:
        raise DemoError(f"nothing was sent: {stage.station.problem}")
    return Watched(judge(recorded, events, truth, stage.station.began_at_s), first_card_s)


def _listen(url: str, events: list[CardEvent]) -> None:
    for event in card_events(url):
        events.append(event)
