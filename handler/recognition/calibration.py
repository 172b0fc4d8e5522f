"""What each kind of evidence is worth: fitted by ``scripts/fit_calibration.py``, stored under the backbone's name."""

from __future__ import annotations

from pathlib import Path

import msgspec

from recognition.errors import ConfigurationError

_FOLDER = Path(__file__).with_name("calibrations")
#: Fitted without the network's vectors: right for any backbone, if less sharp.
FALLBACK = "any"


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Log-odds per unit of each feature of ``fuse.features``, all 0 and up, and of ``none``: that nothing is shown."""

    photo_squared: float
    print_points: float
    print_present: float
    print_colours: float
    print_pattern: float
    read_less: float
    read_name_share: float
    read_only_name: float
    read_only_name_share: float
    label: float
    none: float


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of one backbone, and what they were fitted on, for people."""

    backbone: str
    fitted_on: str
    weights: Weights


def load_calibration(backbone: str) -> Calibration:
    """The calibration of ``backbone``, or the one for any backbone if it has none of its own.

    Raises:
        ConfigurationError: the file is missing or not of its form.
    """
    path = _FOLDER / f"{backbone}.json"
    if not path.is_file():
        path = _FOLDER / f"{FALLBACK}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Calibration)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}; run scripts/fit_calibration.py") from error
