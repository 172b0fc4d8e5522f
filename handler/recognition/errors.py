"""Every error that recognition raises, and the HTTP status that each one owns.

::

    RecognitionError              one request is at fault; its neighbours in the batch go on
    ├── BadRequest        400     no image found, not JSON, wrong base64
    ├── BadOption         400     an unknown option, or a value out of bounds
    ├── BadImage          400     the bytes are not a whole image
    ├── ImageTooLarge     413     too many bytes or pixels
    ├── UnsupportedImage  415     an image, but not JPEG, PNG or WebP
    ├── NotOffered        501     an endpoint of the server that this archive does not implement
    └── InternalError     500     our fault; the log of the worker has the traceback
    ConfigurationError            the archive is at fault; it must not start
    ├── WeightsError              a checkpoint does not fit its architecture
    └── SnapshotError             a catalog snapshot is damaged, of another schema or of another model
"""

from __future__ import annotations


class RecognitionError(Exception):
    """One request cannot be answered. ``code`` is stable ASCII for programs, the message is for people."""

    status: int = 400
    code: str = "bad_request"

    def __init__(self, message: str) -> None:
        # A lone surrogate, which JSON can smuggle in, would make the reply itself impossible to encode.
        self.message = message.encode("utf-8", "replace").decode("utf-8")
        super().__init__(self.message)


class BadRequest(RecognitionError):
    """The request holds no image where one is expected."""


class BadOption(RecognitionError):
    """An option is unknown, of the wrong type or out of its bounds."""

    code = "bad_option"


class BadImage(RecognitionError):
    """The bytes cannot be decoded to a whole image."""

    code = "bad_image"


class ImageTooLarge(RecognitionError):
    """The image has more bytes or pixels than the archive accepts."""

    status = 413
    code = "image_too_large"


class UnsupportedImage(RecognitionError):
    """The bytes are an image of a format that the archive does not read."""

    status = 415
    code = "unsupported_image"


class NotOffered(RecognitionError):
    """The server has this endpoint, the archive does not implement it."""

    status = 501
    code = "not_offered"


class InternalError(RecognitionError):
    """Something failed that should not have."""

    status = 500
    code = "internal_error"


class ConfigurationError(Exception):
    """A file of the archive is wrong. The message names the file and, where known, the key and the line."""


class WeightsError(ConfigurationError):
    """A checkpoint's parameters do not match its architecture; the message lists them."""


class SnapshotError(ConfigurationError):
    """A catalog snapshot cannot be used; the message names the file and the reason. Nothing of it was taken over."""
