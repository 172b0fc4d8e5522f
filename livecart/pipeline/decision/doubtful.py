"""Products that look after look sees without ever being sure: as a rule a piece of scenery that looks like one.

A patterned table or a picture on the wall may resemble a product well enough to be named again and again, never well
enough for a card. Asking about it once more decides nothing, and asked about in every frame it costs as much as a room
in which something is shown. So after a while its looks stop asking for more. A sure look ends that at once, and what
newly comes into the picture is looked at whatever this says (familiar.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from livecart.pipeline.decision.vote import is_sure
from livecart.types import Candidate

#: A product is doubtful after so many unsure looks, and never before one window of the decision is over.
_LOOKS = 4
#: Not seen for so long, it begins anew: the scenery may be another by now.
_FORGOTTEN_AFTER_S = 60.0
#: Products remembered; a look holds a few at most.
_MOST = 64


@dataclass(slots=True)
class _Unsure:
    since_s: float
    last_s: float
    looks: int = 1


class Doubtful:
    """Of one room. Times are the room's; `window_s` as in `DecisionSettings`."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._unsure: dict[str, _Unsure] = {}

    def take(self, candidates: Iterable[Candidate], at_s: float) -> None:
        """One look saw these."""
        for candidate in candidates:
            if is_sure(candidate):
                self._unsure.pop(candidate.sku, None)
            else:
                self._add(candidate.sku, at_s)

    def __contains__(self, sku: object) -> bool:
        known = self._unsure.get(sku) if isinstance(sku, str) else None
        return known is not None and known.looks >= _LOOKS and known.last_s - known.since_s >= self._window_s

    def _add(self, sku: str, at_s: float) -> None:
        known = self._unsure.pop(sku, None)
        if known is None or at_s - known.last_s >= _FORGOTTEN_AFTER_S:
            known = _Unsure(at_s, at_s, looks=0)
        known.last_s = max(known.last_s, at_s)
        known.looks += 1
        # Put back last: the first is the one that was seen longest ago.
        self._unsure[sku] = known
        if len(self._unsure) > _MOST:
            del self._unsure[next(iter(self._unsure))]
