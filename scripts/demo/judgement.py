"""Cards that a viewer's browser drew, held against what the clip shows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from contract.boxes import BoxXyxyPx, area, intersection
from contract.card import CardEvent
from demo.browser import Recording, Sample
from livecart.cli.clip_score import EARLY_S, TOLERANCE_S, ClipTruth, ShownProduct

#: Frames without the card for so long are between two cards.
_APART_S = 1.0
#: The card of a frame is on the screen with it: no later (median), whatever the delay of the stream.
LATEST_S = 0.3
#: A card that lies on more of its product than this covers it; so may one in three, where a hand hid half of a product
#: from the recogniser, whose box the card avoids.
MOST_COVERED, MOST_COVERING = 0.1, 1 / 3
#: Shows played from beginning to end that have to get their card.
LEAST_FOUND = 0.6
_LEAST_SHOWS = 3


@dataclass
class Verdict:
    """Result of a run. Times in seconds, shares 0 to 1.

    Attributes:
        shows: played from beginning to end; `found`: of these, with their card drawn.
        right: cards drawn for the product presented; `aside`: for one that only lies in the picture; `wrong`: others.
        covered: for each right card, the share of the product under it as it came up.
        late_s: for each right card, how long after its frame it was drawn.
        captured_to_event_s: from a frame's capture to its card on the bus.
        captured_to_drawn_s: from a frame's capture to its card on the screen, the stream's delay included.
    """

    shows: int = 0
    found: int = 0
    right: int = 0
    aside: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    covered: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    captured_to_event_s: list[float] = field(default_factory=list)
    captured_to_drawn_s: list[float] = field(default_factory=list)

    def problems(self) -> list[str]:
        """Reasons not to pass; empty: it passes."""
        found = [f"wrong card: {name}" for name in self.wrong]
        if self.shows < _LEAST_SHOWS:
            found.append(f"only {self.shows} shows were played")
        elif self.found < LEAST_FOUND * self.shows:
            found.append(f"{self.found} of {self.shows} shows got their card")
        covering = [share for share in self.covered if share > MOST_COVERED]
        if len(covering) > MOST_COVERING * len(self.covered):
            found.append(f"{len(covering)} cards came up over their product, over {max(covering):.0%} of it")
        if self.late_s and float(np.median(self.late_s)) > LATEST_S:
            found.append(f"cards come {np.median(self.late_s):.2f} s (median) after their frame")
        return found


def judge(recording: Recording, events: Sequence[CardEvent], truth: ClipTruth, began_at_s: float) -> Verdict:
    """Hold what was drawn against the clip.

    Args:
        recording: what the browser showed.
        events: all that the hub told meanwhile.
        truth: of the clip, which is sent over and over.
        began_at_s: the playlist's date of the clip's first frame.
    """
    verdict = Verdict()
    drawn = _cards(recording.seen)
    for card in drawn:
        first = card[0]
        at_s = first.date_s - began_at_s
        show = _showing(truth.shows, first.name, at_s, truth.duration_s)
        if show is None:
            lies_there = _showing(truth.bystanders, first.name, at_s, truth.duration_s) is not None
            (verdict.aside if lies_there else verdict.wrong).append(f"{first.name} at {at_s % truth.duration_s:.1f} s")
            continue
        verdict.right += 1
        box = _box_at(show, at_s % truth.duration_s)
        if box is not None:
            verdict.covered.append(_share_under(box, first.box_xyxy_px))
        _measure(verdict, first, events)
    for show, from_s, to_s in _played(truth, recording, began_at_s):
        verdict.shows += 1
        names = [card[0] for card in drawn if card[0].name == show.name]
        verdict.found += any(from_s - EARLY_S <= first.date_s - began_at_s <= to_s + TOLERANCE_S for first in names)
    return verdict


def _measure(verdict: Verdict, drawn: Sample, events: Sequence[CardEvent]) -> None:
    ours = [event for event in events if event.event == "card" and event.name == drawn.name]
    ours = [event for event in ours if event.captured_at_s <= drawn.date_s + _APART_S]
    if not ours:
        return
    event = max(ours, key=lambda event: event.captured_at_s)
    verdict.late_s.append(drawn.date_s - event.captured_at_s)
    verdict.captured_to_event_s.append(event.emitted_at_s - event.captured_at_s)
    verdict.captured_to_drawn_s.append(drawn.now_s - event.captured_at_s)


def _cards(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Samples of one card after another."""
    cards: list[list[Sample]] = []
    for sample in samples:
        last = cards[-1][-1] if cards else None
        if last is not None and last.name == sample.name and sample.date_s - last.date_s < _APART_S:
            cards[-1].append(sample)
        else:
            cards.append([sample])
    return cards


def _showing(products: Sequence[ShownProduct], name: str, at_s: float, duration_s: float) -> ShownProduct | None:
    within_s = at_s % duration_s
    for product in products:
        # A card of the clip's last moments may come up when it has begun anew.
        for time_s in (within_s, within_s + duration_s):
            if product.name == name and product.from_s - EARLY_S <= time_s <= product.to_s + TOLERANCE_S:
                return product
    return None


def _played(truth: ClipTruth, recording: Recording, began_at_s: float) -> list[tuple[ShownProduct, float, float]]:
    """Shows that were played from beginning to end, with their times since the stream began."""
    if recording.from_s is None or recording.to_s is None:
        return []
    from_s, to_s = recording.from_s - began_at_s, recording.to_s - began_at_s
    found = []
    for turn in range(int(to_s // truth.duration_s) + 1):
        for show in truth.shows:
            begins_s, ends_s = (turn * truth.duration_s + time_s for time_s in (show.from_s, show.to_s))
            if from_s <= begins_s and ends_s + TOLERANCE_S <= to_s:
                found.append((show, begins_s, ends_s))
    return found


def _box_at(show: ShownProduct, time_s: float) -> BoxXyxyPx | None:
    """Box of the product at a time of the show; None where it is gone."""
    if not show.boxes or not show.from_s <= time_s <= show.to_s:
        return None
    _, x1, y1, x2, y2 = min(show.boxes, key=lambda box: abs(box[0] - time_s))
    return x1, y1, x2, y2


def _share_under(product: BoxXyxyPx, card: BoxXyxyPx) -> float:
    return intersection(product, card) / max(1.0, area(product))
