"""Fit how a product's box follows from print and likeness, and write fitted/box_fits/<backbone>.json.

Composed frames of labelled products (folders as of scripts/evaluate.py, three catalog photos each, or `iconic.jpg`
alone where every product has one) are shown to the recogniser. Where it names the right product, what it knew of the
place is held against where the product was pasted, by ridge regression. Prints, for products left out of the fit in
turn, how many boxes overlap the product by half, before and after. The same folders and seed give the same file, up to
rounding.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from rich.progress import track

from archive_files import unpack
from contract.boxes import BoxXyxyPx, iou
from evaluation import images
from evaluation.backend import build_in, fit_parser, open_recognizer
from evaluation.backgrounds import BackgroundPicture, find_pictures
from evaluation.dataset import Dataset, load_dataset, split, write_catalog
from recognition.find.boxes import TERMS, BoxEvidence, BoxFit, corrected, features, path_of, target, terms
from recognition.network.artifact import read_info
from recognition.request.forms import Options, Request

#: Of terms with a standard deviation of 1, in samples: 60 to 150 gave the same within two points.
_RIDGE = 100.0
_FOLDS = 10
_HALF = 0.5
#: Products less likely than that are not looked for: nobody is shown their box.
_FROM = 0.3
#: Two boxes are one if no side differs by more.
_SAME_PX = 1.0


@dataclass(frozen=True)
class Sample:
    """One example of product ``sku``: evidence of its place, the box that was given, and the right one."""

    sku: str
    evidence: BoxEvidence
    given: BoxXyxyPx
    truth: BoxXyxyPx


@dataclass
class Recorder:
    """Stands in for a fit: changes nothing, and keeps what it was asked."""

    asked: list[tuple[BoxEvidence, BoxXyxyPx]] = field(default_factory=list)

    def box(self, evidence: BoxEvidence) -> BoxXyxyPx:
        """Halfway between the two boxes."""
        given = corrected(evidence, np.zeros(4))
        self.asked.append((evidence, given))
        return given


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="livecart-fit-") as temporary:
        archive = unpack(options.archive, Path(temporary) / "archive")
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        pictures = find_pictures(options.backgrounds)
        samples = [
            sample
            for folder in options.data
            for sample in _of_dataset(load_dataset(folder), archive, work, pictures, options)
        ]
        name = read_info(archive).name
    _report(samples)
    fitted_on = f"{', '.join(folder.name for folder in options.data)}; {len(samples)} frames; seed {options.seed}"
    fitted = fit(samples, backbone=name, fitted_on=fitted_on)
    path = path_of(name)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(fitted)) + b"\n")
    print(f"wrote {path}")
    return 0


def fit(samples: Sequence[Sample], *, backbone: str, fitted_on: str) -> BoxFit:
    rows = np.stack([features(sample.evidence) for sample in samples])
    wanted = np.stack([target(sample.evidence, sample.truth) for sample in samples])
    means = [round(float(mean), 5) for mean in rows.mean(axis=0)]
    spreads = [max(round(float(spread), 5), 1e-3) for spread in rows.std(axis=0)]
    x = terms(rows, means, spreads)
    held = np.eye(TERMS) * _RIDGE
    # The last term is 1, always, and not held back.
    held[-1, -1] = 0.0
    weights = np.linalg.solve(x.T @ x + held, x.T @ wanted).round(5).tolist()
    return BoxFit(backbone=backbone, fitted_on=fitted_on, means=means, spreads=spreads, weights=weights)


def _of_dataset(
    dataset: Dataset, archive: Path, work: Path, pictures: Sequence[BackgroundPicture], options: argparse.Namespace
) -> Iterator[Sample]:
    shots = 3 if dataset.gallery is None else 1
    parts = split(dataset, shots=shots, seed=options.seed, gallery=dataset.gallery, limit=options.limit)
    folder = write_catalog(parts, work / f"catalog-{dataset.folder.name}-boxes")
    snapshot = build_in(work, folder, archive, data=dataset.folder.name, name="boxes")
    recognizer = open_recognizer(archive, snapshot)
    recorder = Recorder()
    recognizer.use_box_fit(recorder)
    wanted = Options(room=None, top_k=1, threshold=_FROM, text="never")
    asked = [
        image
        for turn in range(options.turns)
        for image in images.frames(parts.queries, pictures, seed=options.seed + turn)
    ]
    for image in track(asked, description=dataset.folder.name):
        recorder.asked.clear()
        [reply] = recognizer.recognize([Request(image.data, wanted)]).replies
        if isinstance(reply, Exception) or image.truth is None or not reply.products:
            continue
        best = reply.products[0]
        if best.sku != image.sku or best.box is None:
            continue
        for evidence, given in recorder.asked:
            if np.abs(np.array(given) - np.array(best.box)).max() <= _SAME_PX:
                yield Sample(image.sku, evidence, given, image.truth.box_xyxy_px)


def _report(samples: Sequence[Sample]) -> None:
    skus = sorted({sample.sku for sample in samples})
    np.random.default_rng(0).shuffle(skus)
    before = [_overlaps(sample.given, sample.truth) for sample in samples]
    after = []
    for fold in range(_FOLDS):
        left_out = set(skus[fold::_FOLDS])
        tried = fit([s for s in samples if s.sku not in left_out], backbone="", fitted_on="")
        after += [_overlaps(tried.box(s.evidence), s.truth) for s in samples if s.sku in left_out]
    print(f"{len(samples)} boxes of {len(skus)} products: IoU 0.5 in {np.mean(before):.3f} halfway between the two")
    print(f"fitted, for products that were left out: {np.mean(after):.3f}")


def _overlaps(box: BoxXyxyPx, truth: BoxXyxyPx) -> bool:
    return iou(box, truth) >= _HALF


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = fit_parser(__doc__, data="folders with labels.tsv", backgrounds="photos and clips without products")
    parser.add_argument("--work", type=Path, help="keep what was embedded here, for the next run")
    parser.add_argument("--limit", type=int, default=120, help="photos of each folder (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="frames composed of each photo (default: %(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
