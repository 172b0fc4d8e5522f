"""Whether bytes are a photo that the archive takes: JPEG, PNG or WebP, whole, of a bearable size."""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
from av.error import FFmpegError

from livecart.catalog.values import PhotoKind
from livecart.errors import InvalidValue

#: As the archive's limits: handler/model-config.yaml, images.
MOST_BYTES = 16 * 1024 * 1024
MOST_PIXELS = 64 * 1024 * 1024
SUFFIX: dict[PhotoKind, str] = {"jpeg": "jpg", "png": "png", "webp": "webp"}
#: FFmpeg's demuxer of each kind. Named, so that it never guesses: a playlist or an SVG would open other files.
_DEMUXER: dict[PhotoKind, str] = {"jpeg": "jpeg_pipe", "png": "png_pipe", "webp": "webp_pipe"}


@dataclass(frozen=True, slots=True)
class CheckedPhoto:
    """What a photo is, by its bytes and not by its name."""

    kind: PhotoKind
    width_px: int
    height_px: int


def check_photo(data: bytes) -> CheckedPhoto:
    """Decode a photo to see that it is one.

    Raises:
        InvalidValue: empty, too large, of another kind (SVG, HTML, GIF, HEIC, ...), cut short or damaged.
    """
    if not data:
        raise InvalidValue("photo", "is empty")
    if len(data) > MOST_BYTES:
        raise InvalidValue("photo", f"has {len(data)} bytes, more than {MOST_BYTES}")
    kind = kind_of(data)
    if kind is None:
        raise InvalidValue("photo", "is no JPEG, PNG or WebP")
    try:
        with av.open(io.BytesIO(data), mode="r", format=_DEMUXER[kind]) as container:
            stream = container.streams.video[0]
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > MOST_PIXELS:
                raise InvalidValue("photo", f"has {width}x{height} pixels, more than {MOST_PIXELS}")
            frame = next(container.decode(stream))
    except (FFmpegError, StopIteration, IndexError) as error:
        raise InvalidValue("photo", f"is a damaged {kind.upper()}: {error or 'no picture in it'}") from error
    if frame.width < 1 or frame.height < 1:
        raise InvalidValue("photo", "has no pixels")
    return CheckedPhoto(kind, frame.width, frame.height)


def kind_of(data: bytes) -> PhotoKind | None:
    """The kind that the first bytes say, or None."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return None
