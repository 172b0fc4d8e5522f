"""Whether a changed picture shows anything that a recogniser has not been asked about: most do not.

After a look the decision tells what the recogniser saw. From then on

- products that were seen are followed (follow.py): a look is due when one is lost, or when there is nothing but known
  scenery where it should be, else every `confirm_every_s`;
- the rest of the picture is compared with what was looked at before (scenery.py): a look is due when something new
  comes, and for `alert_s` after that every changed frame is looked at, since one look may miss a product: until a
  product is decided on, or what came is gone;
- else a look is due every `familiar_every_s`.

A look that is due may be confined to where the one product in sight was, if nothing is new anywhere else: it costs a
fraction of a whole one. What is new close by may be the product's own turning, or another product: a confined look has
not seen it, so it stays new, and the next look that it makes due is a whole one. Every `confirm_every_s` the whole
picture is looked at all the same. While one more look may announce the product, one that follows a whole one is
confined whatever is new: who brings a product in moves, and the card is to come soon. The look after it is a whole one,
and comes also where the picture holds still. What the last look was not sure of is looked for everywhere.

While a look could decide something, and until the first answer, every changed frame is due. Pictures in which nothing
was seen are remembered as scenery; those of the time of alert, or after a product was lost, are on trial first: if a
product is seen soon after, it may have been in them.
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

#: Pictures remembered in which nothing was seen, in which the same products were, and on trial.
_EMPTY, _OCCUPIED, _ON_TRIAL = 6, 2, 4
#: So long before a product is seen it may have been in the picture already.
_TRIAL_S = 1.5
#: Frames that were asked about and not answered.
_ASKED = 16
#: By how much of its side a box is made larger, each way, where what moves with a product is left out.
_MARGIN = 0.25
#: The same for a look that is confined to a box: what is new within is most often the product's own turning.
_FOCUS_MARGIN = 0.5
#: A look that passed over what was new is followed by a whole one after so long at the latest.
_OWED_AFTER_S = 2.0
_ROUNDING_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class FamiliarSettings:
    """See the module. Times of the stream in seconds, levels as in `novelty`, correlations -1 to 1."""

    confirm_every_s: float = 5.0
    familiar_every_s: float = 6.0
    alert_s: float = 6.0
    novel_levels: float = 20.0
    follow_score: float = 0.6


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known once a frame was looked at.

    Attributes:
        boxes: Products in it by sku, as shares of the picture; None where only a label spoke for one.
        shown: Those of them whose cards are shown: the others may be lost without a look.
        unsure: Those of them that the recogniser would not show by this look alone.
        undecided: One more look could soon announce one of them.
        missing: A product whose card is shown was not seen.
    """

    boxes: Mapping[str, ShareBox | None] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset()
    undecided: bool = False
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a frame need not be looked at.

    `boxes`: where the products went that were followed. `arrival`: something new came while nothing was in sight.
    """

    kind: Literal["familiar", "followed", "due"]
    boxes: Mapping[str, ShareBox] = field(default_factory=dict)
    arrival: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    planes: Planes
    pts_s: float
    on_alert: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class _OnTrial:
    picture: KnownPicture
    pts_s: float


@dataclass(slots=True)
class _Target:
    """A product that is followed: where it was last, in which picture."""

    planes: Planes
    box: ShareBox
    #: Whether it differed from known scenery when it was seen; None: not found out yet.
    stood_out: bool | None = None


_DUE = Judged("due")


class Familiar:
    """Of one room. Not thread-safe: the gate calls it under its lock."""

    def __init__(self, settings: FamiliarSettings) -> None:
        self._settings = settings
        self._empty: deque[KnownPicture] = deque(maxlen=_EMPTY)
        self._occupied: deque[KnownPicture] = deque(maxlen=_OCCUPIED)
        self._on_trial: deque[_OnTrial] = deque(maxlen=_ON_TRIAL)
        self._asked: dict[FrameKey, _Asked] = {}
        self._targets: dict[str, _Target] = {}
        self._last: Seen | None = None
        #: The last look was lost: the next frame is due whatever it shows.
        self._retry = False
        self._alert_until_s = float("-inf")
        #: When the whole of a picture was last asked about, and whether a confined look has been since.
        self._searched_at_s = float("-inf")
        self._was_confined = False
        #: Whether the look that `focus` was asked about passes over something new, and until when a whole one is owed.
        self._passes_over = False
        self._owed_at_s = float("inf")

    def judge(self, planes: Planes, pts_s: float, looked_at_s: float, *, wanted: bool = False) -> Judged:
        """Judge a changed frame of `planes` as `halved` makes them; the last look was at `looked_at_s`.

        `wanted`: the decision asks for a look. It has to, unless all it would know is whether a product is gone, and
        the picture shows that.
        """
        if pts_s < looked_at_s:
            self.forget()
        last, settings = self._last, self._settings
        if last is None or self._retry or last.undecided or self.owes_look(pts_s):
            return _DUE
        if wanted and not last.missing:
            return _DUE
        boxes = self._follow(planes)
        if not last.shown <= boxes.keys():
            return _DUE
        if self._is_new(planes, boxes):
            arrival = not boxes and not last.missing and pts_s >= self._alert_until_s
            self._alert_until_s = pts_s + settings.alert_s
            return Judged("due", arrival=arrival)
        if pts_s < self._alert_until_s and not self._is_new(planes, boxes, on_trial=False):
            self._alert_until_s = float("-inf")  # what had come is gone
        every_s = settings.confirm_every_s if boxes else settings.familiar_every_s
        if pts_s < self._alert_until_s or pts_s - min(looked_at_s, self._searched_at_s) >= every_s - _ROUNDING_S:
            return _DUE
        for sku, box in boxes.items():
            self._targets[sku] = _Target(planes, box, self._targets[sku].stood_out)
        return Judged("followed", boxes) if boxes else Judged("familiar")

    def owes_look(self, pts_s: float) -> bool:
        """Whether a picture has to be looked at by now, changed or not: the last look passed over what was new."""
        return pts_s >= self._owed_at_s

    def focus(self, planes: Planes, pts_s: float) -> ShareBox | None:
        """Where a look at this frame may be confined to; None: it shall be at the whole of it."""
        last, settings = self._last, self._settings
        self._passes_over = False
        if last is None or last.missing or self._retry or len(last.boxes) != 1 or len(self._targets) != 1:
            return None
        if self._owed_at_s < float("inf"):
            return None
        if last.unsure:
            return None  # it would hardly be surer of less of the picture, and search the rest in any case
        if not 0 <= pts_s - self._searched_at_s < settings.confirm_every_s - _ROUNDING_S:
            return None
        [target] = self._targets.values()
        found = follow(target.planes, planes, target.box)
        if found is not None and found.score >= settings.follow_score:
            box = found.box
        elif self._stood_out(target) and not self._stands_out(planes, target.box):
            return None  # it is gone
        else:
            box = target.box
        beside = [_widened(box, _MARGIN if self._was_confined else _FOCUS_MARGIN)]
        levels = settings.novel_levels
        is_new = novelty(planes, [*self._empty, *self._occupied], beside=beside, enough=levels) >= levels
        self._passes_over = is_new and last.undecided and not self._was_confined
        return box if self._passes_over or not is_new else None

    def asked(self, key: FrameKey, planes: Planes, pts_s: float, *, whole: bool = True) -> None:
        """The frame goes to the recogniser; `whole`: not confined to a box."""
        while len(self._asked) >= _ASKED:
            del self._asked[next(iter(self._asked))]
        self._retry = False
        if whole:
            self._searched_at_s, self._owed_at_s = pts_s, float("inf")
        elif self._passes_over:
            self._owed_at_s = pts_s + _OWED_AFTER_S
        self._was_confined = not whole
        self._asked[key] = _Asked(planes, pts_s, pts_s < self._alert_until_s, whole)

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
            self._end_trial(asked.pts_s - _TRIAL_S)
            if asked.whole:
                self._occupied.append(KnownPicture(asked.planes))
            if not seen.undecided:
                self._alert_until_s = float("-inf")
        elif asked.on_alert or seen.missing:
            self._on_trial.append(_OnTrial(KnownPicture(asked.planes), asked.pts_s))
        elif not seen.undecided:
            self._end_trial(asked.pts_s)
            self._empty.append(KnownPicture(asked.planes))

    def lost(self, key: FrameKey | None) -> None:
        """The frame was not answered; None: whichever it was."""
        self._retry = True
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
        self._alert_until_s = self._searched_at_s = float("-inf")
        self._owed_at_s = float("inf")
        self._was_confined = self._passes_over = False

    def _follow(self, planes: Planes) -> dict[str, ShareBox]:
        """Where the products are now, without those that were lost."""
        settings, boxes = self._settings, {}
        for sku, target in self._targets.items():
            found = follow(target.planes, planes, target.box)
            if found is None or found.score < settings.follow_score:
                continue
            if not self._stood_out(target) or self._stands_out(planes, found.box):
                boxes[sku] = found.box
        return boxes

    def _stood_out(self, target: _Target) -> bool:
        if target.stood_out is None:
            target.stood_out = self._stands_out(target.planes, target.box)
        return target.stood_out

    def _stands_out(self, planes: Planes, box: ShareBox) -> bool:
        """Whether there is something else than scenery in the box; False where no scenery is known."""
        levels = self._settings.novel_levels
        return bool(self._empty) and novelty(planes, list(self._empty), enough=levels, within=box) >= levels

    def _end_trial(self, until_s: float) -> None:
        """What was on trial is scenery if it is older than that, else forgotten."""
        self._empty.extend(each.picture for each in self._on_trial if each.pts_s <= until_s)
        self._on_trial.clear()

    def _is_new(self, planes: Planes, boxes: Mapping[str, ShareBox], *, on_trial: bool = True) -> bool:
        known = [*self._empty, *(self._occupied if boxes else ())]
        if on_trial and self._last is not None and not self._last.missing:
            # While a product is missing, what it was not seen in tells nothing: it may have been turned away.
            known += [each.picture for each in self._on_trial]
        beside = [_widened(box, _MARGIN) for box in boxes.values()]
        levels = self._settings.novel_levels
        return novelty(planes, known, beside=beside, enough=levels) >= levels


def _widened(box: ShareBox, margin: float) -> ShareBox:
    across, down = margin * (box[2] - box[0]), margin * (box[3] - box[1])
    return box[0] - across, box[1] - down, box[2] + across, box[3] + down
