"""The check of photos: of a kind that is read, whole, of a bearable size, as the archive's own limits are.

HEIC and AVIF are kept as JPEG: not every browser shows them, and cards do; nor does the archive take them for frames.
"""

import io
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypedDict

import numpy as np
import pi_heif
from PIL import Image, ImageOps

from contract.images import PILLOW_FORMATS, ImageKind, are_too_many_scans, count_scans, kind_of, refused_kind
from livecart.core.untrusted import OverLimit, preload, run_untrusted
from livecart.shop.errors import InvalidValue
from livecart.shop.repositories.photo_bytes import PhotoBytes, parse_photo
from livecart.shop.repositories.photo_layout import SIDE_PX, Layout, layout_of
from livecart.shop.schemas.product import PhotoKind

#: As the archive's limits: handler/model-config.yaml, images.
MOST_BYTES = 16 * 1024 * 1024
MOST_PIXELS = 64 * 1024 * 1024
SUFFIX: dict[PhotoKind, str] = {"jpeg": "jpg", "png": "png", "webp": "webp"}
_KEPT_KINDS: dict[ImageKind, PhotoKind] = {"JPEG": "jpeg", "PNG": "png", "WebP": "webp"}
#: Of a photo that is kept as JPEG: more pixels than any of its uses needs, fewer bytes than `MOST_BYTES`.
_JPEG_QUALITY, _JPEG_SIDE_PX = 92, 4096
#: The largest photo takes 2 s of a core, and a few copies of 256 MiB.
_LIMIT_S = 15.0
_MEMORY_MIB = 1536

# The limit is ours, and is judged by the header.
Image.MAX_IMAGE_PIXELS = None
pi_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
preload(__name__)


def read_photo(data: bytes) -> PhotoBytes:
    """A photo by its header, without its metadata. For bytes that `check_photo` gave, and pictures of our own.

    Raises:
        InvalidValue: empty, too large, of a kind that is not kept as it comes (HEIC and AVIF, of which `check_photo`
            makes a JPEG; SVG, HTML, GIF, ...), or without a whole header.
    """
    kind = _kind_of(data)
    if kind not in _KEPT_KINDS:
        raise InvalidValue("photo", "photo_not_read", kind=kind)
    try:
        photo = parse_photo(data, _KEPT_KINDS[kind])
    except ValueError as error:
        raise InvalidValue("photo", "photo_damaged", kind=kind, cause=str(error)) from error
    width, height = photo.width_px, photo.height_px
    _check_pixels(width, height)
    if kind == "JPEG":
        scans = count_scans(photo.data)
        if are_too_many_scans(scans, width * height, MOST_PIXELS):
            raise InvalidValue("photo", "photo_too_many_scans", scans=scans, width_px=width, height_px=height)
    return photo


def check_photo(data: bytes) -> PhotoBytes:
    """Decode a stranger's photo to see that it is one. Takes seconds: never within a transaction.

    Raises:
        InvalidValue: as `read_photo`, or it is damaged, or decoding it takes too much.
    """
    kind = _kind_of(data)
    photo = read_photo(data) if kind in _KEPT_KINDS else None
    work = partial(_decode, kind)
    try:
        found: _Decoded = run_untrusted(
            work, data if photo is None else photo.data, limit_s=_LIMIT_S, memory_mib=_MEMORY_MIB
        )
    except OverLimit as error:
        raise InvalidValue("photo", "photo_too_costly") from error
    if found["problem"]:
        raise InvalidValue("photo", "photo_damaged", kind=kind, cause=found["problem"])
    _check_pixels(found["width_px"], found["height_px"])
    return replace(photo or read_photo(found["jpeg"]), layout=found["layout"])


def _kind_of(data: bytes) -> ImageKind:
    if not data:
        raise InvalidValue("photo", "empty")
    if len(data) > MOST_BYTES:
        raise InvalidValue("photo", "photo_too_large", size_bytes=len(data), most_bytes=MOST_BYTES)
    kind = kind_of(data)
    if kind is None:
        other = refused_kind(data)
        if other:
            raise InvalidValue("photo", "photo_not_read", kind=other)
        raise InvalidValue("photo", "photo_of_no_kind")
    return kind


def _check_pixels(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise InvalidValue("photo", "photo_without_pixels")
    if width * height > MOST_PIXELS:
        raise InvalidValue("photo", "photo_too_many_pixels", width_px=width, height_px=height, most_px=MOST_PIXELS)


class _Decoded(TypedDict):
    """Result of the process that decodes. `jpeg`: the photo, where it is not kept as it came."""

    problem: str
    width_px: int
    height_px: int
    jpeg: bytes
    layout: Layout


def _decode(kind: ImageKind, data: bytes) -> _Decoded:
    try:
        with Image.open(io.BytesIO(data), formats=(PILLOW_FORMATS[kind],)) as image:
            found = _Decoded(problem="", width_px=image.width, height_px=image.height, jpeg=b"", layout="")
            if image.width * image.height <= MOST_PIXELS:
                image.load()
                if kind not in _KEPT_KINDS:
                    found["jpeg"] = _as_jpeg(image)
                found["layout"] = _layout(image)
            return found
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  Pillow's decoders raise nearly anything on hostile bytes
        return _Decoded(problem=str(error) or type(error).__name__, width_px=0, height_px=0, jpeg=b"", layout="")


def _layout(image: Image.Image) -> Layout:
    # A mode that is not made smaller is read all the same.
    with suppress(ValueError):
        image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.BOX)
        return layout_of(np.asarray(_on_white(image).convert("RGB")))
    return ""


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _as_jpeg(image: Image.Image) -> bytes:
    """Upright, on white."""
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    image.thumbnail((_JPEG_SIDE_PX, _JPEG_SIDE_PX))
    file = io.BytesIO()
    _on_white(image).convert("RGB").save(file, "JPEG", quality=_JPEG_QUALITY, icc_profile=profile)
    return file.getvalue()
