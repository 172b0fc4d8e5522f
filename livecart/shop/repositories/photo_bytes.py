"""Photos as bytes: what the header says, and the file without what a camera wrote beside the picture.

Kept is what draws the picture: its data, colours and orientation. Place, time, device, names, thumbnails and whatever
follows the picture are left out. Nothing is decoded, and no part is looked at twice.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from livecart.shop.repositories.photo_layout import Layout
from livecart.shop.schemas.product import PhotoKind

#: Encoders write some hundred; 16 MiB of the smallest ones would take seconds.
_MOST_PARTS = 10_000
_SEGMENT = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
#: Inside a scan, 0xFF stands before 0x00 and restart markers only. Of a run of them the last is the marker's: to look
#: at a run from each of its bytes would take hours.
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_EOI, _SOS, _APP1, _APP2, _COM = 0xD9, 0xDA, 0xE1, 0xE2, 0xFE
#: Start of frame, with the size; of the range only these are no such: DHT, JPG, DAC.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: APP1 to APP15 but for Adobe's, which says what the colours are.
_JPEG_METADATA = frozenset(range(_APP1, 0xF0)) - {0xEE} | {_COM}
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT"})
_WEBP_KEPT = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_HAS_EXIF, _HAS_XMP = 0x08, 0x04
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class PhotoBytes:
    """A photo without its metadata. `width_px` and `height_px` are the largest that any header in it says.

    `layout`: of `check_photo`, where it was decoded.
    """

    kind: PhotoKind
    width_px: int
    height_px: int
    data: bytes
    layout: Layout = ""


def parse_photo(data: bytes, kind: PhotoKind) -> PhotoBytes:
    """A photo by its header, without its metadata."""
    try:
        return {"jpeg": _jpeg, "png": _png, "webp": _webp}[kind](data)
    except (struct.error, IndexError, KeyError) as error:
        raise ValueError("its header is cut short") from error


def _jpeg(data: bytes) -> PhotoBytes:
    kept, sizes, at = [data[:2]], [(0, 0)], 2
    for _ in range(_MOST_PARTS):
        marker = _SEGMENT.match(data, at)
        if marker is None:
            raise ValueError("no segment where one begins" if at < len(data) else "its end is missing")
        code = marker[1][0]
        if code == _EOI:
            kept.append(b"\xff\xd9")
            width, height = (max(sides) for sides in zip(*sizes, strict=True))
            return PhotoBytes("jpeg", width, height, b"".join(kept))
        begin = marker.end()
        end = begin + struct.unpack_from(">H", data, begin)[0]
        if end < begin + 2 or end > len(data):
            raise ValueError("a segment is cut short")
        body = data[begin + 2 : end]
        if code in _SOF:
            height, width = struct.unpack_from(">HH", body, 1)
            sizes.append((width, height))
        elif code == _SOS:
            found = _SCAN_END.search(data, end)
            end = len(data) if found is None else found.start()
        if code == _APP1 and body.startswith(b"Exif\0\0"):
            exif = _orientation_only(body[6:])
            if exif:
                kept.append(struct.pack(">BBH", 0xFF, _APP1, len(exif) + 8) + b"Exif\0\0" + exif)
        elif code not in _JPEG_METADATA or (code == _APP2 and body.startswith(b"ICC_PROFILE\0")):
            kept.append(b"\xff" + data[begin - 1 : end])
        at = end
    raise ValueError("it has too many segments")


def _png(data: bytes) -> PhotoBytes:
    width, height = struct.unpack_from(">II", data, 16)
    kept = [data[:8]]
    at = 8
    for _ in range(_MOST_PARTS):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data) or (at == 8) != (name == b"IHDR"):
            raise ValueError("a chunk is cut short, or out of place")
        if name == b"IEND":
            kept.append(data[at:end])
            return PhotoBytes("png", width, height, b"".join(kept))
        if name == b"eXIf":
            exif = _orientation_only(data[at + 8 : end - 4])
            if exif:
                kept.append(_png_chunk(name, exif))
        elif name in _PNG_KEPT:
            kept.append(data[at:end])
        at = end
    raise ValueError("it has too many chunks")


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _webp(data: bytes) -> PhotoBytes:
    kept: list[tuple[bytes, bytes]] = []
    sizes, canvas = [(0, 0)], b""
    for name, body in _riff_chunks(data):
        if name == b"VP8X":
            canvas = body
            sizes.append((1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")))
        elif name == b"VP8 ":
            width, height = struct.unpack_from("<HH", body, 6)
            sizes.append((width & 0x3FFF, height & 0x3FFF))
        elif name == b"VP8L":
            bits = int(struct.unpack_from("<I", body, 1)[0])
            sizes.append((1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)))
        exif = _orientation_only(body.removeprefix(b"Exif\0\0")) if name == b"EXIF" else b""
        if exif or name in _WEBP_KEPT:
            kept.append((name, exif or body))
    if canvas:
        has_exif = any(name == b"EXIF" for name, _ in kept)
        flags = canvas[0] & ~(_HAS_XMP | _HAS_EXIF) | (_HAS_EXIF if has_exif else 0)
        kept = [(name, bytes([flags]) + body[1:] if name == b"VP8X" else body) for name, body in kept]
    chunks = b"".join(name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) for name, body in kept)
    width, height = (max(sides) for sides in zip(*sizes, strict=True))
    return PhotoBytes("webp", width, height, b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, last = 12, min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    for _ in range(_MOST_PARTS):
        if at + 8 > last:
            return
        name, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data):
            raise ValueError("a chunk is cut short")
        yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    raise ValueError("it has too many chunks")


def _orientation_only(tiff: bytes) -> bytes:
    """An EXIF block that holds the orientation and nothing else; empty where the picture stands upright."""
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        at = struct.unpack_from(f"{order}I", tiff, 4)[0]
        count = struct.unpack_from(f"{order}H", tiff, at)[0]
        entries = (struct.unpack_from(f"{order}HHIH", tiff, at + 2 + 12 * index) for index in range(count))
        value = next((value for tag, kind, _, value in entries if (tag, kind) == (_ORIENTATION, 3)), 1)
    except (struct.error, KeyError):
        return b""
    if not 2 <= value <= 8:
        return b""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, value, 0, 0)
