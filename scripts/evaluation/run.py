"""The evaluation itself: for each seed a catalog, its queries and its negatives through a backend, to figures."""

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.boxes import BoxXyxyPx
from evaluation import images
from evaluation.backend import (
    Backend,
    BackendReply,
    InProcess,
    OverHttp,
    build,
    open_recognizer,
    published,
    snapshot_id,
)
from evaluation.backgrounds import BackgroundPicture, find_pictures
from evaluation.dataset import Dataset, EvaluationError, Split, load_dataset, split, write_catalog
from evaluation.metrics import Candidate, ImageResult, combine, summarise
from evaluation.plain_products import add_plain_products
from recognition.request.forms import TextMode
from recognition.settings import ProfileName
from sample_photos import sample_photos

#: Told what is asked next: "seed 1 of 5, queries", how many are done, and of how many.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class EvaluationPlan:
    """Options of a run. ``archive_folder`` is an unpacked archive; ``url`` None: in this process.

    ``plain`` drawn products without print are added to each catalog.
    ``known`` is a snapshot of the same photos: what it holds is not embedded again; where there is none, the last
    seed's is kept there. ``profile`` None: the archive's own.
    """

    data: Path
    shots: int
    seeds: int
    archive_folder: Path
    gallery: str | None = None
    frames: bool = False
    negatives: tuple[Path, ...] = ()
    backgrounds: tuple[Path, ...] = ()
    leave_out: float = 0.0
    plain: int = 0
    text: TextMode = "auto"
    limit: int | None = None
    dump: Path | None = None
    known: Path | None = None
    profile: ProfileName | None = None
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    snapshot_path: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """``figures`` is the object that ``--json`` prints; the answers are for plots."""

    figures: dict[str, Any]
    queries: list[ImageResult]
    threshold: float


def evaluate(plan: EvaluationPlan, progress: Progress) -> Outcome:
    """Measure.

    Raises:
        EvaluationError: a folder, the archive or the server cannot be used, or nothing could be answered.
    """
    dataset = load_dataset(plan.data)
    splits = [
        split(
            dataset,
            shots=plan.shots,
            seed=seed,
            gallery=plan.gallery,
            leave_out=plan.leave_out,
            limit=plan.limit,
        )
        for seed in range(plan.seeds)
    ]
    if not any(parts.queries for parts in splits):
        raise EvaluationError(f"{plan.data}: no photos are left as queries with {plan.shots} of each in the catalog")
    negatives = find_pictures(plan.negatives)
    backgrounds = _backgrounds(plan, negatives) if plan.frames else []
    dump = images.Dump(plan.dump) if plan.dump else None
    run = _Run(plan, negatives, backgrounds, dump, progress)
    with tempfile.TemporaryDirectory(prefix="livecart-evaluate-") as temporary:
        for seed, parts in enumerate(splits):
            run.seed(seed, parts, Path(temporary))
    return run.outcome(dataset)


def _backgrounds(plan: EvaluationPlan, negatives: Sequence[BackgroundPicture]) -> list[BackgroundPicture]:
    """As given, else the negatives, else the few photos that are on the machine anyway."""
    pictures = find_pictures(plan.backgrounds) or list(negatives)
    if pictures:
        return pictures
    try:
        return [BackgroundPicture(path, path.name, None) for path in sample_photos()]
    except FileNotFoundError as error:
        raise EvaluationError(f"--frames needs --backgrounds or --negatives to paste into: {error}") from error


