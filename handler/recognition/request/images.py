"""Bytes to RGB pixels: what is accepted, what is refused, and how a photo becomes the network's input."""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pi_heif
from numpy.typing import NDArray
from PIL import Image

from contract.images import (
    DAMAGED,
    FRAME_KINDS,
    NO_IMAGE,
    NOT_READ,
    PILLOW_FORMATS,
    TOO_LARGE,
    TOO_MANY_PIXELS,
    TOO_MANY_SCANS,
    ImageKind,
    are_too_many_scans,
    count_scans,
    kind_of,
    listed,
    refused_kind,
)
from recognition.errors import BadImage, ImageTooLarge, UnsupportedImage
from recognition.settings import ImageLimits, Preprocessing

# The limit is ours, and is judged by the header.
Image.MAX_IMAGE_PIXELS = None
# One photo is decoded at a time, and of its file the picture alone.
pi_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)

_EXIF_ORIENTATION = 0x0112
#: EXIF orientation to the transposition that undoes it (EXIF 2.32, table 6); 1 needs none.
_UNDO_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
#: Shrink by whole factors first as long as the exact filter still sees 3 pixels for each one that it makes: below
#: that Pillow's documentation calls the difference hard to see, and a 50 MP photo resizes several times as fast.
_REDUCING_GAP = 3.0


@dataclass(frozen=True)
class Photo:
    """A decoded image. ``rgb`` may be smaller than ``width`` × ``height``, the pixels of the image as sent."""

    rgb: Image.Image
    width: int
    height: int


def decode(data: bytes, limits: ImageLimits, *, short_side_px: int, kinds: Sequence[ImageKind] = FRAME_KINDS) -> Photo:
    """Decode an image to upright RGB on white: of an animation the first frame, of several pictures the first one.

    ``short_side_px`` is the least short side that the caller needs: a larger JPEG is scaled while it is decoded
    (1/2, 1/4 or 1/8, exact in the DCT domain), which is where most of its decoding time goes. Of ``kinds`` HEIC and
    AVIF are for photos of people who may be trusted: their headers do not bound what decoding takes.

    Raises:
        BadImage: empty, cut short or not an image.
        UnsupportedImage: an image of another format.
        ImageTooLarge: more bytes or pixels than ``limits`` allow, judged before anything is decoded.
    """
    if not data:
        raise BadImage("the image is empty")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the image {TOO_LARGE.format(size_bytes=len(data), most_bytes=limits.max_bytes)}")
    # What Pillow only warns of, a broken EXIF block or many pixels, is judged here and not by a warnings filter.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = kind_of(data)
        if kind is None or kind not in kinds:
            other = kind or refused_kind(data)
            if other:
                raise UnsupportedImage(f"the image {NOT_READ.format(kind=other, kinds=listed(kinds))}")
            raise BadImage(f"the image {NO_IMAGE.format(kinds=listed(kinds))}")
        return _decode(_open(data, kind), kind, data, limits, short_side_px)


def _decode(image: Image.Image, kind: ImageKind, data: bytes, limits: ImageLimits, short_side_px: int) -> Photo:
    width, height = image.size
    if width < 1 or height < 1:
        raise BadImage(f"the image is {width}x{height} pixels")
    if width * height > limits.max_pixels:
        reason = TOO_MANY_PIXELS.format(width_px=width, height_px=height, most_px=limits.max_pixels)
        raise ImageTooLarge(f"the image {reason}")
    if kind == "JPEG":
        _check_scans(data, width, height, limits)
    orientation = _orientation(image)
    try:
        image.draft("RGB", _draft_size(width, height, short_side_px))
        rgb = _to_rgb(image, short_side_px)
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile bytes
        raise BadImage(f"the image {DAMAGED.format(kind=kind, cause=error)}") from error
    if orientation in _UNDO_ORIENTATION:
        rgb = rgb.transpose(_UNDO_ORIENTATION[orientation])
    if orientation >= 5:
        width, height = height, width
    return Photo(rgb=rgb, width=width, height=height)


def centre_crop(photo: Photo, spec: Preprocessing) -> NDArray[np.uint8]:
    """The classifier's view: resize the short side to ``resize_px``, cut out the centre ``input_px`` square.

    Returns uint8 (input_px, input_px, 3). Done as one resize of just that square, so that a 1 × 30,000 px image
    costs no more than a square one. The square lies on the same pixel grid as torchvision's Resize and CenterCrop,
    with which the weights were validated: half a pixel beside it, and three labels in a hundred change.
    """
    size = photo.rgb.size
    resized = [max(spec.input_px, int(spec.resize_px * side / min(size))) for side in size]
    offset = [round((side - spec.input_px) / 2) for side in resized]
    left, right = (at * size[0] / resized[0] for at in (offset[0], offset[0] + spec.input_px))
    top, bottom = (at * size[1] / resized[1] for at in (offset[1], offset[1] + spec.input_px))
    square = photo.rgb.resize(
        (spec.input_px, spec.input_px),
        resample=_RESAMPLING[spec.interpolation],
        box=(left, top, right, bottom),
        reducing_gap=_REDUCING_GAP,
    )
    return np.asarray(square)


def bounded(rgb: Image.Image, short_side_px: int) -> Image.Image:
    """``rgb`` with a short side of at most ``short_side_px``; only JPEG is scaled while it is decoded."""
    if min(rgb.size) <= short_side_px:
        return rgb
    scale = short_side_px / min(rgb.size)
    size = (max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale)))
    return rgb.resize(size, Image.Resampling.BICUBIC, reducing_gap=_REDUCING_GAP)


def blank(*, side_px: int) -> list[bytes]:
    """A square grey image in each of the usual formats, for warming up."""
    encoded = []
    for image_format in ("JPEG", "PNG", "WEBP"):
        buffer = io.BytesIO()
        Image.new("RGB", (side_px, side_px), "grey").save(buffer, image_format)
        encoded.append(buffer.getvalue())
    return encoded


def _open(data: bytes, kind: ImageKind) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=(PILLOW_FORMATS[kind],))
    except Exception as error:
        raise BadImage(f"the image {DAMAGED.format(kind=kind, cause='its header cannot be read')}") from error


def _check_scans(data: bytes, width: int, height: int, limits: ImageLimits) -> None:
    scans = count_scans(data)
    if are_too_many_scans(scans, width * height, limits.max_pixels):
        raise ImageTooLarge(f"the image {TOO_MANY_SCANS.format(width_px=width, height_px=height, scans=scans)}")


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # a broken EXIF block does not make the picture unreadable
        return 1
    return value if value in _UNDO_ORIENTATION else 1


def _draft_size(width: int, height: int, short_side_px: int) -> tuple[int, int]:
    scale = short_side_px / min(width, height)
    return (max(1, round(width * scale)), max(1, round(height * scale)))


def _to_rgb(image: Image.Image, short_side_px: int) -> Image.Image:
    image.load()
    if image.mode.startswith("I;16"):
        # Pillow clips instead of scaling when it converts 16-bit grey: nearly all of the picture would be white.
        grey = np.empty((image.height, image.width), dtype=np.uint8)
        np.right_shift(np.asarray(image), 8, out=grey, casting="unsafe")
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        # Cut-out product pictures are drawn to stand on a white page. Shrunk first: at 67 megapixels each of the copies
        # below would take 268 MB.
        rgba = image.convert("RGBA")
        factor = int(min(rgba.size) / (short_side_px * _REDUCING_GAP))
        if factor > 1:
            rgba = rgba.reduce(factor)
        page = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(page, rgba).convert("RGB")
    return image.convert("RGB")
