"""The network's input must be the one that the weights were validated with: torchvision's Resize and CenterCrop."""

from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from recognition.request import images
from recognition.settings import Preprocessing
from tests.stand_ins import LIMITS, encoded, noise, solid

INTERPOLATION = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


def preprocessing(interpolation: str = "bicubic", *, input_px: int = 260, resize_px: int = 297) -> Preprocessing:
    return Preprocessing(
        input_px=input_px, resize_px=resize_px, interpolation=interpolation, mean=(0.5,) * 3, std=(0.5,) * 3
    )


def difference(image: Image.Image, spec: Preprocessing) -> np.ndarray:
    """Grey levels between our crop and torchvision's."""
    reference = Compose([Resize(spec.resize_px, INTERPOLATION[spec.interpolation]), CenterCrop(spec.input_px)])
    photo = images.Photo(rgb=image, width=image.width, height=image.height)
    return np.abs(images.centre_crop(photo, spec).astype(int) - np.asarray(reference(image)).astype(int))


def soft_noise(width: int, height: int) -> Image.Image:
    """Random pixels without black and white.

    Bicubic overshoots, Pillow clips between its two passes, and which pass comes first depends on the box: at black
    and white two correct resizes differ by more than a level.
    """
    return Image.fromarray((np.asarray(noise(width, height)) // 2 + 64).astype(np.uint8))


@pytest.mark.parametrize("interpolation", INTERPOLATION)
@pytest.mark.parametrize(
    "size",
    [(640, 360), (360, 640), (500, 333), (333, 500), (311, 797), (297, 297), (260, 260), (100, 75), (7, 5), (1, 50)],
)
def test_the_crop_is_torchvisions_to_a_grey_level_or_two(size, interpolation):
    # Random pixels are the hardest case: half a pixel beside the grid, and they differ by dozens of levels.
    gap = difference(soft_noise(*size), preprocessing(interpolation))
    assert gap.max() <= 2
    assert (gap > 1).mean() < 1e-4


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png"])
def test_the_crop_of_a_real_photo_is_torchvisions(name, turned):
    photo = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
    gap = difference(photo.transpose(Image.Transpose.ROTATE_90) if turned else photo, preprocessing())
    assert (gap > 1).mean() < 1e-3
    assert gap.mean() < 0.3


def test_the_comparison_would_notice_a_square_half_a_pixel_beside():
    image = soft_noise(640, 360)
    moved = image.transform(image.size, Image.Transform.AFFINE, (1, 0, 0.5, 0, 1, 0), Image.Resampling.BILINEAR)
    spec = preprocessing()
    photo = images.Photo(rgb=moved, width=640, height=360)
    ours = images.centre_crop(images.Photo(rgb=image, width=640, height=360), spec).astype(int)
    assert np.abs(images.centre_crop(photo, spec).astype(int) - ours).max() > 10


def test_a_crop_as_large_as_the_resized_image_is_torchvisions_too():
    assert difference(soft_noise(91, 64), preprocessing(input_px=224, resize_px=224)).max() <= 1


def test_a_large_photo_is_shrunk_in_two_steps_and_hardly_anyone_sees_it():
    # The whole-factor first step is not exact; with a coarser one even the mean would be off by more than a level.
    gap = difference(soft_noise(2400, 1800), preprocessing())
    assert gap.max() <= 6
    assert gap.mean() < 1


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1), (2, 30_000)])
def test_strips_of_a_pixel_cost_no_more_than_a_square(size):
    # Resizing all of such a strip first would make an image of over a gigabyte.
    data = encoded(solid((10, 120, 240), size=size))
    photo = images.decode(data, LIMITS, short_side_px=297)
    square = images.centre_crop(photo, preprocessing())
    assert (photo.width, photo.height) == size
    assert square.shape == (260, 260, 3)
    assert (square == (10, 120, 240)).all()


def test_the_crop_is_bytes_in_the_order_that_the_network_takes():
    photo = images.Photo(rgb=solid((1, 2, 3)), width=40, height=30)
    square = images.centre_crop(photo, preprocessing(input_px=8, resize_px=10))
    assert square.dtype == np.uint8
    assert square[0, 0].tolist() == [1, 2, 3]


def test_the_crop_of_a_decoded_jpeg_is_close_to_that_of_the_whole_one():
    rows, columns = np.mgrid[0:1500, 0:2000]
    waves = (127 + 100 * np.sin(rows / 60) * np.sin(columns / 50)).astype(np.uint8)
    data = encoded(Image.fromarray(np.stack([waves] * 3, axis=-1)), "JPEG", quality=95)
    spec = preprocessing()
    scaled = images.decode(data, LIMITS, short_side_px=spec.resize_px)
    whole = images.decode(data, LIMITS, short_side_px=1500)
    assert scaled.rgb.size < whole.rgb.size
    gap = np.abs(images.centre_crop(scaled, spec).astype(int) - images.centre_crop(whole, spec).astype(int))
    assert gap.mean() < 1