class _Run:
    """Gathers the answers of seed after seed."""

    def __init__(
        self,
        plan: EvaluationPlan,
        negatives: Sequence[BackgroundPicture],
        backgrounds: Sequence[BackgroundPicture],
        dump: images.Dump | None,
        progress: Progress,
    ) -> None:
        self._plan, self._dump, self._progress = plan, dump, progress
        self._negative_pictures, self._backgrounds = negatives, backgrounds
        self._queries: list[ImageResult] = []
        self._negatives: list[ImageResult] = []
        self._per_seed: list[dict[str, Any]] = []
        self._threshold = 0.0

    def seed(self, seed: int, parts: Split, temporary: Path) -> None:
        name = f"seed {seed + 1} of {self._plan.seeds}"
        self._progress(f"{name}, catalog", 0, 0)
        folder = write_catalog(parts, temporary / f"catalog-{seed}")
        add_plain_products(folder, self._plan.plain, photos=self._plan.shots, seed=seed)
        # One file for all seeds: what the seed before has embedded is taken over from it.
        snapshot = temporary / "catalog.snapshot"
        known = self._plan.known
        if known is not None and known.exists():
            shutil.copy(known, snapshot)
        build(folder, self._plan.archive_folder, snapshot)
        if known is not None and seed == self._plan.seeds - 1 and not known.exists():
            shutil.copy(snapshot, known)
        with self._backend(snapshot, parts) as backend:
            self._threshold = backend.thresholds.default
            queries, negatives = self._images(seed, parts)
            count = len(parts.queries)
            answers = self._ask(backend, seed, f"{name}, queries", queries, count)
            count = len(parts.left_out) + len(self._pictures(seed))
            others = self._ask(backend, seed, f"{name}, negatives", negatives, count)
        figures = summarise(answers, others, threshold=self._threshold)
        self._per_seed.append({"seed": seed, "products": len(parts.catalog), **figures})
        self._queries += answers
        self._negatives += others

    def outcome(self, dataset: Dataset) -> Outcome:
        """The figures of all seeds.

        Raises:
            EvaluationError: not one image was answered.
        """
        errors = [answer.error for answer in self._queries if answer.error is not None]
        if len(errors) == len(self._queries):
            raise EvaluationError(f"not one query was answered; the first: {errors[0]}")
        plan = self._plan
        figures = {
            **combine(self._per_seed, self._queries, self._negatives),
            "data": str(plan.data),
            "products": len(dataset.products),
            "shots": plan.shots,
            "gallery": plan.gallery,
            "seeds": plan.seeds,
            "frames": plan.frames,
            "leave_out": plan.leave_out,
            "plain": plan.plain,
            "profile": plan.profile,
            "text": plan.text,
            "threshold": self._threshold,
            "per_seed": self._per_seed,
        }
        return Outcome(figures, self._queries, self._threshold)

    @contextlib.contextmanager
    def _backend(self, snapshot: Path, parts: Split) -> Iterator[Backend]:
        plan = self._plan
        if plan.url is None:
            recognizer = open_recognizer(plan.archive_folder, snapshot, profile=plan.profile)
            yield InProcess(recognizer, catalog=snapshot_id(snapshot))
            return
        if plan.snapshot_path is None:
            raise EvaluationError("--url needs --snapshot-path: the file that the server's archive follows")
        with published(snapshot, plan.snapshot_path) as catalog:
            server = OverHttp(plan.url, token=plan.token, catalog=catalog)
            server.wait(next(images.photos(parts.queries)).data)
            yield server

    def _images(self, seed: int, parts: Split) -> tuple[Iterator[images.Asked], Iterator[images.Asked]]:
        pictures = self._pictures(seed)
        if not self._plan.frames:
            others = itertools.chain(images.photos(parts.left_out, negative=True), images.empty(pictures))
            return images.photos(parts.queries), others
        left_out = images.frames(parts.left_out, self._backgrounds, seed=seed, negative=True)
        others = itertools.chain(left_out, images.empty_frames(pictures, seed=seed))
        return images.frames(parts.queries, self._backgrounds, seed=seed), others

    def _pictures(self, seed: int) -> list[BackgroundPicture]:
        return images.chosen(self._negative_pictures, seed=seed, limit=self._plan.limit)

    def _ask(
        self, backend: Backend, seed: int, what: str, asked: Iterable[images.Asked], count: int
    ) -> list[ImageResult]:
        answers = []
        for number, image in enumerate(asked):
            self._progress(what, number, count)
            if self._dump:
                self._dump.add(seed, image)
            answers.append(read_answer(image, backend.recognize(image.data, self._plan.text)))
        return answers


def read_answer(asked: images.Asked, answered: BackendReply) -> ImageResult:
    """The answer in a reply of schema 1. Numbers that were lists in JSON become tuples."""
    box = asked.truth.box_xyxy_px if asked.truth and asked.sku is not None else None
    cutout = asked.truth.method if asked.truth else None
    if answered.reply is None:
        return ImageResult(
            asked.sku, (), box, cutout, {}, answered.wall_ms, answered.error or "no reply", answered.core_ms
        )
    candidates = tuple(
        Candidate(found["sku"], found["confidence"], _box(found.get("box")), dict(found.get("evidence") or {}))
        for found in answered.reply["products"]
    )
    timing: Mapping[str, float] = answered.reply["timing_ms"]
    return ImageResult(asked.sku, candidates, box, cutout, dict(timing), answered.wall_ms, core_ms=answered.core_ms)


def _box(values: Sequence[float] | None) -> BoxXyxyPx | None:
    return None if values is None else (values[0], values[1], values[2], values[3])
