"""Beginnings and ends of a clip's shows, before anything of them is drawn."""

from dataclasses import dataclass

import numpy as np

from clips.errors import ClipError

#: From entering to having left. Of it, more than LEAST_VISIBLE_S remain with the product in the picture.
_LENGTH_S = (5.8, 9.5)
#: Promised of every show: half of the product or more is in the picture at least this long.
LEAST_VISIBLE_S = 4.0
_PAUSE_S = (0.8, 3.0)
#: Enough for one show and the pause before it.
LEAST_DURATION_S = _LENGTH_S[0] + _PAUSE_S[0] + 0.1
#: Without a number of shows: one in this many seconds, of a moving clip and of a still one.
_EVERY_S, _EVERY_STILL_S = 9.0, 30.0


@dataclass(frozen=True)
class Slot:
    """One show's time: it begins to come in at ``start_s`` and is out again at ``stop_s``."""

    start_s: float
    stop_s: float


def plan_slots(duration_s: float, *, shows: int | None, still: bool, rng: np.random.Generator) -> list[Slot]:
    """Shows spread evenly over the clip, with pauses of uneven length between them.

    Raises:
        ClipError: the clip is too short for that many shows; the message says how many fit.
    """
    most = int(duration_s / (_LENGTH_S[0] + _PAUSE_S[0]))
    count = shows if shows is not None else max(1, int(duration_s / (_EVERY_STILL_S if still else _EVERY_S)))
    if count > most:
        raise ClipError(
            f"{count} shows do not fit into {duration_s:g} s: at most {most} of {_LENGTH_S[0] + _PAUSE_S[0]:g} s each; "
            "take fewer shows or a longer clip"
        )
    slots: list[Slot] = []
    for place in range(count):
        share_s = duration_s / count
        pause_s = float(rng.uniform(_PAUSE_S[0], min(_PAUSE_S[1], share_s - _LENGTH_S[0])))
        length_s = float(rng.uniform(_LENGTH_S[0], min(_LENGTH_S[1], share_s - pause_s)))
        start_s = place * share_s + pause_s
        slots.append(Slot(start_s, start_s + length_s))
    return slots
