"""Fit in which directions a backbone's photo vectors count, and write fitted/projections/<backbone>.npz.

Each photo is shown to the network as it is and many times as a host would hold it (scripts/evaluation/as_held.py). What
differs between views of one photo tells nothing of the product: the inverse of that covariance is what vectors are
compared by, and the directions that vary most between all views are kept. No label is looked at. Drawn packages are
added to the photos of the folders. What parts of the backgrounds look like is fitted as well, as windows of the dense
pass and as crops, so that what resembles everything a little draws no look and makes no card. The same folders and seed
give the same file, up to rounding.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from archive_files import unpack
from clips.catalog_photos import take_photo
from clips.designs import design_products
from evaluation.as_held import Rgb, as_held
from evaluation.backend import fit_parser
from evaluation.backgrounds import find_pictures, load_picture
from recognition.errors import ConfigurationError
from recognition.find.views import crop, dense_maps, pool, windows_of
from recognition.index.vectors import (
    CROP_PX,
    Background,
    VectorSpace,
    crop_vectors,
    fit_square,
    hellinger,
    save_space,
    space_of,
)
from recognition.network.artifact import BackboneInfo, read_info
from recognition.network.runtime import Runtime, open_runtime
from recognition.settings import RuntimeChoice

#: Longer side at which photos are kept.
_PHOTO_PX = 640
_BATCH = 8
#: Added to every direction's variance, as a share of the largest. On drinks whose photos the fit had not seen, R@1 of
#: crops of composed frames was 0.68 with 0.003, 0.66 with 0.01 and 0.67 with 0.001 (0.50 without a projection).
_LEAST_VARIANCE = 0.003
#: 512 of the 1,280 directions: all of them gave 0.70, 384 gave 0.65.
_DIMENSIONS = 512
#: Of 512. On composed frames of drinks, with backgrounds that the fit had not seen, one of the three windows followed
#: up lay on the product in 0.90 to 0.92 of the frames with 32, 64, 128 or all of them; without any background in 0.77.
_BACKGROUND_DIRECTIONS = 64
#: Crops of each background, and cells of the windows' grid along its longer side, as in the dense pass.
_CROPS_OF_EACH = 4
_GRID_CELLS = 20

Averages = NDArray[np.float32]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="livecart-fit-") as temporary:
        folder = unpack(options.archive, Path(temporary) / "archive")
        info = read_info(folder)
        runtime = open_runtime(folder, info, RuntimeChoice(threads=options.threads), gpu_id=None)
        backgrounds = [_small(load_picture(picture)) for picture in find_pictures(options.backgrounds)]
        mean, axes = _axes_of(info) if options.backgrounds_only else _fit_axes(options, runtime, backgrounds)
        space = VectorSpace("fitted", mean, axes)
        windows = windows_seen(runtime, space, track(backgrounds, description="windows of backgrounds"))
        rng = np.random.default_rng(options.seed)
        crops = crops_seen(runtime, space, track(backgrounds, description="crops of backgrounds"), rng)
    print(save_space(info.name, mean, axes, windows=fit_background(windows), crops=fit_background(crops)), axes.shape)
    return 0


def _axes_of(info: BackboneInfo) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    space = space_of(info)
    if space.mean is None or space.axes is None:
        raise ConfigurationError(f"{info.name} has no axes yet: fit them first, without --backgrounds-only")
    return space.mean, space.axes


def _fit_axes(
    options: argparse.Namespace, runtime: Runtime, backgrounds: Sequence[Rgb]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    groups = []
    for name, photos in _photos(options):
        rng = np.random.default_rng(options.seed)
        shown = track(photos, description=name)
        views = [_views(runtime, photo, backgrounds, options.views, rng) for photo in shown]
        groups.append(hellinger(np.stack(views)))
    return fit(groups, dimensions=min(_DIMENSIONS, groups[0].shape[-1]))


def fit(groups: Sequence[Averages], *, dimensions: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (C,) and axes (C, ``dimensions``) from groups (photos, views, C), each of which counts as much."""
    channels = groups[0].shape[-1]
    mean = np.mean([group.reshape(-1, channels).mean(axis=0) for group in groups], axis=0)
    within = np.mean([_covariance(group - group.mean(axis=1, keepdims=True)) for group in groups], axis=0)
    variance, directions = np.linalg.eigh(within)
    whitening = directions / np.sqrt(np.maximum(variance, 0.0) + _LEAST_VARIANCE * variance[-1])
    spread = np.mean([_covariance((group - group.mean(axis=(0, 1))) @ whitening) for group in groups], axis=0)
    _, kept = np.linalg.eigh(spread)
    return mean.astype(np.float32), (whitening @ kept[:, ::-1][:, :dimensions]).astype(np.float32)


