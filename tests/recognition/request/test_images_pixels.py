"""From any pixel format and orientation to upright RGB on white."""

import numpy as np
import pytest
from PIL import Image

from recognition.request import images
from tests.stand_ins import LIMITS, encoded, solid

WHITE = (255, 255, 255)
#: EXIF 2.32, table 6: how an upright picture lies in a file of each orientation.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


def decode(data: bytes) -> images.Photo:
    return images.decode(data, LIMITS, short_side_px=4096)


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_undone_and_the_size_is_that_of_the_upright_picture(orientation, kind):
    # Four colours in 16 px blocks: JPEG keeps them, and every orientation puts them elsewhere.
    upright = np.zeros((32, 48, 3), dtype=np.uint8)
    upright[:16, :16], upright[:16, 16:], upright[16:, :32], upright[16:, 32:] = 250, (250, 0, 0), (0, 0, 250), 60
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    quality = {"PNG": {}, "WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}[kind]

    photo = decode(encoded(stored, kind, exif=oriented(orientation), **quality))

    assert (photo.width, photo.height) == (48, 32)
    assert photo.rgb.size == (48, 32)
    assert np.abs(np.asarray(photo.rgb).astype(int) - upright).max() <= 3


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\1\2", b"Exif\0\0"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_broken_exif_block_does_not_spoil_the_picture(kind, exif):
    photo = decode(encoded(solid("red", size=(48, 32)), kind, exif=exif))
    assert (photo.width, photo.height) == (48, 32)
    assert photo.rgb.getpixel((9, 9))[0] > 250


def test_a_cmyk_jpeg_has_the_colours_that_were_printed():
    red, green, blue = decode(encoded(solid((0, 255, 255, 0), mode="CMYK"), "JPEG")).rgb.getpixel((9, 9))
    assert red > 230
    assert green < 40
    assert blue < 40


def test_16_bit_grey_is_scaled_and_not_clipped():
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16)[None, :].repeat(8, axis=0)
    rgb = np.asarray(decode(encoded(Image.fromarray(ramp))).rgb).astype(int)
    assert np.abs(rgb[0, :, 0] - np.linspace(0, 255, 64)).max() <= 1
    assert (rgb[..., 0] == rgb[..., 1]).all()
    assert (rgb[..., 0] == rgb[..., 2]).all()


def half(image: Image.Image, colour: int | tuple[int, ...]) -> Image.Image:
    """The picture, its right half in that colour."""
    image.paste(colour, (20, 0, 40, 30))
    return image


def palette() -> Image.Image:
    image = Image.new("P", (40, 30), 0)
    image.putpalette([10, 20, 30, 0, 200, 0])
    return half(image, 1)


@pytest.mark.parametrize(
    ("data", "left", "right"),
    [
        (encoded(half(solid((255, 0, 0, 0), mode="RGBA"), (0, 0, 255, 255))), WHITE, (0, 0, 255)),
        (
            encoded(half(solid((255, 0, 0, 0), mode="RGBA"), (0, 0, 255, 255)), "WEBP", lossless=True),
            WHITE,
            (0, 0, 255),
        ),
        (encoded(half(solid((255, 0, 0, 128), mode="RGBA"), (255, 0, 0, 255))), (255, 127, 127), (255, 0, 0)),
        (encoded(half(solid((0, 0), mode="LA"), (40, 255))), WHITE, (40, 40, 40)),
        (encoded(palette(), transparency=0), WHITE, (0, 200, 0)),
        (encoded(palette(), transparency=b"\x00\xff"), WHITE, (0, 200, 0)),
        (encoded(half(solid((1, 2, 3)), (9, 9, 9)), transparency=(1, 2, 3)), WHITE, (9, 9, 9)),
        (encoded(half(solid(3, mode="L"), 9), transparency=3), WHITE, (9, 9, 9)),
        (encoded(half(solid(1, mode="1"), 0)), WHITE, (0, 0, 0)),
        (encoded(solid(77, mode="L"), "JPEG"), (77, 77, 77), (77, 77, 77)),
    ],
    ids=[
        "rgba",
        "webp",
        "half",
        "grey",
        "palette",
        "palette's alpha",
        "declared",
        "declared grey",
        "1 bit",
        "grey jpeg",
    ],
)
def test_every_pixel_format_becomes_rgb_on_white(data, left, right):
    rgb = decode(data).rgb
    assert rgb.mode == "RGB"
    assert rgb.getpixel((5, 5)) == pytest.approx(left, abs=1)
    assert rgb.getpixel((30, 5)) == pytest.approx(right, abs=1)
