"""Which bytes are accepted as an image, which are refused, and as what."""

import io

import pytest
from PIL import Image

from recognition.errors import BadImage, ImageTooLarge, UnsupportedImage
from recognition.request import images
from recognition.settings import ImageLimits
from tests.stand_ins import LIMITS, encoded, noise, png_claiming, solid

WHOLE = {
    "JPEG": encoded(noise(60, 40), "JPEG"),
    "PNG": encoded(noise(60, 40), "PNG"),
    "WEBP": encoded(noise(60, 40), "WEBP"),
}


def decode(data: bytes, *, limits: ImageLimits = LIMITS, short_side_px: int = 32) -> images.Photo:
    return images.decode(data, limits, short_side_px=short_side_px)


@pytest.mark.parametrize("kind", WHOLE)
def test_jpeg_png_and_webp_are_read_as_rgb_of_their_size(kind):
    photo = decode(WHOLE[kind])
    assert (photo.width, photo.height) == (60, 40)
    assert photo.rgb.mode == "RGB"


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.95])
def test_an_image_cut_short_is_a_bad_image(kind, kept):
    whole = WHOLE[kind]
    with pytest.raises(BadImage):
        decode(whole[: int(len(whole) * kept)])


def test_a_png_cut_short_is_bad_even_where_its_exif_would_stand_behind_the_cut():
    # Looking for the orientation of a PNG decodes it; what that met must not be forgotten.
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded(noise(60, 40), "PNG", exif=exif)
    with pytest.raises(BadImage):
        decode(whole[: len(whole) // 2])


@pytest.mark.parametrize("data", [bytes(1000), b"hello"])
def test_bytes_that_are_no_image_are_a_bad_image(data):
    with pytest.raises(BadImage, match="is no JPEG, PNG or WebP"):
        decode(data)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1avif" + bytes(40), "AVIF"),
        (encoded(solid("red"), "AVIF"), "AVIF"),
    ],
)
def test_a_frame_is_of_no_kind_whose_header_does_not_bound_what_decoding_takes(data, kind):
    with pytest.raises(UnsupportedImage, match=f"is {kind}, which is not read; send JPEG, PNG or WebP$"):
        decode(data)


# Pillow itself warns from 89 and refuses from 179 megapixels on: below, between and above.
@pytest.mark.parametrize("size", [(8193, 8192), (10_000, 10_000), (50_000, 50_000)])
def test_a_header_that_claims_too_many_pixels_is_too_large_whatever_pillow_says(size):
    with pytest.raises(ImageTooLarge, match="pixels"):
        decode(png_claiming(*size))


def test_as_many_pixels_as_the_limit_are_accepted_and_one_more_is_not():
    data = encoded(noise(20, 10))
    assert decode(data, limits=ImageLimits(max_bytes=1 << 20, max_pixels=200)).width == 20
    with pytest.raises(ImageTooLarge, match=r"20x10.*199"):
        decode(data, limits=ImageLimits(max_bytes=1 << 20, max_pixels=199))


def test_as_many_bytes_as_the_limit_are_accepted_and_one_more_is_not():
    data = WHOLE["PNG"]
    assert decode(data, limits=ImageLimits(max_bytes=len(data), max_pixels=1 << 20)).width == 60
    with pytest.raises(ImageTooLarge, match=f"{len(data)} bytes"):
        decode(data, limits=ImageLimits(max_bytes=len(data) - 1, max_pixels=1 << 20))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_a_real_image_of_another_format_is_named_in_the_refusal(kind):
    with pytest.raises(UnsupportedImage, match=f"is {kind}, which is not read; send JPEG, PNG or WebP"):
        decode(encoded(noise(20, 10), kind))


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_read(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(solid("red"), kind, save_all=True, append_images=[solid("blue")], **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2
    assert decode(data).rgb.getpixel((5, 5)) == (255, 0, 0)


def test_a_50_megapixel_jpeg_is_scaled_while_it_is_decoded():
    # Decoding all of it would cost about a second and 150 MB; an eighth of each side is still more than needed.
    data = encoded(solid((200, 100, 50), size=(8160, 6120)), "JPEG")
    photo = decode(data, short_side_px=297)
    assert (photo.width, photo.height) == (8160, 6120)
    assert photo.rgb.size == (1020, 765)


def progressive(size: tuple[int, int], scans: int) -> bytes:
    """A progressive JPEG whose last scan stands in it again and again: each makes the decoder go over all pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * (scans - whole.count(b"\xff\xda")) + whole[-2:]


@pytest.mark.parametrize(("size", "scans"), [((32, 32), 65), ((3000, 3000), 60), ((32, 32), 5000)])
def test_a_jpeg_of_too_many_scans_is_too_large(size, scans):
    limits = ImageLimits(max_bytes=1 << 24, max_pixels=3000 * 3000)
    with pytest.raises(ImageTooLarge, match="scans"):
        images.decode(progressive(size, scans), limits, short_side_px=100)


@pytest.mark.parametrize(("size", "scans"), [((32, 32), 64), ((3000, 3000), 12)])
def test_an_ordinary_progressive_jpeg_is_read(size, scans):
    limits = ImageLimits(max_bytes=1 << 24, max_pixels=3000 * 3000)
    photo = images.decode(progressive(size, scans), limits, short_side_px=100)
    assert (photo.width, photo.height) == size


def test_a_large_transparent_image_is_shrunk_before_it_is_copied():
    buffer = io.BytesIO()
    Image.new("RGBA", (2400, 1800), (255, 0, 0, 128)).save(buffer, "PNG")
    limits = ImageLimits(max_bytes=1 << 24, max_pixels=3000 * 3000)
    photo = images.decode(buffer.getvalue(), limits, short_side_px=100)
    assert (photo.width, photo.height) == (2400, 1800)
    assert max(photo.rgb.size) <= 600
    assert photo.rgb.getpixel((10, 10)) == pytest.approx((255, 127, 127), abs=1)
