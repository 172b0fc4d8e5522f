"""Settings of the gate, with bounds."""

from dataclasses import dataclass
from typing import ClassVar

from livecart.core.settings import Bounds, check_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Settings of the gate. All times are stream time in seconds."""

    BOUNDS: ClassVar[Bounds] = {
        "forced_every_s": (1e-3, 86400.0),
        "max_wait_s": (0.0, 60.0),
        "window_levels": (1e-3, 765.0),
        "noise_factor": (0.0, 100.0),
        "hash_bits": (1, 64),
        "blurred_share": (0.0, 1.0),
        "confirm_every_s": (0.1, 600.0),
        "background_every_s": (0.1, 600.0),
        "alert_s": (0.0, 60.0),
        "foreground_levels": (1.0, 765.0),
        "track_score": (0.0, 1.0),
    }

    #: A look at least this often, whatever is seen.
    forced_every_s: float = 10.0
    #: How long a changed frame may be held back for being blurred or a dissolve; 0: never.
    max_wait_s: float = 1.0
    #: Difference of a 4 x 4 pixel window of the small copy, luma and chroma added, from which a picture is changed. A
    #: product's usual contrast to what it covers is 40 to 150.
    window_levels: float = 10.0
    #: How many times the noise between the pictures is added to it.
    noise_factor: float = 2.0
    #: Firm bits of the perceptual hash that differ from which a picture is changed.
    hash_bits: int = 8
    #: A picture is blurred below this share of the room's usual sharpness; 0: never.
    blurred_share: float = 0.6
    #: Whether changed pictures without anything new are skipped; all that follows counts only then.
    track: bool = True
    #: A look at least this often while products are tracked in a changing picture.
    confirm_every_s: float = 5.0
    #: The same while nothing is in sight and nothing new comes.
    background_every_s: float = 6.0
    #: How long after something new came, while it is there and nothing is decided, every changed picture is looked at;
    #: a look may miss a product.
    alert_s: float = 6.0
    #: Difference of a block (a twentieth of the longer side) from everything known near it, luma and chroma added, from
    #: which it is new.
    foreground_levels: float = 20.0
    #: Correlation from which a product counts as tracked.
    track_score: float = 0.6

    def __post_init__(self) -> None:
        check_bounds(self, "gate {name} is {value}; it must be from {lowest} to {highest}")
