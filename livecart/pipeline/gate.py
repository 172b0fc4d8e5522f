"""Which frames are worth a look: one gate per room, called in the room's reader thread.

A frame is compared with the last one that was *looked at*, so that slow drifts add up until they count. One that
changed but is blurred, or half-way through a dissolve, waits for the next, sharp one, for at most `max_wait_s`. One
that changed only in ways already known (familiar.py) is skipped for some seconds.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from livecart.pipeline.familiar import Familiar, FamiliarSettings, FrameKey, Seen
from livecart.pipeline.gate_difference import Reference
from livecart.pipeline.gate_signature import Signature, signature
from livecart.pipeline.scenery import ShareBox, halved
from livecart.settings import check_bounds
from livecart.types import Frame

#: Why a frame is looked at: the first of the stream or of a new picture size; changed since the last look; wanted by
#: the decision; forced, since the last look is long ago or the stream's time jumped back.
LookReason = Literal["first", "changed", "wanted", "forced"]
#: Why it isn't: as the last look; changed, but nothing in it is new; the same, and what was seen was followed; a better
#: picture of the same is waited for; an answer is waited for, which may say where the next look may be confined to.
SkipReason = Literal["unchanged", "familiar", "followed", "blurred", "transition", "awaited"]
SKIP_REASONS: tuple[SkipReason, ...] = get_args(SkipReason)

#: Sampled frames whose sharpness is the room's usual one.
_HISTORY = 24
_LEAST_HISTORY = 3
#: Presentation times are rounded by containers: a frame 1 s later may be 0.967 s later.
_ROUNDING_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """How readily the gate lets frames through. All times are stream time in seconds.

    Attributes:
        forced_every_s: A look at least this often, whatever is seen; above 0.
        max_wait_s: How long a changed frame may be held back for being blurred or a dissolve; 0: never.
        window_levels: Difference of a 4 x 4 pixel window of the small copy, luma and chroma added, from which a
            picture is changed; above 0. A product's usual contrast to what it covers is 40 to 150.
        noise_factor: How many times the noise between the pictures is added to it; 0 or more.
        hash_bits: Firm bits of the perceptual hash that differ from which a picture is changed, 1 to 64.
        blurred_share: A picture is blurred below this share of the room's usual sharpness, 0 (never) to 1.
        follow: Whether changed pictures without anything new are skipped; all that follows counts only then.
        confirm_every_s: A look at least this often while products are followed in a changing picture.
        familiar_every_s: The same while nothing is in sight and nothing new comes.
        alert_s: How long after something new came, while it is there and nothing is decided, every changed picture is
            looked at; a look may miss a product.
        novel_levels: Difference of a block (a twentieth of the longer side) from everything known near it, luma and
            chroma added, from which it is new; above 0.
        follow_score: Correlation from which a product counts as followed, 0 to 1.
    """

    forced_every_s: float = 10.0
    max_wait_s: float = 1.0
    window_levels: float = 10.0
    noise_factor: float = 2.0
    hash_bits: int = 8
    blurred_share: float = 0.6
    follow: bool = True
    confirm_every_s: float = 5.0
    familiar_every_s: float = 6.0
    alert_s: float = 6.0
    novel_levels: float = 20.0
    follow_score: float = 0.6

    def __post_init__(self) -> None:
        bounds: dict[str, tuple[float, float]] = {
            "forced_every_s": (1e-3, 86400.0),
            "max_wait_s": (0.0, 60.0),
            "window_levels": (1e-3, 765.0),
            "noise_factor": (0.0, 100.0),
            "hash_bits": (1, 64),
            "blurred_share": (0.0, 1.0),
            "confirm_every_s": (0.1, 600.0),
            "familiar_every_s": (0.1, 600.0),
            "alert_s": (0.0, 60.0),
            "novel_levels": (1.0, 765.0),
            "follow_score": (0.0, 1.0),
        }
        check_bounds(self, bounds, "gate {name} is {value}; it must be from {lowest} to {highest}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a frame, and why.

    `boxes`: where the products of the last look went, if it was "followed". `arrival`: something new came while nothing
    was in sight; it may not have come in as a whole yet. `focus`: to where the look may be confined; None: nowhere.
    """

    look: bool
    reason: LookReason | SkipReason
    boxes: Mapping[str, ShareBox] = field(default_factory=dict)
    arrival: bool = False
    focus: ShareBox | None = None

    def focused(self, frame: Frame) -> Frame:
        """The frame, to be looked at where the verdict says."""
        if self.focus is None:
            return frame
        wide, high = frame.picture.width_px, frame.picture.height_px
        x1, y1, x2, y2 = self.focus
        return replace(frame, focus_xyxy_px=(x1 * wide, y1 * high, x2 * wide, y2 * high))


