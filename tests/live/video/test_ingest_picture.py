"""Pictures: colour, scale, orientation."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from livecart.live.video import ArrayPicture, VideoPicture
from livecart.live.video.picture import Display


def scene(width_px=640, height_px=360):
    """Smooth colours with a red corner, as RGB."""
    y, x = np.mgrid[0:height_px, 0:width_px].astype(float)
    rgb = np.stack([90 + 80 * np.sin(x / 60), 110 + 60 * np.cos(y / 50), 60 + 120 * x / width_px], axis=2)
    rgb[: height_px // 4, : width_px // 4] = (220, 30, 30)
    return rgb.round().astype(np.uint8)


def as_yuv(rgb, matrix="itu601", colour_range="MPEG"):
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=colour_range)


def decoded(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def difference(one, other):
    return np.abs(one.astype(float) - other.astype(float)).mean()


@pytest.mark.parametrize("matrix", ["itu601", "itu709"])
@pytest.mark.parametrize("colour_range", ["MPEG", "JPEG"])
def test_colours_survive_whatever_matrix_and_range_the_stream_has(matrix, colour_range):
    picture = VideoPicture(as_yuv(scene(), matrix, colour_range))
    jpeg, scale = picture.jpeg(2000)
    assert scale == 1.0
    assert difference(decoded(jpeg), scene()) < 3.0
    small = np.asarray(Image.fromarray(scene()).resize((80, 45), Image.Resampling.BOX))
    assert difference(picture.thumbnail(80, 45), small) < 4.0


def test_a_wrong_matrix_would_be_seen():
    frame = as_yuv(scene(), "itu709")
    frame.colorspace = 5
    assert difference(decoded(VideoPicture(frame).jpeg(2000)[0]), scene()) > 4.0


def test_jpeg_has_no_longer_side_than_asked_and_is_never_enlarged():
    picture = ArrayPicture(scene(641, 359))
    jpeg, scale = picture.jpeg(320)
    assert decoded(jpeg).shape == (179, 320, 3)
    assert scale == pytest.approx(320 / 641)
    assert decoded(picture.jpeg(5000)[0]).shape == (359, 641, 3)
    assert decoded(ArrayPicture(scene(3, 900)).jpeg(100)[0]).shape == (100, 1, 3)


def test_array_pictures_are_copies():
    rgb = scene()
    picture = ArrayPicture(rgb[:, ::-1])
    rgb[:] = 0
    assert difference(picture.thumbnail(640, 360), scene()[:, ::-1]) < 1.0
    assert picture.thumbnail(64, 36).dtype == np.uint8


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("is_upside_down", [False, True])
@pytest.mark.parametrize("aspect", [1.0, 2.0, 0.5])
def test_the_display_is_applied_to_everything(is_transposed, is_mirrored, is_upside_down, aspect):
    picture = VideoPicture(as_yuv(scene()), Display(is_transposed, is_mirrored, is_upside_down, aspect))
    shown = Image.fromarray(scene()).resize((640, 720) if aspect < 1 else (round(640 * aspect), 360))
    shown = shown.transpose(Image.Transpose.TRANSPOSE) if is_transposed else shown
    shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if is_mirrored else shown
    shown = shown.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if is_upside_down else shown
    assert (picture.width_px, picture.height_px) == shown.size
    assert difference(picture.thumbnail(*shown.size), np.asarray(shown)) < 3.0
    jpeg, scale = picture.jpeg(160)
    small = shown.resize((round(picture.width_px * scale), round(picture.height_px * scale)))
    assert difference(decoded(jpeg), np.asarray(small)) < 4.0


@pytest.mark.parametrize("aspect", [None, Fraction(0), Fraction(1000, 1), Fraction(1, 1000)])
def test_an_aspect_of_no_camera_counts_as_square(aspect):
    frame = as_yuv(scene())
    assert VideoPicture(frame, Display.of(frame, aspect)).width_px == 640


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p", "nv12", "gray", "yuvj420p", "rgba"])
def test_pixel_formats_of_all_kinds(pixel_format):
    frame = av.VideoFrame.from_ndarray(scene(), format="rgb24").reformat(format=pixel_format)
    picture = VideoPicture(frame)
    assert picture.thumbnail(32, 18).shape == (18, 32, 3)
    assert decoded(picture.jpeg(320)[0]).shape == (180, 320, 3)
