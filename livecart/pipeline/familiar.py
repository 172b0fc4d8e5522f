"""Whether a changed picture shows anything that a recogniser has not been asked about: most do not.

After a look the decision tells what the recogniser saw. From then on

- products that were seen are followed (follow.py): a look is due when one is lost, else every `confirm_every_s`;
- the rest of the picture is compared with what was looked at before (scenery.py): a look is due when something new
  comes, and for `alert_s` after that every changed frame is looked at, since one look may miss a product;
- else a look is due every `familiar_every_s`.

While a look could decide something, and until the first answer, every changed frame is due. Pictures in which nothing
was seen are remembered as scenery; those of the time of alert only once it has passed without a product.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from livecart.pipeline.follow import follow
from livecart.pipeline.scenery import KnownPicture, Planes, ShareBox, novelty

#: Presentation and capture time: which frame it is.
FrameKey = tuple[float, float]

#: Pictures remembered in which nothing was seen, in which the same products were, and of the time of alert.
_EMPTY, _OCCUPIED, _ON_TRIAL = 6, 2, 4
#: Frames that were asked about and not answered.
_ASKED = 16
#: By how much of its side a box is made larger, each way, where what moves with a product is left out.
_MARGIN = 0.25
_ROUNDING_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class FamiliarSettings:
    """See the module. Times of the stream in seconds, levels as in `novelty`, correlations -1 to 1."""

    confirm_every_s: float = 4.0
    familiar_every_s: float = 4.0
    alert_s: float = 2.0
    novel_levels: float = 20.0
    follow_score: float = 0.6


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known once a frame was looked at.

    Attributes:
        boxes: Products in it by sku, as shares of the picture; None where only a label spoke for one.
        undecided: One more look could decide something.
        missing: A product whose card is shown was not seen.
    """

    boxes: Mapping[str, ShareBox | None] = field(default_factory=dict)
    undecided: bool = False
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a frame need not be looked at. `boxes`: where the products went that were followed."""

    kind: Literal["familiar", "followed", "due"]
    boxes: Mapping[str, ShareBox] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Asked:
    planes: Planes
    on_alert: bool


@dataclass(slots=True)
class _Target:
    """A product that is followed: where it was last, in which picture."""

    planes: Planes
    box: ShareBox


_DUE = Judged("due")


class Familiar:
    """Of one room. Not thread-safe: the gate calls it under its lock."""

    def __init__(self, settings: FamiliarSettings) -> None:
        self._settings = settings
        self._empty: deque[KnownPicture] = deque(maxlen=_EMPTY)
        self._occupied: deque[KnownPicture] = deque(maxlen=_OCCUPIED)
        self._on_trial: deque[KnownPicture] = deque(maxlen=_ON_TRIAL)
        self._asked: dict[FrameKey, _Asked] = {}
        self._targets: dict[str, _Target] = {}
        self._last: Seen | None = None
        self._alert_until_s = float("-inf")

    def judge(self, planes: Planes, pts_s: float, looked_at_s: float) -> Judged:
        """Judge a changed frame of `planes` as `halved` makes them; the last look was at `looked_at_s`."""
        if pts_s < looked_at_s:
            self.forget()
        last, settings = self._last, self._settings
        if last is None or last.undecided or None in last.boxes.values():
            return _DUE
        boxes: dict[str, ShareBox] = {}
        for sku, target in self._targets.items():
            found = follow(target.planes, planes, target.box)
            if found is None or found.score < settings.follow_score:
                return _DUE
            boxes[sku] = found.box
        if len(boxes) < len(last.boxes):
            return _DUE  # the frame in which they were seen is not known any more
        if self._is_new(planes, boxes):
            self._alert_until_s = pts_s + settings.alert_s
        every_s = settings.confirm_every_s if boxes else settings.familiar_every_s
        if pts_s < self._alert_until_s or pts_s - looked_at_s >= every_s - _ROUNDING_S:
            return _DUE
        for sku, box in boxes.items():
            self._targets[sku] = _Target(planes, box)
        return Judged("followed", boxes) if boxes else Judged("familiar")

    def asked(self, key: FrameKey, planes: Planes, pts_s: float) -> None:
        """The frame goes to the recogniser."""
        while len(self._asked) >= _ASKED:
            del self._asked[next(iter(self._asked))]
        self._asked[key] = _Asked(planes, pts_s < self._alert_until_s)

    def told(self, key: FrameKey, seen: Seen) -> None:
        """What was seen in a frame that was asked about; later ones first is no matter, the newest counts."""
        asked = self._asked.get(key)
        for older in [each for each in self._asked if each <= key]:
            del self._asked[older]
        before, self._last = self._last, seen
        self._targets = {}
        if asked is None:
            return
        self._targets = {sku: _Target(asked.planes, box) for sku, box in seen.boxes.items() if box is not None}
        if before is None or set(before.boxes) != set(seen.boxes):
            self._occupied.clear()
        if seen.boxes:
            self._on_trial.clear()
            self._occupied.append(KnownPicture(asked.planes))
        elif not seen.undecided and not seen.missing:
            self._remember_empty(asked)

    def lost(self, key: FrameKey | None) -> None:
        """The frame was not answered; None: whichever it was."""
        if key is None:
            self._asked.clear()
        else:
            self._asked.pop(key, None)

    def forget(self) -> None:
        """Another stream, or the same one from another time on."""
        for known in (self._empty, self._occupied, self._on_trial):
            known.clear()
        self._asked.clear()
        self._targets = {}
        self._last = None
        self._alert_until_s = float("-inf")

    def _remember_empty(self, asked: _Asked) -> None:
        picture = KnownPicture(asked.planes)
        if asked.on_alert:
            self._on_trial.append(picture)
            return
        self._empty.extend(self._on_trial)
        self._on_trial.clear()
        self._empty.append(picture)

    def _is_new(self, planes: Planes, boxes: Mapping[str, ShareBox]) -> bool:
        known = [*self._empty, *self._on_trial, *(self._occupied if boxes else ())]
        beside = [_widened(box) for box in boxes.values()]
        levels = self._settings.novel_levels
        return novelty(planes, known, beside=beside, enough=levels) >= levels


def _widened(box: ShareBox) -> ShareBox:
    across, down = _MARGIN * (box[2] - box[0]), _MARGIN * (box[3] - box[1])
    return box[0] - across, box[1] - down, box[2] + across, box[3] + down
