"""One time for a room that never runs backwards, whatever the stream's timestamps do."""

from dataclasses import dataclass

#: No two frames in a row count as further apart. Between frames nobody looked: an outage is not an absence, and a
#: stream that jumps by hours must not make every product a new one. It is longer than `forced_every_s`.
MAX_STEP_S = 10.0


@dataclass(slots=True)
class StreamClock:
    """Adds up the steps of `pts_s`; where they make no sense, those of `captured_at_s`.

    `now_s` starts at the first frame's capture time and has no other meaning than its differences.
    """

    now_s: float = 0.0
    pts_s: float | None = None
    captured_at_s: float = 0.0

    def advance(self, pts_s: float, captured_at_s: float) -> float:
        """Take in one frame; its time, which is before `now_s` for a frame that is answered after a later one.

        A step forward of up to `MAX_STEP_S` counts as it is (a file may be read faster than it plays). At a larger
        one, or one backwards (the stream started again, a file loops), what passed on the wall clock counts, at most
        `MAX_STEP_S`. A frame that is older by both times is late and moves nothing.
        """
        if self.pts_s is None:
            self.now_s = self.now_s or captured_at_s
        else:
            step_s = pts_s - self.pts_s
            wall_s = captured_at_s - self.captured_at_s
            if -MAX_STEP_S <= step_s < 0 and wall_s <= 0:
                return self.now_s + step_s
            if not 0 < step_s <= MAX_STEP_S:
                step_s = min(max(wall_s, 0.0), MAX_STEP_S)
            self.now_s += step_s
        self.pts_s = pts_s
        self.captured_at_s = captured_at_s
        return self.now_s
