"""Outcomes of frames and durations of stages: the counters that the app attaches its metrics to.

Every frame that a reader hands over ends in exactly one outcome:

| outcome | meaning |
|---|---|
| `answered` | its result went to the decision |
| `replaced` | a newer frame of the room took its place before it was sent |
| `stale` | it grew older than the limit before it could be sent |
| `gave_up` | the recogniser stayed busy until a newer frame came or this one was no longer fresh |
| `overtaken` | it was answered, but after a newer frame of its room |
| `refused` | the recogniser answered that this frame is wrong, or answered nonsense |
| `failed` | a fault of livecart itself; the log has the traceback |
| `closed` | its room, or the program, was closed first |
"""

from typing import Literal, Protocol

Outcome = Literal["answered", "replaced", "stale", "gave_up", "overtaken", "refused", "failed", "closed"]

#: `queue`: from the queue's slot being filled to the frame leaving it. `encode`: making the JPEG. `request`: from
#: sending it to the reply's last byte, whatever the answer. `faces`: one picture searched for them.
Stage = Literal["gate", "queue", "encode", "request", "decide", "faces"]

#: `busy`: one attempt that the recogniser turned away. `link_not_https`: a product dropped for its link.
#: `callback_failed`: the callback of a result or a loss raised.
Incident = Literal["busy", "link_not_https", "callback_failed"]


class FrameMetrics(Protocol):
    """Counts everything worth counting. Called from several threads; must not block or raise."""

    def frame(self, room: str, outcome: Outcome) -> None:
        """One frame of `room` came to its end."""

    def stage(self, stage: Stage, seconds: float) -> None:
        """One stage of one frame took so long."""

    def incident(self, room: str, incident: Incident) -> None:
        """Something went wrong that is not a frame's end."""
