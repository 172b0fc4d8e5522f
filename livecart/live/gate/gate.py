"""Lets frames through that are worth a look: one gate a room.

A frame is compared with the last one that was submitted, so that slow drifts add up until they count. One that changed
but is blurred, or half-way through a dissolve, waits for the next, sharp one, for at most `max_wait_s`. One that
changed only in ways already known (background_model.py) is skipped for some seconds.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

from livecart.core.types import Frame, InSight, ShareBox
from livecart.live.gate.background_model import BackgroundModel, Submitted
from livecart.live.gate.difference import Reference
from livecart.live.gate.foreground import halved
from livecart.live.gate.settings import GateSettings
from livecart.live.gate.signature import Signature, signature

#: Why a frame needs a look: the first of the stream or of a new picture size; changed since the last look; wanted by
#: the decision; forced, since the last look is long ago or the stream's time jumped back.
LookReason = Literal["first", "changed", "wanted", "forced"]
#: Why it does not: as the last one submitted; changed, but nothing in it is new; the same, and products were tracked; a
#: better picture of the same is waited for; a result is pending, which may say where the next look may be limited to.
SkipReason = Literal["unchanged", "background", "tracked", "blurred", "transition", "pending"]
Reason: TypeAlias = LookReason | SkipReason
LOOK_REASONS: tuple[LookReason, ...] = get_args(LookReason)
SKIP_REASONS: tuple[SkipReason, ...] = get_args(SkipReason)

#: Sampled frames whose sharpness is the room's usual one.
_HISTORY = 24
_LEAST_HISTORY = 3
#: Presentation times are rounded by containers: a frame 1 s later may be 0.967 s later.
_ROUNDING_S = 0.05


@dataclass(frozen=True, slots=True)
class GateDecision:
    """The decision about a frame, and why.

    `boxes`: where the products in sight went, if it is "tracked". `arrival`: something new came while nothing was in
    sight; it may not have come in as a whole yet. `submitted`: to be handed back with the result.
    """

    reason: Reason
    boxes: Mapping[str, ShareBox] = field(default_factory=dict)
    arrival: bool = False
    submitted: Submitted | None = None

    @property
    def needs_look(self) -> bool:
        return self.reason in LOOK_REASONS

    @property
    def says_nothing_new(self) -> bool:
        """True where the frame counts for the decision as the one submitted last."""
        return self.reason in ("unchanged", "background", "tracked")

    @property
    def roi(self) -> ShareBox | None:
        """The region that the recogniser may limit itself to; None: the whole frame."""
        return None if self.submitted is None else self.submitted.roi

    def with_roi(self, frame: Frame) -> Frame:
        """The frame, to be looked at where the decision says."""
        if self.roi is None:
            return frame
        wide, high = frame.picture.width_px, frame.picture.height_px
        x1, y1, x2, y2 = self.roi
        return replace(frame, roi_xyxy_px=(x1 * wide, y1 * high, x2 * wide, y2 * high))


@dataclass(frozen=True, slots=True)
class Result:
    """Products in sight after a frame's result, and the gate's record of the frame; None: no longer known."""

    submitted: Submitted | None
    in_sight: InSight


class FrameGate:
    """Decides about the frames of one room, in order. `decide` from one thread; everything else from any."""

    def __init__(self, settings: GateSettings | None = None) -> None:
        self.settings = settings if settings is not None else GateSettings()
        self._reference: Reference | None = None
        self._submitted_at_s = 0.0
        self._held_since_s: float | None = None
        self._sharpness: deque[tuple[float, float]] = deque(maxlen=_HISTORY)
        self._wanted = False
        self._counts: Counter[Reason] = Counter()
        self._background = BackgroundModel(self.settings) if self.settings.track else None
        #: What came from other threads since the last frame, in order.
        self._inbox: deque[Result | Literal["lost", "wanted"]] = deque()

    @property
    def counts(self) -> Counter[Reason]:
        return self._counts.copy()

    def want_look(self) -> None:
        """Let the next good frame through even if it is unchanged: the decision would know more."""
        self._inbox.append("wanted")

    def on_result(self, result: Result) -> None:
        self._inbox.append(result)

    def on_lost(self) -> None:
        self._inbox.append("lost")

    def decide(self, frame: Frame, *, in_flight: bool = False) -> GateDecision:
        """Decide whether `frame` is worth a look. One that is becomes what later frames are compared with.

        `in_flight`: the result of an earlier one is pending. After it a look may be limited to a region, and costs a
        third; two at once would take each other's time.
        """
        self._read_inbox()
        copy = signature(frame.picture)
        decision = self._decision(copy, frame.pts_s)
        if in_flight and self._background is not None and decision.reason in ("changed", "wanted"):
            decision = GateDecision("pending")
        if decision.needs_look:
            self._wanted = False
            self._reference, self._submitted_at_s = Reference(copy), frame.pts_s
            decision = replace(decision, submitted=self._submit(frame, copy, decision))
        if decision.needs_look or decision.says_nothing_new:
            self._held_since_s = None
        if copy.sharpness is not None:
            self._sharpness.append(copy.sharpness)
        self._counts[decision.reason] += 1
        return decision

    def _read_inbox(self) -> None:
        while self._inbox:
            news = self._inbox.popleft()
            if news == "wanted":
                self._wanted = True
            elif self._background is None:
                continue
            elif isinstance(news, Result):
                self._background.on_result(news.submitted, news.in_sight)
            else:
                self._background.on_lost()

    def _submit(self, frame: Frame, copy: Signature, decision: GateDecision) -> Submitted | None:
        if self._background is None:
            return None
        allow_roi = decision.reason in ("changed", "wanted") and not decision.arrival
        return self._background.submit(frame.key, halved(copy.planes), allow_roi=allow_roi)

    def _decision(self, copy: Signature, pts_s: float) -> GateDecision:
        reason = self._reason_to_look(copy, pts_s)
        if reason is None:
            return GateDecision("unchanged")
        if self._background is None or reason != "changed":
            return GateDecision(self._if_sharp(copy, pts_s, reason))
        planes = halved(copy.planes)
        seen = self._background.assess(planes, pts_s, self._submitted_at_s, wanted=self._wanted)
        if not seen.needs_look:
            return GateDecision("tracked" if seen.boxes else "background", seen.boxes)
        return GateDecision(self._if_sharp(copy, pts_s, reason), arrival=seen.arrival)

    def _reason_to_look(self, copy: Signature, pts_s: float) -> LookReason | None:
        reference, settings = self._reference, self.settings
        if reference is None or reference.signature.planes.shape != copy.planes.shape:
            return "first"
        difference = reference.difference(copy)
        threshold = settings.window_levels + settings.noise_factor * difference.noise_levels
        if difference.hash_distance >= settings.hash_bits or difference.strongest_levels >= threshold:
            return "changed"
        if self._wanted or (self._background is not None and self._background.is_whole_due(pts_s)):
            return "wanted"
        if not 0 <= pts_s - self._submitted_at_s < settings.forced_every_s - _ROUNDING_S:
            return "forced"
        return None

    def _if_sharp(self, copy: Signature, pts_s: float, reason: LookReason) -> Reason:
        """Look, or wait for a better picture of the same thing."""
        flaw = None if reason == "first" else self._flaw(copy)
        if flaw is None:
            return reason
        if self._held_since_s is None or pts_s < self._held_since_s:
            self._held_since_s = pts_s
        if pts_s - self._held_since_s >= self.settings.max_wait_s - _ROUNDING_S:
            # It does not get any sharper: from now on this is how the room looks.
            self._sharpness.clear()
            return reason
        return flaw

    def _flaw(self, copy: Signature) -> SkipReason | None:
        if copy.sharpness is not None and len(self._sharpness) >= _LEAST_HISTORY:
            usual = (sorted(past)[len(past) // 2] for past in zip(*self._sharpness, strict=True))
            share = min(now / before for now, before in zip(copy.sharpness, usual, strict=True))
            if share < self.settings.blurred_share:
                return "blurred"
        if self._reference is not None and self._reference.shines_through(copy):
            return "transition"
        return None