class Gate:
    """Judges the frames of one room, in order. `judge` from one thread; everything else from any."""

    def __init__(self, settings: GateSettings | None = None) -> None:
        self.settings = settings if settings is not None else GateSettings()
        self._reference: Reference | None = None
        self._looked_at_s = 0.0
        self._held_since_s: float | None = None
        self._sharpness: deque[tuple[float, float]] = deque(maxlen=_HISTORY)
        self._wanted = threading.Event()
        self._lock = threading.Lock()
        self._counts: Counter[LookReason | SkipReason] = Counter()
        self._familiar: Familiar | None = None
        if self.settings.follow:
            names = FamiliarSettings.__dataclass_fields__
            self._familiar = Familiar(FamiliarSettings(**{name: getattr(self.settings, name) for name in names}))

    @property
    def counts(self) -> Counter[LookReason | SkipReason]:
        """Frames by reason, so far."""
        with self._lock:
            return self._counts.copy()

    def want_look(self) -> None:
        """Let the next good frame through even if it is unchanged: the decision would know more."""
        self._wanted.set()

    def told(self, key: FrameKey, seen: Seen) -> None:
        """What the decision makes of the look at a frame that was let through."""
        if self._familiar is not None:
            with self._lock:
                self._familiar.told(key, seen)

    def lost(self, key: FrameKey | None) -> None:
        """A frame that was let through was not looked at; None: whichever it was."""
        if self._familiar is not None:
            with self._lock:
                self._familiar.lost(key)

    def judge(self, frame: Frame, *, awaited: bool = False) -> Verdict:
        """Whether `frame` is worth a look. One that is becomes what later frames are compared with.

        `awaited`: the answer about an earlier one is on its way. After it a look may be confined, and costs a third;
        two at once would take each other's time.
        """
        seen = signature(frame.picture)
        verdict = self._verdict(seen, frame.pts_s)
        if verdict.look and awaited and self._familiar is not None and verdict.reason in ("changed", "wanted"):
            verdict = Verdict(False, "awaited")
        if verdict.look:
            self._wanted.clear()
            self._reference, self._looked_at_s = Reference(seen), frame.pts_s
            verdict = replace(verdict, focus=self._ask(frame, seen, verdict))
        if verdict.look or verdict.reason in ("unchanged", "familiar", "followed"):
            self._held_since_s = None
        if seen.sharpness is not None:
            self._sharpness.append(seen.sharpness)
        with self._lock:
            self._counts[verdict.reason] += 1
        return verdict

    def _ask(self, frame: Frame, seen: Signature, verdict: Verdict) -> ShareBox | None:
        """Remember what the recogniser is asked about; to where the look may be confined."""
        if self._familiar is None:
            return None
        planes, focus = halved(seen.planes), None
        with self._lock:
            if verdict.reason in ("changed", "wanted") and not verdict.arrival:
                focus = self._familiar.focus(planes, frame.pts_s)
            self._familiar.asked((frame.pts_s, frame.captured_at_s), planes, frame.pts_s, whole=focus is None)
        return focus

    def _reason_to_look(self, seen: Signature, pts_s: float) -> LookReason | None:
        reference, settings = self._reference, self.settings
        if reference is None or reference.signature.planes.shape != seen.planes.shape:
            return "first"
        difference = reference.difference(seen)
        threshold = settings.window_levels + settings.noise_factor * difference.noise_levels
        if difference.hash_distance >= settings.hash_bits or difference.strongest_levels >= threshold:
            return "changed"
        if self._wanted.is_set() or self._owes_look(pts_s):
            return "wanted"
        if not 0 <= pts_s - self._looked_at_s < settings.forced_every_s - _ROUNDING_S:
            return "forced"
        return None

    def _owes_look(self, pts_s: float) -> bool:
        if self._familiar is None:
            return False
        with self._lock:
            return self._familiar.owes_look(pts_s)

    def _verdict(self, seen: Signature, pts_s: float) -> Verdict:
        reason = self._reason_to_look(seen, pts_s)
        if reason is None:
            return Verdict(False, "unchanged")
        if self._familiar is None or reason != "changed":
            return self._settle(seen, pts_s, reason)
        planes = halved(seen.planes)
        with self._lock:
            judged = self._familiar.judge(planes, pts_s, self._looked_at_s, wanted=self._wanted.is_set())
        if judged.kind != "due":
            return Verdict(False, judged.kind, judged.boxes)
        return replace(self._settle(seen, pts_s, reason), arrival=judged.arrival)

    def _settle(self, seen: Signature, pts_s: float, reason: LookReason) -> Verdict:
        """Look, or wait for a better picture of the same thing."""
        flaw = None if reason == "first" else self._flaw(seen)
        if flaw is None:
            return Verdict(True, reason)
        if self._held_since_s is None or pts_s < self._held_since_s:
            self._held_since_s = pts_s
        if pts_s - self._held_since_s >= self.settings.max_wait_s - _ROUNDING_S:
            # It does not get any sharper: from now on this is how the room looks.
            self._sharpness.clear()
            return Verdict(True, reason)
        return Verdict(False, flaw)

    def _flaw(self, seen: Signature) -> SkipReason | None:
        if seen.sharpness is not None and len(self._sharpness) >= _LEAST_HISTORY:
            usual = (sorted(past)[len(past) // 2] for past in zip(*self._sharpness, strict=True))
            share = min(now / before for now, before in zip(seen.sharpness, usual, strict=True))
            if share < self.settings.blurred_share:
                return "blurred"
        if self._reference is not None and self._reference.shines_through(seen):
            return "transition"
        return None
