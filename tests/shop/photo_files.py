"""Photos drawn for tests, and files that only look like photos."""

import io
import struct
import zlib

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

FORMATS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}


def photo(seed: int = 0, kind: str = "jpeg", width_px: int = 60, height_px: int = 80) -> bytes:
    """A photo whose bytes differ by seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((width_px, height_px))
    file = io.BytesIO()
    picture.save(file, FORMATS[kind], **({"lossless": True} if kind == "webp" else {}))
    return file.getvalue()


def png_of(width_px: int, height_px: int, *, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG that says it has this size, with data for a line of it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width_px, height_px, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg_of(width_px: int, height_px: int, *, scans: int = 1) -> bytes:
    """A progressive JPEG that says it has this size, its last scan so often."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "JPEG", progressive=True)
    data = bytearray(file.getvalue())
    at = data.index(b"\xff\xc2")
    data[at + 5 : at + 9] = struct.pack(">HH", height_px, width_px)
    last = bytes(data[data.rindex(b"\xff\xda") : -2])
    return bytes(data[:-2]) + last * (scans - 1) + b"\xff\xd9"


def webp_of(width_px: int, height_px: int) -> bytes:
    """A lossless WebP that says it has this size."""
    data = bytearray(photo(1, "webp"))
    at = data.index(b"VP8L") + 9
    data[at : at + 4] = struct.pack("<I", (width_px - 1) | (height_px - 1) << 14)
    return bytes(data)


def photo_of_a_phone(kind: str = "jpeg", orientation: int = 6) -> bytes:
    """A photo with the place it was taken at, the phone and its owner, a comment, and a script behind its end."""
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = orientation, "iPhone of Zhang San"
    exif.get_ifd(0x8825).update({1: "N", 2: (31.0, 13.0, 49.0), 3: "E", 4: (121.0, 28.0, 25.0)})
    file = io.BytesIO()
    Image.open(io.BytesIO(photo(1, kind))).save(
        file, FORMATS[kind], exif=exif.tobytes(), **({"lossless": True, "xmp": b"Zhang"} if kind == "webp" else {})
    )
    return file.getvalue() + b"<script>alert(1)</script>"


def heic_of(picture: Image.Image, *, quarter_turns: int = 0, brand: bytes = b"heic") -> bytes:
    """A HEIC file (ISO/IEC 23008-12) of one HEVC picture, turned counterclockwise so often when it is shown."""
    mp4 = io.BytesIO()
    with av.open(mp4, "w", format="mp4") as output:
        stream = output.add_stream("libx265", rate=1, options={"x265-params": "log-level=none:keyint=1", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = *picture.size, "yuv420p"
        output.mux([*stream.encode(av.VideoFrame.from_image(picture)), *stream.encode(None)])
    data = mp4.getvalue()

    def inside(name: bytes) -> bytes:
        at = data.index(name)
        return data[at + 4 : at - 4 + int.from_bytes(data[at - 4 : at])]

    def box(name: bytes, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return struct.pack(">I4s", len(body) + 8, name) + body

    def full(name: bytes, *parts: bytes, version: int = 0) -> bytes:
        return box(name, struct.pack(">I", version << 24), *parts)

    coded = inside(b"mdat")
    properties = [
        box(b"hvcC", inside(b"hvcC")),
        full(b"ispe", struct.pack(">II", *picture.size)),
        box(b"irot", bytes([quarter_turns])),
    ]

    def meta(offset: int) -> bytes:
        return full(
            b"meta",
            full(b"hdlr", struct.pack(">I4s12xB", 0, b"pict", 0)),
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iloc", struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, offset, len(coded))),
            full(b"iinf", struct.pack(">H", 1), full(b"infe", struct.pack(">HH4sB", 1, 0, b"hvc1", 0), version=2)),
            box(
                b"iprp",
                box(b"ipco", *properties),
                full(b"ipma", struct.pack(">IHB3B", 1, 1, 3, 0x80 | 1, 2, 0x80 | 3)),
            ),
        )

    head = box(b"ftyp", brand, bytes(4), b"mif1heic")
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", coded)


def motion_photo(still: bytes, megabytes: float = 5.0) -> bytes:
    """A phone's JPEG with a video behind its end, here as noise that often looks like a scan's beginning."""
    noise = bytearray(np.random.default_rng(5).integers(0, 256, round(megabytes * 2**20), dtype=np.uint8).tobytes())
    for at in range(0, len(noise) - 2, 50_000):
        noise[at : at + 2] = b"\xff\xda"
    return still + b"\0\0\0\x18ftypmp42" + bytes(noise)


def with_gain_map(still: bytes) -> bytes:
    """A JPEG with a second, smaller one behind it, which says how much brighter HDR displays are to show each place."""
    file = io.BytesIO()
    Image.open(io.BytesIO(still)).save(file, "MPO", save_all=True, append_images=[Image.new("L", (16, 16), 128)])
    return file.getvalue()


def layouts() -> dict[str, bytes]:
    """A plain photo, and pictures that are none, by what `layout_of` says of them."""
    plain = Image.open(io.BytesIO(photo(3, width_px=400, height_px=400)))
    collage = Image.new("RGB", (800, 800))
    for place in range(4):
        piece = Image.open(io.BytesIO(photo(20 + place, width_px=400, height_px=400)))
        collage.paste(piece, (place % 2 * 400, place // 2 * 400))
    chart = Image.new("RGB", (700, 600), "white")
    over = plain.resize((800, 800))
    small, large = ImageFont.load_default(34), ImageFont.load_default(96)
    for row in range(8):
        for column in range(6):
            ImageDraw.Draw(chart).text((30 + column * 110, 30 + row * 70), f"{row}{column}8", "black", small)
    for row in range(5):
        line = (20, 40 + row * 140)
        ImageDraw.Draw(over).text(line, "BUY TWO GET ONE", "white", large, stroke_width=3, stroke_fill="red")
    framed = ImageOps.pad(plain.resize((300, 500)), (800, 800), color="white")
    drawn = {"photo": plain, "framed": framed, "collage": collage, "chart": chart, "over": over}
    files = {}
    for name, picture in drawn.items():
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=85)
        files[name] = file.getvalue()
    return files
