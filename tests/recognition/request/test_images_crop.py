"""The network's input must be the one that the weights were validated with: torchvision's Resize and CenterCrop."""

import numpy as np
import pytest
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
