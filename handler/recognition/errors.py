"""Every error that recognition raises. ``contract.errors`` has the codes and their HTTP statuses.

::

    RecognitionError              one request is at fault; its neighbours in the batch go on
    ├── BadRequest                no image found, not JSON, wrong base64
    ├── BadOption                 an unknown option, or a value out of bounds
    ├── BadImage                  the bytes are not a whole image
    ├── ImageTooLarge             too many bytes or pixels
    ├── UnsupportedImage          an image of a format that is not read
    ├── NotOffered                an endpoint of the server that this archive does not implement
    └── InternalError             our fault; the log of the worker has the traceback
    ConfigurationError            the archive is at fault; it must not start
    ├── WeightsError              a checkpoint does not fit its architecture
    └── SnapshotError             a catalog snapshot is damaged, of another schema or of another model
"""

from contract.errors import STATUS_OF, ErrorCode


class RecognitionError(Exception):
    """One request cannot be answered. ``code`` is stable ASCII for programs, the message is for people."""

    code: ErrorCode = "bad_request"

    def __init__(self, message: str) -> None:
        # A lone surrogate, which JSON can smuggle in, would make the reply itself impossible to encode.
        self.message = message.encode("utf-8", "replace").decode("utf-8")
        super().__init__(self.message)

    @property
    def status(self) -> int:
        return STATUS_OF[self.code]


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

    code = "image_too_large"


class UnsupportedImage(RecognitionError):
    """The bytes are an image of a format that the archive does not read."""

    code = "unsupported_image"


class NotOffered(RecognitionError):
    """The server has this endpoint, the archive does not implement it."""

    code = "not_offered"


class InternalError(RecognitionError):
    """Something failed that should not have."""

    code = "internal_error"


class ConfigurationError(Exception):
    """A file of the archive is wrong. The message names the file and, where known, the key and the line."""


class WeightsError(ConfigurationError):
    """A checkpoint's parameters do not match its architecture; the message lists them."""


class SnapshotError(ConfigurationError):
    """A catalog snapshot cannot be used; the message names the file and the reason. Nothing of it was taken over."""
