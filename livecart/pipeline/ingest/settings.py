"""What can be set about reading a stream, with bounds."""

from __future__ import annotations

from typing import Literal

import msgspec

from livecart.errors import SettingsError
from livecart.settings import check_bounds

#: FFmpeg URL schemes that a source may have; a path without one is a file.
SCHEMES = ("file", "http", "https", "rtmp", "rtmps", "rtsp", "rtsps")

_BOUNDS: dict[str, tuple[float, float]] = {
    "rate_hz": (0.1, 10.0),
    "hurried_hz": (0.1, 10.0),
    "stall_after_s": (0.2, 600.0),
    "open_timeout_s": (0.2, 120.0),
    "first_frame_within_s": (0.2, 600.0),
    "backoff_first_s": (0.01, 60.0),
    "backoff_max_s": (0.01, 3600.0),
    "backoff_reset_after_s": (0.0, 3600.0),
    "max_side_px": (64, 16384),
}


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one stream is read.

    Raises:
        SettingsError: a value is out of its bounds; the message names the key, the value and the bounds.
    """

    #: Sampled frames per second of stream time, 0.1 to 10.
    rate_hz: float = 1.0
    #: The same for the moment in which something comes in or is about to be announced, 0.1 to 10, and no less than
    #: `rate_hz`. None: twice `rate_hz`, at least 2.5.
    hurried_hz: float | None = None
    #: When only key frames are decoded, where they come every 4 s or more often, unless something is about to be
    #: announced: "auto", while the machine is short; "always"; "never".
    economy: Literal["auto", "always", "never"] = "auto"
    #: Of files only: play at the file's own pace, as a stream would come, instead of as fast as frames are taken.
    realtime: bool = False
    #: Decode every frame, also those that no sample needs: to compare with, and for streams that mark frames as key
    #: frames which are none.
    every_frame: bool = False
    #: Nothing new for so long from a live source is a stall, 0.2 to 600 s.
    stall_after_s: float = 10.0
    #: Longest time to connect and find the video, 0.2 to 120 s.
    open_timeout_s: float = 10.0
    #: A live source whose packets come, but no frame for so long after connecting, is a stall: servers that do not send
    #: the last key frame first let us wait for the next one. 0.2 to 600 s.
    first_frame_within_s: float = 60.0
    #: The n-th wait before reconnecting is uniform in 0 .. min(backoff_max_s, backoff_first_s * 2**n), "full jitter".
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    #: A connection that was live for so long starts the backoff afresh.
    backoff_reset_after_s: float = 30.0
    #: A stream with a longer side is refused: its decoder's memory grows with the square. 64 to 16384 px.
    max_side_px: int = 4096
    #: Which sources may be opened; a subset of SCHEMES. Leave "file" out where strangers name the source.
    schemes: tuple[str, ...] = SCHEMES

    def __post_init__(self) -> None:
        message = "ingest.{name} is {value}; it must be {lowest:g} to {highest:g}"
        check_bounds(self, _BOUNDS, message, optional=("hurried_hz",))
        if self.backoff_max_s < self.backoff_first_s:
            raise SettingsError(
                f"ingest.backoff_max_s is {self.backoff_max_s}; it must not be less than "
                f"backoff_first_s, {self.backoff_first_s}"
            )
        unknown = sorted(set(self.schemes) - set(SCHEMES))
        if unknown:
            raise SettingsError(f"ingest.schemes has {unknown[0]!r}; known are {', '.join(SCHEMES)}")
