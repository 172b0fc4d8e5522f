"""A catalog's build and the catalog service take the same photos, and refuse the others with the same words."""

import io
import re
from functools import partial

import numpy as np
import pytest
from PIL import Image

from contract import images as words
from livecart.shop.errors import InvalidValue
from livecart.shop.repositories.photo_check import check_photo
from recognition.errors import RecognitionError
from recognition.request import images
from recognition.settings import ImageLimits
from tests.shop.photo_files import heic_of, jpeg_of, motion_photo, photo, png_of, with_gain_map

LIMITS = ImageLimits(max_bytes=16 * 1024 * 1024, max_pixels=64 * 1024 * 1024)


decode = partial(images.decode, kinds=words.PHOTO_KINDS)


def picture(width_px=96, height_px=64):
    """Grey, its upper left quarter red."""
    drawn = Image.new("RGB", (width_px, height_px), (90, 90, 90))
    drawn.paste((220, 30, 30), (0, 0, width_px // 2, height_px // 2))
    return drawn


def saved(kind, drawn=None, **options):
    file = io.BytesIO()
    (drawn or picture()).save(file, kind, **options)
    return file.getvalue()


def oriented(kind, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(kind, exif=exif.tobytes(), **options)


TAKEN = {
    "JPEG": saved("JPEG", quality=95),
    "progressive JPEG": saved("JPEG", quality=95, progressive=True),
    "PNG": saved("PNG"),
    "WebP": saved("WEBP", lossless=True),
    "animated WebP": saved("WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (96, 64), "blue")]),
    "animated PNG": saved("PNG", save_all=True, append_images=[Image.new("RGB", (96, 64), "blue")]),
    "motion photo": motion_photo(saved("JPEG", quality=95)),
    "MPO": saved("MPO", quality=95, save_all=True, append_images=[Image.new("RGB", (96, 64), "blue")]),
    "gain map": with_gain_map(saved("JPEG", quality=95)),
    "HEIC": heic_of(picture()),
    "HEIF of any codec": heic_of(picture(), brand=b"mif1"),
    "AVIF": saved("AVIF", quality=90),
    "animated AVIF": saved("AVIF", quality=90, save_all=True, append_images=[Image.new("RGB", (96, 64), "blue")]),
    "AVIF with alpha": saved("AVIF", picture().convert("RGBA"), quality=90),
    "16-bit PNG": saved("PNG", Image.fromarray(np.full((64, 96), 40_000, np.uint16))),
}
REFUSED = {
    "nothing": b"",
    "noise": bytes(range(256)) * 4,
    "GIF": saved("GIF"),
    "TIFF": saved("TIFF"),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "video": b"\0\0\0\x18ftypisom" + bytes(50),
    "cut JPEG": photo(1)[:-200],
    "cut PNG": photo(1, "png")[:60],
    "PNG cut in its header": photo(1, "png")[:20],
    "cut WebP": photo(1, "webp")[:30],
    "script behind a mark": b"\xff\xd8\xff" + b"<script>" * 20,
    "cut HEIC": heic_of(picture())[:-100],
    "cut AVIF": saved("AVIF")[:-100],
    "header of a HEIC alone": b"\0\0\0\x18ftypheic" + bytes(50),
    "too many pixels": png_of(12_000, 10_000),
    "too many scans": jpeg_of(64, 64, scans=80),
    "too many bytes": b"\xff\xd8\xff" + bytes(17 * 1024 * 1024),
}


def build_says(data):
    try:
        decode(data, LIMITS, short_side_px=32)
    except RecognitionError as error:
        return error.message
    return "taken"


def catalog_says(data):
    try:
        check_photo(data)
    except InvalidValue as error:
        return error.text()
    return "taken"


@pytest.mark.parametrize("name", TAKEN)
def test_both_take_it_and_see_the_same_picture(name):
    seen = decode(TAKEN[name], LIMITS, short_side_px=32)
    kept = check_photo(TAKEN[name])
    kept_seen = decode(kept.data, LIMITS, short_side_px=32)
    assert (kept_seen.width, kept_seen.height) == (seen.width, seen.height) == (96, 64)
    assert difference(seen.rgb, kept_seen.rgb) < 4
    if name != "16-bit PNG":
        assert difference(seen.rgb, picture()) < 4


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse_it_with_the_same_words(name):
    build, catalog = build_says(REFUSED[name]), catalog_says(REFUSED[name])
    assert "taken" not in (build, catalog)
    # What a decoder makes of damage is not ours to say.
    build, catalog = (re.sub("(is a damaged .*?): .*", r"\1", text) for text in (build, catalog))
    assert build == f"the image {catalog}"


UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED = {
    **{f"JPEG {turn}": (oriented("JPEG", turn, quality=95), picture().transpose(how)) for turn, how in UPRIGHT.items()},
    "PNG 6": (oriented("PNG", 6), picture().transpose(UPRIGHT[6])),
    "WebP 6": (oriented("WEBP", 6, lossless=True), picture().transpose(UPRIGHT[6])),
    "AVIF 6": (oriented("AVIF", 6, quality=95), picture().transpose(UPRIGHT[6])),
    "HEIC, three quarter turns": (
        heic_of(picture(), quarter_turns=3),
        Image.fromarray(np.rot90(np.asarray(picture()), 3)),
    ),
}


@pytest.mark.parametrize("name", TURNED)
def test_both_turn_it_upright(name):
    data, upright = TURNED[name]
    for each in (data, check_photo(data).data):
        seen = decode(each, LIMITS, short_side_px=32)
        assert (seen.width, seen.height) == upright.size
        assert difference(seen.rgb, upright) < 5


def test_heic_and_avif_are_kept_as_jpeg_of_a_bearable_size():
    kept = check_photo(saved("AVIF", Image.new("RGB", (5000, 2500), "teal"), quality=60, speed=10))
    assert (kept.kind, kept.width_px, kept.height_px) == ("jpeg", 4096, 2048)


def difference(one, other):
    """Mean difference, over sixteenths of each side."""
    first, second = (each.convert("RGB").resize((16, 16), Image.Resampling.BOX) for each in (one, other))
    return np.abs(np.asarray(first).astype(int) - np.asarray(second)).mean()
