"""Print that is recognised turned, scaled and half hidden, and what must not be taken for it."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from recognition.keypoints.extract import (
    NO_MATCH,
    PACKED_BYTES,
    LocalFeatures,
    LocalMatch,
    extract,
    match,
    pack,
    unpack,
)
from tests.drawings import package

WIDTH, HEIGHT = 240, 320
CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64)
SIZE = np.array([WIDTH, HEIGHT], dtype=np.float32)


def gallery(*photos: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.int64]]:
    """The photos' points as shares, packed descriptors and starts, as a catalog keeps them."""
    found = [extract(photo, count=400) for photo in photos]
    shares = [features.xy / np.array(photo.shape[1::-1]) for features, photo in zip(found, photos, strict=True)]
    return (
        np.concatenate(shares).astype(np.float16).astype(np.float32),
        pack(np.concatenate([features.descriptors for features in found])),
        np.cumsum([0, *map(len, found)]).astype(np.int64),
    )


GALLERY = gallery(package(1), package(2), package(3))


def seen(picture: NDArray[np.uint8]) -> list[LocalMatch]:
    return match(extract(picture, count=400), *GALLERY)


def moved(matrix: NDArray[np.float64], *, size: tuple[int, int] = (480, 480)) -> NDArray[np.uint8]:
    """Package 2 on grey, moved by an affine ``matrix`` of its pixels."""
    return cv2.warpAffine(package(2), matrix, size, borderValue=(128, 128, 128))


def turned(degrees: float, scale: float) -> NDArray[np.float64]:
    """About the middle of the package, which comes to lie in the middle of 480 x 480."""
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, scale)
    matrix[:, 2] += (240 - WIDTH / 2, 240 - HEIGHT / 2)
    return matrix


@pytest.mark.parametrize(("degrees", "scale"), [(20, 1.0), (180, 0.8), (-135, 0.9), (0, 1.4), (33, 0.6)])
def test_print_survives_turning_and_scaling(degrees, scale):
    matrix = turned(degrees, scale)

    other, same, another = seen(moved(matrix))

    assert same.inliers > 20
    assert max(other.inliers, another.inliers) < same.inliers / 3
    corners = np.column_stack([CORNERS, np.ones(4)]) @ same.matrix.T
    expected = np.column_stack([CORNERS * SIZE, np.ones(4)]) @ matrix.T
    assert np.abs(corners - expected).max() < 0.02 * HEIGHT


def test_print_survives_a_hand_and_jpeg():
    picture = moved(turned(10, 0.9))
    cv2.circle(picture, (240, 300), 80, (200, 160, 140), -1)
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])
    assert seen(cv2.imdecode(data, cv2.IMREAD_COLOR))[1].inliers > 20


@pytest.mark.parametrize(("count", "scale"), [(3, 0.6), (6, 0.4)])
def test_one_of_several_of_the_same_is_found(count, scale):
    """Side by side, each turned a little otherwise: each holds but a share of the points that match."""
    side = 480 * count // 3
    picture = np.full((480, side, 3), 128, np.uint8)
    for place in range(count):
        matrix = turned(8 * (place % 3) - 8, scale)
        matrix[0, 2] += (place + 0.5) * side / count - 240
        cv2.warpAffine(package(2), matrix, (side, 480), dst=picture, borderMode=cv2.BORDER_TRANSPARENT)

    other, same, another = seen(picture)

    assert same.inliers >= 12
    assert max(other.inliers, another.inliers) < 7
    left, _, right, _ = same.extent
    assert right - left < side / count * 1.3


def test_a_mirrored_package_is_found_by_the_mirrored_features():
    features = extract(np.ascontiguousarray(moved(turned(15, 1.0))[:, ::-1]), count=400)

    other, same, another = match(features.mirrored(480), *GALLERY)

    assert same.inliers > 20
    assert max(other.inliers, another.inliers) < same.inliers / 3
    corners = np.column_stack([CORNERS, np.ones(4)]) @ same.matrix.T
    expected = np.column_stack([CORNERS * SIZE, np.ones(4)]) @ turned(15, 1.0).T
    assert np.abs(corners - expected).max() < 0.02 * HEIGHT


def test_a_mirrored_fit_is_refused():
    """Even where the points themselves would agree."""
    random = np.random.default_rng(0)
    crop = LocalFeatures((random.random((60, 2)) * 300).astype(np.float32), unit_rows(60))
    xy = crop.xy / 300
    starts = np.array([0, 60])
    assert match(crop, xy, pack(crop.descriptors), starts)[0].inliers == 60
    assert match(crop, xy * [-1, 1] + [1, 0], pack(crop.descriptors), starts) == [NO_MATCH]


@pytest.mark.parametrize(
    "shape",
    [
        [[0.1, 0], [0, 0.1]],  # the whole package as a speck
        [[9, 0], [0, 9]],  # far out of the crop
        [[1, 0.9], [0, 0.3]],  # sheared flat
    ],
)
def test_an_implausible_fit_is_refused(shape):
    random = np.random.default_rng(0)
    points = random.random((60, 2))
    descriptors = unit_rows(60)
    crop = LocalFeatures((points * 300).astype(np.float32), descriptors)
    source = points @ np.linalg.inv(np.array(shape))
    result = match(crop, source.astype(np.float32), pack(descriptors), np.array([0, 60]))
    assert result == [NO_MATCH]


@pytest.mark.parametrize("seed", range(10, 12))
def test_other_packages_are_none_of_them(seed):
    """They share a face, and so letters; that is a tenth of what the same package has in common with itself."""
    assert all(result.inliers < 15 for result in seen(package(seed)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (2, 2), (8, 8), (100, 80)])
def test_pictures_of_one_colour_have_no_features(shape):
    found = extract(np.full((*shape, 3), 77, np.uint8), count=100)
    assert len(found) == 0
    assert found.xy.shape == (0, 2)
    assert found.descriptors.shape == (0, 128)


def test_identical_points_are_no_match():
    """All in one place: nothing can be fitted, and nothing may fail."""
    crop = LocalFeatures(np.full((20, 2), 50, np.float32), unit_rows(20))
    (result,) = match(crop, np.full((20, 2), 0.5, np.float32), pack(crop.descriptors), np.array([0, 20]))
    assert result == NO_MATCH


def unit_rows(count: int) -> NDArray[np.float32]:
    """Descriptors like RootSIFT's: none negative, most small."""
    rows = np.random.default_rng(7).random((count, 128)).astype(np.float32) ** 4
    return np.sqrt(rows / rows.sum(axis=1, keepdims=True))


def test_packing_keeps_two_bits_of_each_dimension():
    descriptors = np.zeros((1, 128), np.float32)
    descriptors[0, [0, 1, 2, 3, 5]] = [0.02, 0.05, 0.1, 0.9, 0.9]
    packed = pack(descriptors)
    assert packed.shape == (1, PACKED_BYTES)
    assert packed.dtype == np.uint8
    assert packed[0, :2].tolist() == [0b11_10_01_00, 0b00_00_11_00]
    assert not packed[0, 2:].any()


def test_unpacked_descriptors_are_close_to_what_was_packed():
    descriptors = extract(package(4), count=300).descriptors
    again = unpack(pack(descriptors))
    assert (descriptors * again).sum(axis=1).min() > 0.9
    # Each is nearer to itself than to any other.
    assert ((descriptors @ again.T).argmax(axis=1) == np.arange(len(descriptors))).mean() > 0.97
