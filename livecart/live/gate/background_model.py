"""The known parts of a changed picture: products that are tracked, and background. Most changes are nothing else.

After each result the decision says what is in sight. From then on

- products in sight are tracked (template.py): a look is needed when one is lost, or when there is nothing but known
  background where it should be, else every `confirm_every_s`;
- the rest of the picture is compared with earlier ones (foreground.py): a look is needed when something new comes, and
  for `alert_s` after that for every changed frame, since one look may miss a product: until a product is decided on, or
  what came is gone;
- else a look is needed every `background_every_s`.

A look may be limited to a region of interest (`roi`), where the one product in sight was, if nothing is new anywhere
else: it costs a fraction of a whole one. What is new close by may be the product's own turning, or another product: a
look at a region has not seen it, so it stays new, and the next look that it makes necessary is a whole one. Every
`confirm_every_s` the whole picture is looked at all the same. While one more look may announce the product, one that
follows a whole one has a region whatever is new: who brings a product in moves, and the card is to come soon. The look
after it is a whole one, and comes also where the picture holds still. What the last result was uncertain of is looked
for everywhere.

Pictures in which nothing was seen become background; those of the time of alert, or after a product was lost, are
candidates first: if a product is seen soon after, it may have been in them.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from livecart.core.types import FrameKey, InSight, ShareBox
from livecart.live.gate.foreground import KnownPicture, Planes, foreground_score
from livecart.live.gate.settings import GateSettings
from livecart.live.gate.states import GateEvent, GateState, transition
from livecart.live.gate.template import track

#: Pictures remembered in which nothing was seen, in which the same products were, and candidates for background.
_EMPTY, _OCCUPIED, _CANDIDATES = 6, 2, 4
#: So long before a product is seen it may have been in the picture already.
_UNSEEN_S = 1.5
#: By how much of its side a box is made larger, each way, where what moves with a product is left out.
_MARGIN = 0.25
#: The same for a region of interest: what is new within is most often the product's own turning.
_ROI_MARGIN = 0.5
#: A look that passed over what was new is followed by a whole one after so long at the latest.
_WHOLE_AFTER_S = 2.0
_ROUNDING_S = 0.05


@dataclass(frozen=True, slots=True)
class Submitted:
    """A frame that goes to the recogniser, to be handed back with its result.

    `roi`: where it is looked at; None: everywhere. `run`: frames of another run of the stream say nothing of this one.
    """

    key: FrameKey
    planes: Planes
    roi: ShareBox | None
    on_alert: bool
    run: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """A changed frame's.

    `boxes`: where the products are that are tracked, if no look is needed. `arrival`: something new came while nothing
    was in sight.
    """

    needs_look: bool
    boxes: Mapping[str, ShareBox] = field(default_factory=dict)
    arrival: bool = False


@dataclass(slots=True)
class _Track:
    """A product: where it was last, in which picture."""

    planes: Planes
    box: ShareBox
    #: Whether it differed from background when it was seen; None: not found out yet.
    stood_out: bool | None = None


class BackgroundModel:
    """Of one room. Not thread-safe."""

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self._empty: deque[KnownPicture] = deque(maxlen=_EMPTY)
        self._occupied: deque[KnownPicture] = deque(maxlen=_OCCUPIED)
        #: With their times.
        self._candidates: deque[tuple[KnownPicture, float]] = deque(maxlen=_CANDIDATES)
        self._run = 0
        self.state = GateState.UNKNOWN
        self._restart()

    def _restart(self) -> None:
        """Another stream, or the same one from another time on."""
        self._enter(GateEvent.RESTART)
        for known in (self._empty, self._occupied, self._candidates):
            known.clear()
        self._run += 1
        self._tracks: dict[str, _Track] = {}
        self._last = InSight()
        #: The last frame was lost: the next one needs a look whatever it shows.
        self._retry = False
        self._alert_until_s = float("-inf")
        #: When the whole of a picture was last submitted, and when it has to be at the latest.
        self._whole_at_s, self._whole_due_s = float("-inf"), float("inf")
        self._last_had_roi = False

    def assess(self, planes: Planes, pts_s: float, submitted_at_s: float, *, wanted: bool = False) -> Assessment:
        """Assess a changed frame of `planes` as `halved` makes them; the last look was at `submitted_at_s`.

        `wanted`: the decision asks for a look. It has to, unless all it would know is whether a product is gone, and
        the picture shows that.
        """
        if pts_s < submitted_at_s:
            self._restart()
        if pts_s >= self._alert_until_s:
            self._enter(GateEvent.ALERT_OVER)
        is_unsettled = self.state in (GateState.UNKNOWN, GateState.PENDING)
        if is_unsettled or self._retry or self.is_whole_due(pts_s) or (wanted and not self._last.missing):
            return Assessment(needs_look=True)
        boxes = self._tracked(planes)
        event, before = self._event(planes, boxes), self.state
        needs_look = self._enter(event)
        if event is GateEvent.FOREGROUND:
            self._alert_until_s = pts_s + self._settings.alert_s
            arrival = before is GateState.SETTLED and not boxes and not self._last.missing
            return Assessment(needs_look, arrival=arrival)
        if self.state is GateState.SETTLED:
            self._alert_until_s = float("-inf")
        every_s = self._settings.confirm_every_s if boxes else self._settings.background_every_s
        if needs_look or pts_s - min(submitted_at_s, self._whole_at_s) >= every_s - _ROUNDING_S:
            return Assessment(needs_look=True)
        for sku, box in boxes.items():
            self._tracks[sku] = _Track(planes, box, self._tracks[sku].stood_out)
        return Assessment(needs_look=False, boxes=boxes)

    def is_whole_due(self, pts_s: float) -> bool:
        """True where the last look passed over what was new, so that a whole picture needs one by now."""
        return pts_s >= self._whole_due_s

    def submit(self, key: FrameKey, planes: Planes, *, allow_roi: bool) -> Submitted:
        pts_s, _ = key
        roi, passes_over = self._find_roi(planes, pts_s) if allow_roi else (None, False)
        self._retry = False
        if roi is None:
            self._whole_at_s, self._whole_due_s = pts_s, float("inf")
        elif passes_over:
            self._whole_due_s = pts_s + _WHOLE_AFTER_S
        self._last_had_roi = roi is not None
        return Submitted(key, planes, roi, pts_s < self._alert_until_s, self._run)

    def on_result(self, submitted: Submitted | None, in_sight: InSight) -> None:
        """Take a result; results may arrive out of order, the newest arrival wins."""
        before, self._last = self._last, in_sight
        is_first = self.state is GateState.UNKNOWN
        self._tracks = {}
        is_known = submitted is not None and submitted.run == self._run
        has_products = bool(in_sight.boxes) and is_known
        if in_sight.pending:
            self._enter(GateEvent.RESULT_PENDING)
        else:
            self._enter(GateEvent.RESULT_PRODUCTS if has_products else GateEvent.RESULT_EMPTY)
        if submitted is None or not is_known:
            return
        planes, pts_s = submitted.planes, submitted.key[0]
        self._tracks = {sku: _Track(planes, box) for sku, box in in_sight.boxes.items() if box is not None}
        if is_first or set(before.boxes) != set(in_sight.boxes):
            self._occupied.clear()
        if in_sight.boxes:
            self._accept_candidates(pts_s - _UNSEEN_S)
            if submitted.roi is None:
                self._occupied.append(KnownPicture(planes))
            if not in_sight.pending:
                self._alert_until_s = float("-inf")
        elif submitted.on_alert or in_sight.missing:
            self._candidates.append((KnownPicture(planes), pts_s))
        elif not in_sight.pending:
            self._accept_candidates(pts_s)
            self._empty.append(KnownPicture(planes))

    def on_lost(self) -> None:
        """A frame was submitted and has no result."""
        self._retry = True

    def _enter(self, event: GateEvent) -> bool:
        self.state, needs_look = transition(self.state, event)
        return needs_look

    def _event(self, planes: Planes, boxes: Mapping[str, ShareBox]) -> GateEvent:
        """The event that a changed frame is."""
        if not self._last.shown <= boxes.keys():
            return GateEvent.TRACK_LOST
        if self._is_new(planes, boxes):
            return GateEvent.FOREGROUND
        if self.state is GateState.ALERT and self._is_new(planes, boxes, with_candidates=False):
            return GateEvent.CANDIDATE_BACKGROUND
        return GateEvent.BACKGROUND

    def _find_roi(self, planes: Planes, pts_s: float) -> tuple[ShareBox | None, bool]:
        """The region, and whether a look at it passes over something new."""
        last, settings = self._last, self._settings
        if self.state is GateState.UNKNOWN or self._retry or len(last.boxes) != 1 or len(self._tracks) != 1:
            return None, False
        if last.missing or self._whole_due_s < float("inf"):
            return None, False
        if last.uncertain:
            return None, False  # it would hardly be surer of less of the picture, and search the rest in any case
        if not 0 <= pts_s - self._whole_at_s < settings.confirm_every_s - _ROUNDING_S:
            return None, False
        [product] = self._tracks.values()
        found = track(product.planes, planes, product.box)
        if found is not None and found.score >= settings.track_score:
            box = found.box
        elif self._stood_out(product) and not self._stands_out(planes, product.box):
            return None, False  # it is gone
        else:
            box = product.box
        beside = [_widened(box, _MARGIN if self._last_had_roi else _ROI_MARGIN)]
        levels = settings.foreground_levels
        is_new = foreground_score(planes, [*self._empty, *self._occupied], beside=beside, enough=levels) >= levels
        passes_over = is_new and last.pending and not self._last_had_roi
        return box if passes_over or not is_new else None, passes_over

    def _tracked(self, planes: Planes) -> dict[str, ShareBox]:
        """Boxes of the products now, without those that were lost."""
        boxes = {}
        for sku, product in self._tracks.items():
            found = track(product.planes, planes, product.box)
            if found is None or found.score < self._settings.track_score:
                continue
            if not self._stood_out(product) or self._stands_out(planes, found.box):
                boxes[sku] = found.box
        return boxes

    def _stood_out(self, product: _Track) -> bool:
        if product.stood_out is None:
            product.stood_out = self._stands_out(product.planes, product.box)
        return product.stood_out

    def _stands_out(self, planes: Planes, box: ShareBox) -> bool:
        """True where something else than background is in the box; False where no background is known."""
        levels = self._settings.foreground_levels
        return bool(self._empty) and foreground_score(planes, list(self._empty), enough=levels, within=box) >= levels

    def _accept_candidates(self, until_s: float) -> None:
        """Candidates become background if they are older than that, else they are forgotten."""
        self._empty.extend(picture for picture, pts_s in self._candidates if pts_s <= until_s)
        self._candidates.clear()

    def _is_new(self, planes: Planes, boxes: Mapping[str, ShareBox], *, with_candidates: bool = True) -> bool:
        known = [*self._empty, *(self._occupied if boxes else ())]
        if with_candidates and not self._last.missing:
            # While a product is missing, what it was not seen in tells nothing: it may have been turned away.
            known += [picture for picture, _ in self._candidates]
        beside = [_widened(box, _MARGIN) for box in boxes.values()]
        levels = self._settings.foreground_levels
        return foreground_score(planes, known, beside=beside, enough=levels) >= levels


def _widened(box: ShareBox, margin: float) -> ShareBox:
    across, down = margin * (box[2] - box[0]), margin * (box[3] - box[1])
    return box[0] - across, box[1] - down, box[2] + across, box[3] + down
