"""Images as bytes: the kinds that the archive and the catalog read, and the words in which both refuse the rest.

The catalog, which decodes photos in a process with limits, reads HEIC and AVIF too. A frame is decoded in the worker,
and the header of these two may say any size: what decoding costs shows when it was paid.
"""

import re
from collections.abc import Sequence
from typing import Literal

ImageKind = Literal["JPEG", "PNG", "WebP", "HEIC", "AVIF"]

#: Of a frame, and of a photo of the catalog.
FRAME_KINDS: tuple[ImageKind, ...] = ("JPEG", "PNG", "WebP")
PHOTO_KINDS: tuple[ImageKind, ...] = (*FRAME_KINDS, "HEIC", "AVIF")
#: Pillow's names of them.
PILLOW_FORMATS: dict[ImageKind, str] = {"JPEG": "JPEG", "PNG": "PNG", "WebP": "WEBP", "HEIC": "HEIF", "AVIF": "AVIF"}
NO_IMAGE = "is no {kinds}"
NOT_READ = "is {kind}, which is not read; send {kinds}"
DAMAGED = "is a damaged {kind}: {cause}"
TOO_LARGE = "has {size_bytes} bytes, more than {most_bytes}"
TOO_MANY_PIXELS = "has {width_px}x{height_px} pixels, more than {most_px}"
TOO_MANY_SCANS = "has {width_px}x{height_px} pixels in {scans} scans, which would take too long to decode"

#: First bytes of formats that people send by mistake.
_OTHER_KINDS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "SVG or XML",
    b"8BPS": "Photoshop",
}
#: Brands of ISO/IEC 23008-12 files. The last two are of any codec: the compatible brands tell.
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF = frozenset({b"avif", b"avis"})
_ANY_CODEC = frozenset({b"mif1", b"msf1"})
#: Segments of a JPEG (ITU-T T.81, B.1.1.2), as libjpeg finds them: whatever stands before a marker is skipped. Inside a
#: scan 0xFF stands before 0x00 and restart markers alone.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])", re.DOTALL)
_SOS, _EOI = 0xDA, 0xD9
#: Encoders write about 10 scans.
_MOST_SCANS = 64
#: How often the largest image accepted may be gone through: about half a second of decoding.
_MOST_SCANS_OF_LARGEST = 16
#: 16 MiB of the smallest segments would take seconds to go through; no file has so many.
_MOST_SEGMENTS = 10_000


def listed(kinds: Sequence[ImageKind]) -> str:
    """The `kinds` of the words above."""
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}"


def kind_of(data: bytes) -> ImageKind | None:
    """The kind that the first bytes say; None: none that is read."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] != b"ftyp":
        return None
    brands = {data[8:12]}
    if brands <= _ANY_CODEC:
        brands = {data[at : at + 4] for at in range(16, min(int.from_bytes(data[:4]), 256), 4)} or brands
    if brands & _AVIF:
        return "AVIF"
    return "HEIC" if brands & (_HEIC | _ANY_CODEC) else None


def refused_kind(data: bytes) -> str | None:
    """The name of a format that is not read; None: not known."""
    return next((name for magic, name in _OTHER_KINDS.items() if data.startswith(magic)), None)


def count_scans(jpeg: bytes) -> int:
    """Scans of a JPEG's first image, without those of its thumbnail and of a picture or video behind it."""
    scans, at = 0, 2
    for _ in range(_MOST_SEGMENTS):
        marker = _MARKER.search(jpeg, at)
        if marker is None or marker[1][0] == _EOI:
            return scans
        at = marker.end() + int.from_bytes(jpeg[marker.end() : marker.end() + 2])
        scans += marker[1][0] == _SOS
    return _MOST_SEGMENTS


def are_too_many_scans(scans: int, pixels: int, max_pixels: int) -> bool:
    """True where the scans of a progressive JPEG cost more than its pixels: each goes through all of them once more."""
    return scans > _MOST_SCANS or scans * pixels > _MOST_SCANS_OF_LARGEST * max_pixels
