"""Fit what each kind of evidence is worth, and write it to handler/recognition/calibrations/<backbone>.json.

Shows photos and composed frames of labelled products (folders like those of scripts/evaluate.py) to the recogniser,
with catalogs of none, one and three photos for each product, some products left out, and frames of nothing. What the
recogniser then holds in its hands, before any weight is applied, is fitted by maximum likelihood; no weight can become
negative. That is done twice: first all weights, with the products left out counting much, because they are what is
easily confused; then only their scale and that of "none", with the left out counting as seldom as a room shows them, so
that a confidence is right as often as it says. Weights belong to kinds of evidence and never to products. The same
folders and seed give the same file.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from evaluation import images as asked_images
from evaluation.backend import build, open_recognizer, unpack
from evaluation.backgrounds import Picture, find_pictures
from evaluation.dataset import Dataset, Split, load_dataset, split, write_catalog
from evaluation.fit_options import fit_parser
from recognition import evidence as ev
from recognition.artifact import read_info
from recognition.calibration import FALLBACK, Calibration, Weights
from recognition.fuse import FEATURES, features
from recognition.recognizer import Recognizer
from recognition.scene import Region, Scene

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parent.parent
CALIBRATIONS = ROOT / "handler" / "recognition" / "calibrations"
#: Pulls weights that the data say nothing about towards zero.
_RIDGE = 1e-3
_ROUNDS = 500
#: What a picture counts beside one of a product of the catalog, when weights are fitted and when their scale is: one of
#: a product left out, and one of nothing. Frames of an empty table far outnumber all others, and are silent by a wide
#: margin anyway.
_LEFT_OUT_WEIGHT = (0.5, 0.05)
_EMPTY_WEIGHT = (0.05, 0.025)
_CATALOG_WEIGHT = (1.0, 1.0)
#: A classifier's label was never the only way to tell products apart in this data: its weight is set, not fitted.
_LABEL_WEIGHT = 2.0
#: Features of the network's vectors; the calibration for any backbone goes without them.
_OF_BACKBONE = ("photo_squared",)
#: Features of products that are known by their names alone: their scale is a matter of its own.
_OF_NAMES_ALONE = ("read_only_name", "read_only_name_share")
_OF_TEXT = tuple(name for name in FEATURES if name.startswith("read_"))


@dataclass(frozen=True)
class Sample:
    """Candidates' features (C, F) in one region, the row of the product that it shows or C for none.

    ``weights`` are what it counts when weights are fitted, and when their scale is.
    """

    rows: NDArray[np.float32]
    target: int
    weights: tuple[float, float]


@dataclass(frozen=True)
class Round:
    """One catalog and how it is looked at."""

    dataset: Dataset
    shots: int
    gallery: str | None
    frames: bool
    seed: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 on success."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="livecart-fit-") as temporary:
        archive = unpack(options.archive, Path(temporary) / "archive")
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        samples = [
            sample
            for each in _rounds(options.data, options.seed)
            for sample in _of_round(each, archive, work, options.limit, options.backgrounds)
        ]
        name = read_info(archive).name
    fitted_on = f"{', '.join(folder.name for folder in options.data)}; {len(samples)} regions; seed {options.seed}"
    for backbone, left_out in ((name, ()), (FALLBACK, _OF_BACKBONE)):
        weights = fit(samples, left_out=left_out)
        path = CALIBRATIONS / f"{backbone}.json"
        calibration = Calibration(backbone=backbone, fitted_on=fitted_on, weights=weights)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(calibration)) + b"\n")
        print(f"{path}: {msgspec.to_builtins(weights)}")
    return 0


def fit(samples: Sequence[Sample], *, left_out: Sequence[str]) -> Weights:
    """Weights of the highest likelihood, those of ``left_out`` features zero."""
    import torch

    data = _Tables.of(samples, left_out=[*left_out, "label"])
    raw = torch.zeros(len(FEATURES), requires_grad=True)
    none = torch.tensor(3.0, requires_grad=True)
    _minimise(
        lambda: (
            data.loss(torch.nn.functional.softplus(raw), none, stage=0)
            + _RIDGE * torch.nn.functional.softplus(raw).square().mean()
        ),
        [raw, none],
    )
    weights = torch.nn.functional.softplus(raw).detach()
    alone = torch.tensor([name in _OF_NAMES_ALONE for name in FEATURES])
    scale = torch.zeros(2, requires_grad=True)

    def scaled() -> torch.Tensor:
        return weights * torch.where(alone, torch.exp(scale[1]), torch.exp(scale[0]))

    _minimise(lambda: data.loss(scaled(), none, stage=1) + _RIDGE * scale.square().sum(), [scale, none])
    found = {name: round(float(w), 4) for name, w in zip(FEATURES, scaled().detach(), strict=True)}
    found.update(dict.fromkeys(left_out, 0.0), label=_LABEL_WEIGHT)
    return Weights(**found, none=round(float(none.detach()), 4))


@dataclass(frozen=True)
class _Tables:
    """All samples as tensors: features (S, C, F), which candidates there are (S, C), targets (S,), weights (S, 2)."""

    features: torch.Tensor
    present: torch.Tensor
    target: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, samples: Sequence[Sample], *, left_out: Sequence[str]) -> _Tables:
        import torch

        most = max(len(sample.rows) for sample in samples)
        table = torch.zeros((len(samples), most, len(FEATURES)))
        present = torch.zeros((len(samples), most), dtype=torch.bool)
        for index, sample in enumerate(samples):
            table[index, : len(sample.rows)] = torch.from_numpy(sample.rows)
            present[index, : len(sample.rows)] = True
        for feature in left_out:
            table[:, :, FEATURES.index(feature)] = 0.0
        target = [most if sample.target >= len(sample.rows) else sample.target for sample in samples]
        weights = [sample.weights for sample in samples]
        return cls(table, present, torch.tensor(target), torch.tensor(weights))

    def loss(self, weights: torch.Tensor, none: torch.Tensor, *, stage: int) -> torch.Tensor:
        import torch

        scores = (self.features @ weights).masked_fill(~self.present, -1e4)
        scores = torch.cat([scores, none.expand(len(scores), 1)], dim=1)
        each = torch.nn.functional.cross_entropy(scores, self.target, reduction="none")
        counts = self.weights[:, stage]
        return (each * counts).sum() / counts.sum()


def _minimise(loss: Callable[[], torch.Tensor], parameters: list[torch.Tensor]) -> None:
    import torch

    optimizer = torch.optim.LBFGS(parameters, max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]


def _rounds(folders: Sequence[Path], seed: int) -> Iterator[Round]:
    for folder in folders:
        dataset = load_dataset(folder)
        if dataset.gallery is not None:
            for shots, frames in ((1, False), (1, True), (0, False)):
                yield Round(dataset, shots, dataset.gallery, frames, seed + shots)
            continue
        for shots, frames in ((3, True), (1, True), (3, False), (1, False), (0, False)):
            yield Round(dataset, shots, None, frames, seed + shots)


def _of_round(each: Round, archive: Path, work: Path, limit: int, folders: Sequence[Path]) -> Iterator[Sample]:
    parts = split(each.dataset, shots=each.shots, seed=each.seed, gallery=each.gallery, leave_out=0.3, limit=limit)
    folder = write_catalog(parts, work / f"catalog-{each.dataset.folder.name}-{each.shots}-{each.frames}")
    # All photos of the dataset are embedded once; each catalog then takes over those it has.
    known = work / f"{each.dataset.folder.name}.snapshot"
    if not known.is_file():
        everything = split(each.dataset, shots=1000, seed=0)
        build(write_catalog(everything, work / f"all-{each.dataset.folder.name}"), archive, known)
    snapshot = Path(shutil.copy(known, folder.with_suffix(".snapshot")))
    recognizer = open_recognizer(archive, build(folder, archive, snapshot))
    pictures = asked_images.chosen(find_pictures(folders), seed=each.seed, limit=limit // 2)
    shown = list(_images(each, parts, find_pictures(folders)))
    nothing = list(asked_images.empty_frames(pictures, seed=each.seed))
    described = f"{each.dataset.folder.name}, {each.shots} photos{', frames' if each.frames else ''}"
    for place, image in enumerate(track(shown + nothing, description=described)):
        yield from _of_image(recognizer, image, empty=place >= len(shown))


def _images(each: Round, parts: Split, backgrounds: Sequence[Picture]) -> Iterator[asked_images.Asked]:
    if each.frames:
        yield from asked_images.frames(parts.queries, backgrounds, seed=each.seed)
        yield from asked_images.frames(parts.left_out, backgrounds, seed=each.seed, negative=True)
    else:
        yield from asked_images.photos(parts.queries)
        yield from asked_images.photos(parts.left_out, negative=True)


def _of_image(recognizer: Recognizer, asked: asked_images.Asked, *, empty: bool) -> Iterator[Sample]:
    """The region that shows the product, with its text and without; two of a picture that is ``empty``."""
    catalog, scene = recognizer.look_closely(asked.data)
    skus = {catalog.snapshot.product(row).sku: row for row in range(catalog.snapshot.products)}
    wanted = skus.get(asked.sku or "")
    labels = np.zeros(catalog.snapshot.products, dtype=np.float32)
    counts = _CATALOG_WEIGHT if asked.sku is not None else _EMPTY_WEIGHT if empty else _LEFT_OUT_WEIGHT
    for region in _shown_first(scene, wanted, asked)[:2]:
        products, evidence = ev.gather(catalog, scene, region, labels)
        if not products:
            continue
        rows = features(evidence)
        shows = wanted in products and _in_truth(region, asked)
        target = products.index(wanted) if shows and wanted is not None else len(products)
        yield Sample(rows, target, counts)
        unread = rows.copy()
        unread[:, [FEATURES.index(name) for name in _OF_TEXT]] = 0.0
        if catalog.has_photos.any():
            yield Sample(unread, target, counts)
        if not empty:
            return


def _shown_first(scene: Scene, wanted: int | None, asked: asked_images.Asked) -> list[Region]:
    def rank(region: Region) -> tuple[bool, int, float]:
        points = region.prints[wanted].points if wanted in region.prints else 0
        return (_in_truth(region, asked), points, region.photo.get(wanted, 0.0) if wanted is not None else 0.0)

    return sorted(scene.regions, key=rank, reverse=True)


def _in_truth(region: Region, asked: asked_images.Asked) -> bool:
    if asked.sku is None:
        return False
    if asked.truth is None:
        return True
    left, top, right, bottom = asked.truth.box_xyxy_px
    x, y = (region.box[0] + region.box[2]) / 2, (region.box[1] + region.box[3]) / 2
    return left <= x <= right and top <= y <= bottom


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = fit_parser(__doc__, data="folders with labels.tsv", backgrounds="photos and clips without products")
    parser.add_argument("--work", type=Path, help="keep embedded photos here, for the next run")
    parser.add_argument("--limit", type=int, default=150, help="photos for each catalog (default: %(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
