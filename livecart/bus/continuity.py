"""Tells, from the numbers of a room's events, which came twice and how many are missing."""

from __future__ import annotations

from dataclasses import dataclass

#: Rooms whose last number is kept. Beyond it the room that was quiet longest is forgotten, at the cost of a check.
_MOST_ROOMS = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """What one event is to its reader. `missed`: None, nothing is missing; 0, unknown how much."""

    duplicate: bool
    missed: int | None


class Continuity:
    """The newest number of each room. A number is an epoch and an event id; a room that begins anew has a new epoch."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int | None, int]] = {}

    def begin(self, room: str, epoch: int | None, event_id: int) -> None:
        """The reader has the room's events up to this one; an epoch of None is one nobody knows."""
        self._last[room] = (epoch, event_id)

    def step(self, room: str, epoch: int, event_id: int) -> Step:
        """Take in the number of an event."""
        last = self._last.pop(room, None)
        self._last[room] = (epoch, event_id)
        if len(self._last) > _MOST_ROOMS:
            del self._last[next(iter(self._last))]
        if last is None:
            return Step(duplicate=False, missed=None)
        last_epoch, last_id = last
        if last_epoch is None:
            last_epoch = epoch if event_id > last_id else epoch - 1
        if (epoch, event_id) <= (last_epoch, last_id):
            self._last[room] = last
            return Step(duplicate=True, missed=None)
        if epoch != last_epoch:
            return Step(duplicate=False, missed=0)
        missed = event_id - last_id - 1
        return Step(duplicate=False, missed=missed or None)
