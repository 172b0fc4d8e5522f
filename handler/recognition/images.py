"""Bytes to RGB pixels: what is accepted, what is refused, and how a photo becomes the network's input."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.errors import BadImage, ImageTooLarge, UnsupportedImage
from recognition.settings import ImageLimits, Preprocessing

FORMATS = ("JPEG", "PNG", "WEBP")
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
#: First bytes of formats that people send by mistake, for a better message than "not an image".
_OTHER_FORMATS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "SVG or XML",
    b"8BPS": "Photoshop",
}
_ISO_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"avif": "AVIF", b"avis": "AVIF"}
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
#: Shrink by whole factors first as long as the exact filter still sees 3 pixels for each one that it makes: below
#: that Pillow's documentation calls the difference hard to see, and a 50 MP photo resizes several times as fast.
_REDUCING_GAP = 3.0
_START_OF_SCAN = b"\xff\xda"
#: Encoders write about 10 scans, and a phone's file may hold a second picture.
_MOST_SCANS = 64
#: How often the largest image accepted may be gone through: about half a second of decoding.
_MOST_SCANS_OF_LARGEST = 16


@dataclass(frozen=True)
class Photo:
    """A decoded image. ``rgb`` may be smaller than ``width`` × ``height``, the pixels of the image as sent."""

    rgb: Image.Image
    width: int
    height: int


def decode(data: bytes, limits: ImageLimits, *, short_side_px: int) -> Photo:
    """Decode JPEG, PNG or WebP (of an animation the first frame) to upright RGB on white.

    ``short_side_px`` is the least short side that the caller needs: a larger JPEG is scaled while it is decoded
    (1/2, 1/4 or 1/8, exact in the DCT domain), which is where most of its decoding time goes.

    Raises:
        BadImage: empty, cut short or not an image.
        UnsupportedImage: an image of another format.
        ImageTooLarge: more bytes or pixels than ``limits`` allow, judged before anything is decoded.
    """
    if not data:
        raise BadImage("the image is empty")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the image has {len(data)} bytes, at most {limits.max_bytes} are accepted")
    # What Pillow only warns of, a broken EXIF block or many pixels, is judged here and not by a warnings filter.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _decode(_open(data), data, limits, short_side_px)


def _decode(image: Image.Image, data: bytes, limits: ImageLimits, short_side_px: int) -> Photo:
    width, height = image.size
    if width < 1 or height < 1:
        raise BadImage(f"the image is {width}x{height} pixels")
    if width * height > limits.max_pixels:
        raise ImageTooLarge(f"the image is {width}x{height} pixels, at most {limits.max_pixels} in all are accepted")
    if image.format in ("JPEG", "MPO"):
        _check_scans(data, width * height, limits)
    orientation = _orientation(image)
    try:
        image.draft("RGB", _draft_size(width, height, short_side_px))
        rgb = _to_rgb(image, short_side_px)
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile bytes
        raise BadImage(f"the {image.format} image cannot be decoded: {error}") from error
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
    """A square grey image in each of the formats read, for warming up."""
    encoded = []
    for image_format in FORMATS:
        buffer = io.BytesIO()
        Image.new("RGB", (side_px, side_px), "grey").save(buffer, image_format)
        encoded.append(buffer.getvalue())
    return encoded


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageTooLarge("the image has far more pixels than are accepted") from error
    except Exception as error:
        other = _other_format(data)
        if other:
            raise UnsupportedImage(f"{other} images are not read; send JPEG, PNG or WebP") from error
        raise BadImage("the bytes are not a JPEG, PNG or WebP image") from error


def _check_scans(data: bytes, pixels: int, limits: ImageLimits) -> None:
    """Refuse a progressive JPEG whose scans cost more than its pixels: each goes through all of them once more.

    Inside a scan 0xFF is always followed by 0x00 or a restart marker (ITU-T T.81, B.1.1.5), so that every start-of-scan
    marker counted is one, be it of the image or of a thumbnail in it.
    """
    scans = data.count(_START_OF_SCAN)
    if scans > _MOST_SCANS or scans * pixels > _MOST_SCANS_OF_LARGEST * limits.max_pixels:
        raise ImageTooLarge(f"the JPEG image has {pixels} pixels in {scans} scans, which would take too long to decode")


def _other_format(data: bytes) -> str | None:
    if data[4:8] == b"ftyp":
        return _ISO_BRANDS.get(data[8:12])
    return next((name for magic, name in _OTHER_FORMATS.items() if data.startswith(magic)), None)


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
