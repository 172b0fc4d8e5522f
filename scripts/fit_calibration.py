"""Fit what each kind of evidence is worth, and write it to handler/recognition/fitted/calibrations/<backbone>.json.

Shows photos and composed frames of labelled products (folders like those of scripts/evaluate.py) to the recogniser,
with catalogs of none, one and three photos for each product, drawn plain products among them, some products left out,
and frames of nothing. What the
recogniser then holds in its hands, before any weight is applied, is fitted by maximum likelihood; no weight can become
negative. That is done twice: first all weights, with the products left out counting as much as the catalog's, because
they are what is easily confused; then only their scale and that of "none", with the left out counting less, as a room
shows them less often. Weights belong to kinds of evidence and never to products. The same
folders and seed give the same file. With --feedback, crops that a shop's staff decided on count, too: those that show
a product as pictures of it, those that were only taken for one as pictures that are not it, both by how often viewers
click the product. With --work, what was embedded and found is kept: a run that was stopped goes on where it ended, and
another fit of the same pictures takes seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from archive_files import unpack
from evaluation import images as asked_images
from evaluation.backend import build_in, fit_parser, open_recognizer
from evaluation.backgrounds import BackgroundPicture, find_pictures, load_picture
from evaluation.compose import compose, seed_for
from evaluation.dataset import Dataset, Query, Split, load_dataset, split, write_catalog
from evaluation.feedback import TaughtPicture, taught, write_untaught_catalog
from evaluation.plain_products import PlainProduct, add_plain_products, photograph
from evaluation.scene_cache import SceneCache
from recognition.catalog.loaded import LoadedCatalog
from recognition.find import evidence as ev
from recognition.find.fusion import FALLBACK, FEATURES, Calibration, Weights, features
from recognition.find.scene import Region, Scene
from recognition.network.artifact import read_info

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parent.parent
CALIBRATIONS = ROOT / "handler" / "recognition" / "fitted" / "calibrations"
#: Pulls weights that the data say nothing about towards zero.
_RIDGE = 1e-3
_ROUNDS = 500
#: What a picture counts beside one of a product of the catalog, when weights are fitted and when their scale is: one of
#: a product left out, and one of nothing. Frames of an empty table far outnumber all others, and are silent by a wide
#: margin anyway. With 0.5 and 0.05 for the left out, 173 of 230 pictures were shown rightly and 11 of 230 popped up
#: another product; with these 169 and 2.
_LEFT_OUT_WEIGHT = (1.0, 0.3)
_EMPTY_WEIGHT = (0.05, 0.025)
_CATALOG_WEIGHT = (1.0, 1.0)
#: Drawn plain products in each catalog: every shop has some that resemble walls and hands.
_PLAIN = 16
#: A classifier's label was never the only way to tell products apart in this data: its weight is set, not fitted.
_LABEL_WEIGHT = 2.0
#: Features of the network's vectors; the calibration for any backbone goes without them.
_OF_BACKBONE = ("salience",)
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
    dataset: Dataset
    shots: int
    gallery: str | None
    frames: bool
    seed: int

    @property
    def described(self) -> str:
        return f"{self.dataset.folder.name}, {self.shots} photos{', frames' if self.frames else ''}"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="livecart-fit-") as temporary:
        archive = unpack(options.archive, Path(temporary) / "archive")
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        rounds = list(_rounds(options.data, options.seed))
        samples: list[Sample] = []
        with SceneCache(work / "scenes.sqlite") as cache:
            pictures = find_pictures(options.backgrounds)
            collection = _Collection(archive, work, cache, pictures, options.limit)
            for number, each in enumerate(rounds, start=1):
                samples += collection.of_round(each)
                print(
                    f"{number} of {len(rounds)}: {each.described}: {len(samples)} regions so far; "
                    f"{cache.found} pictures looked at, {cache.reused} known",
                    file=sys.stderr,
                )
            if options.feedback is not None:
                samples += collection.of_feedback(options.feedback)
                print(f"{options.feedback.name}: {len(samples)} regions with feedback", file=sys.stderr)
        name = read_info(archive).name
    folders = [*options.data, *([] if options.feedback is None else [options.feedback])]
    fitted_on = f"{', '.join(folder.name for folder in folders)}; {len(samples)} regions; seed {options.seed}"
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
                yield Round(dataset, shots, dataset.gallery, frames, seed)
            continue
        if all(len(product.photos) == 1 for product in dataset.products):
            yield Round(dataset, 1, None, frames=True, seed=seed)
            continue
        for shots, frames in ((3, True), (3, False), (1, True), (1, False), (0, False)):
            yield Round(dataset, shots, None, frames, seed)


@dataclass(frozen=True)
class _Collection:
    """Collects samples with an unpacked ``archive``; catalogs and scenes are kept in ``work``."""

    archive: Path
    work: Path
    cache: SceneCache
    backgrounds: Sequence[BackgroundPicture]
    limit: int

    def of_round(self, each: Round) -> Iterator[Sample]:
        parts = split(
            each.dataset, shots=each.shots, seed=each.seed, gallery=each.gallery, leave_out=0.3, limit=self.limit
        )
        folder = write_catalog(parts, self.work / f"catalog-{each.dataset.folder.name}-{each.shots}")
        plain = add_plain_products(folder, _PLAIN, photos=each.shots, seed=each.seed)
        # Of fewer photos one is part of those of more, which come first.
        snapshot = build_in(self.work, folder, self.archive, data=each.dataset.folder.name, name=str(each.shots))
        recognizer = open_recognizer(self.archive, snapshot)
        pictures = asked_images.chosen(self.backgrounds, seed=each.seed, limit=self.limit // 2)
        shown = list(_images(each, parts, self.backgrounds))
        if each.frames:
            shown += _plain_frames(plain, self.backgrounds, each.seed)
        nothing = list(asked_images.empty_frames(pictures, seed=each.seed))
        for place, image in enumerate(track(shown + nothing, description=each.described)):
            catalog, scene = self.cache.scene_of(recognizer, image.data)
            yield from _of_scene(catalog, scene, image, empty=place >= len(shown))

    def of_feedback(self, folder: Path) -> Iterator[Sample]:
        """Samples of what `livecart catalog export-training` wrote to ``folder``."""
        catalog = write_untaught_catalog(folder, self.work / f"catalog-feedback-{folder.name}")
        snapshot = build_in(self.work, catalog, self.archive, data=f"feedback-{folder.name}", name="all")
        recognizer = open_recognizer(self.archive, snapshot)
        for picture in taught(folder):
            loaded, scene = self.cache.scene_of(recognizer, picture.data)
            yield from of_taught(loaded, scene, picture)


def of_taught(catalog: LoadedCatalog, scene: Scene, picture: TaughtPicture) -> Iterator[Sample]:
    """A crop that shows its product like any picture of one; else that product against none.

    What it is not says nothing of the other products: one of them may be what it shows.
    """
    asked = asked_images.Asked(picture.name, picture.data, None if picture.is_not else picture.sku)
    if not picture.is_not:
        for sample in _of_scene(catalog, scene, asked, empty=False):
            yield replace(sample, weights=_times(_CATALOG_WEIGHT, picture.weight))
        return
    skus = {catalog.snapshot.product(row).sku: row for row in range(catalog.snapshot.products)}
    wanted = skus.get(picture.sku)
    labels = np.zeros(catalog.snapshot.products, dtype=np.float32)
    for region in _shown_first(scene, wanted, asked)[:1]:
        products, evidence = ev.gather(catalog, scene, region, labels)
        if wanted in products:
            row = features(evidence)[[products.index(wanted)]]
            yield Sample(row, 1, _times(_LEFT_OUT_WEIGHT, picture.weight))


def _times(weights: tuple[float, float], factor: float) -> tuple[float, float]:
    return weights[0] * factor, weights[1] * factor


def _images(each: Round, parts: Split, backgrounds: Sequence[BackgroundPicture]) -> Iterator[asked_images.Asked]:
    if each.frames:
        # Where every photo is of another product, the catalog's own are held into the frames.
        own = [Query(parts.folder / photo, photo, product.sku) for product in parts.catalog for photo in product.photos]
        queries = parts.queries or own[: len(parts.left_out)]
        yield from asked_images.frames(queries, backgrounds, seed=each.seed)
        yield from asked_images.frames(parts.left_out, backgrounds, seed=each.seed, negative=True)
    else:
        yield from asked_images.photos(parts.queries)
        yield from asked_images.photos(parts.left_out, negative=True)


def _plain_frames(
    products: Sequence[PlainProduct], backgrounds: Sequence[BackgroundPicture], seed: int
) -> Iterator[asked_images.Asked]:
    """Each of them held into a frame, on a photo that the catalog does not have."""
    for product in products:
        key = seed_for(seed, product.sku)
        background = load_picture(backgrounds[key % len(backgrounds)])
        frame = compose(photograph(product, key % 2**32), background, sku=product.sku, seed=key)
        yield asked_images.Asked(product.sku, frame.jpeg, product.sku, frame.truth)


def _of_scene(catalog: LoadedCatalog, scene: Scene, asked: asked_images.Asked, *, empty: bool) -> Iterator[Sample]:
    """The region that shows the product, with its text and without; two of a picture that is ``empty``."""
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
        if catalog.has_photos.any() and not np.array_equal(rows, unread):
            yield Sample(unread, target, counts)
        if not empty:
            return


def _shown_first(scene: Scene, wanted: int | None, asked: asked_images.Asked) -> list[Region]:
    def rank(region: Region) -> tuple[bool, int, float]:
        points = region.matches[wanted].points if wanted in region.matches else 0
        likeness = region.photo.get(wanted) if wanted is not None else None
        return (_in_truth(region, asked), points, likeness.similarity if likeness else 0.0)

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
    parser.add_argument("--work", type=Path, help="keep what was embedded and found here, for the next run")
    parser.add_argument("--feedback", type=Path, help="a folder of `livecart catalog export-training`")
    parser.add_argument("--limit", type=int, default=150, help="photos for each catalog (default: %(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