def windows_seen(runtime: Runtime, space: VectorSpace, pictures: Iterable[Rgb]) -> NDArray[np.float32]:
    """Vectors (N, D) of all windows of pictures without products, as the dense pass sees them."""
    parts = []
    for picture in pictures:
        [feature_map] = dense_maps(runtime, [Image.fromarray(picture)])
        parts.append(space.vectors(pool(feature_map, windows_of(*feature_map.shape[1:]))))
    return np.concatenate(parts)


def crops_seen(
    runtime: Runtime, space: VectorSpace, pictures: Iterable[Rgb], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vectors (N, D) of crops at random windows of pictures without products, cut out as those of a frame are."""
    vectors = []
    for picture in pictures:
        frame = Image.fromarray(picture)
        rows, columns = (max(3, round(side / max(frame.size) * _GRID_CELLS)) for side in (frame.height, frame.width))
        cells = windows_of(rows, columns).cells
        chosen = cells[rng.choice(len(cells), _CROPS_OF_EACH)] * np.array(
            [frame.width / columns, frame.height / rows] * 2
        )
        crops = [crop(frame, (x1, y1, x2, y2))[0] for x1, y1, x2, y2 in chosen.tolist()]
        vectors.append(crop_vectors(runtime, space, crops))
    return np.concatenate(vectors)


def fit_background(parts: NDArray[np.float32]) -> Background:
    """Mean, main directions and what is left of them, of vectors (N, D)."""
    mean = parts.mean(axis=0)
    variance, directions = np.linalg.eigh(_covariance(parts - mean))
    count = min(_BACKGROUND_DIRECTIONS, len(variance) - 1)
    axes = directions[:, -count:] * np.sqrt(np.maximum(variance[-count:], 0.0))
    return Background(mean, axes.astype(np.float32), float(variance[:-count].mean()))


def _covariance(deviations: NDArray[np.floating]) -> NDArray[np.float64]:
    rows = deviations.reshape(-1, deviations.shape[-1]).astype(np.float64)
    return np.asarray(rows.T @ rows / len(rows))


def _photos(options: argparse.Namespace) -> Iterator[tuple[str, list[Rgb]]]:
    for folder in options.data:
        yield folder.name, [_small(load_picture(picture)) for picture in find_pictures([folder])]
    if options.drawn:
        rng = np.random.default_rng(options.seed)
        designs = design_products(options.drawn, options.seed)
        yield "drawn packages", [_small(take_photo(design, rng)) for design in designs]


def _views(
    runtime: Runtime, photo: Rgb, backgrounds: Sequence[Rgb], count: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Averaged features (1 + count, C)."""
    cv2.setNumThreads(1)
    squares = [fit_square(Image.fromarray(photo))]
    squares += [as_held(photo, backgrounds, CROP_PX, rng) for _ in range(count)]
    batches = [np.stack(squares[first : first + _BATCH]) for first in range(0, len(squares), _BATCH)]
    return np.concatenate([runtime.features(batch).mean(axis=(2, 3)) for batch in batches])


def _small(rgb: NDArray[np.uint8]) -> Rgb:
    image = Image.fromarray(rgb)
    image.thumbnail((_PHOTO_PX, _PHOTO_PX))
    return np.asarray(image)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = fit_parser(__doc__, data="folders of photos, of anything", backgrounds="photos to put behind them")
    parser.add_argument("--drawn", type=int, default=200, help="drawn packages to add (default: %(default)s)")
    parser.add_argument("--views", type=int, default=9, help="views of each photo as held (default: %(default)s)")
    parser.add_argument(
        "--backgrounds-only", action="store_true", help="keep the directions: snapshots made before stay valid"
    )
    parser.add_argument("--threads", type=int, default=2, help="of the network (default: %(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
