"""Measure recognition on labelled photos: some become the catalog, the others are asked about.

  evaluate.py --data FOLDER --shots 3 --seeds 5             a table: ranking, precision, calibration, times
  evaluate.py --data FOLDER --shots 0                       names alone, no photos in the catalog
  evaluate.py --data FOLDER --gallery iconic.jpg            the photos of that name are the catalog
  evaluate.py --data FOLDER --shots 3 --frames --negatives A B --json
                                                            products held into live frames, and frames without any
  evaluate.py --data FOLDER --shots 3 --frames --negatives A --profile fast balanced sure --plot profiles.png
                                                            what each profile finds, and what it costs

FOLDER holds labels.tsv, lines of path<TAB>product name. Every choice goes by the seed: the same command asks the same.
Exit status: 0 measured, 1 something given cannot be used.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import torchserve_plan
from archive_files import unpack
from evaluation.dataset import EvaluationError
from evaluation.plots import check_plot, draw, draw_profiles
from evaluation.run import EvaluationPlan, Outcome, evaluate
from predict import TOKEN_VARIABLE
from recognition.errors import ConfigurationError
from recognition.settings import THREADS_VARIABLE, ProfileName

_ROWS = {
    "r_at_1": ("R@1", "{:.3f}"),
    "r_at_5": ("R@5", "{:.3f}"),
    "coverage": ("coverage at the default threshold", "{:.3f}"),
    "precision": ("precision of what is shown", "{:.4f}"),
    "false_pops_per_1000": ("false pop-ups per 1,000 negatives", "{:.2f}"),
    "ece": ("calibration error (10 bins)", "{:.3f}"),
    "box_center_hit": ("box's centre in the product", "{:.3f}"),
    "box_iou50": ("box IoU ≥ 0.5", "{:.3f}"),
    "core_ms": ("core-milliseconds an image", "{:.0f}"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.threads:
        os.environ[THREADS_VARIABLE] = str(options.threads)
    try:
        if options.plot:
            check_plot(options.plot)
        outcomes = _measure(options)
        if options.plot:
            _plot(options.plot, outcomes)
    except (EvaluationError, ConfigurationError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    if options.json:
        measured = [outcome.figures for outcome in outcomes]
        print(json.dumps(measured[0] if len(measured) == 1 else {"profiles": measured}, ensure_ascii=False))
    else:
        for outcome in outcomes:
            show(outcome.figures)
    return 0


def _plot(path: Path, outcomes: Sequence[Outcome]) -> None:
    if len(outcomes) == 1:
        [outcome] = outcomes
        draw(path, outcome.queries, threshold=outcome.threshold, title=_title(outcome.figures))
    else:
        draw_profiles(path, [outcome.figures for outcome in outcomes], title=_title(outcomes[0].figures))


def show(figures: dict[str, Any], console: Console | None = None) -> None:
    table = Table(title=_title(figures), title_justify="left")
    for heading in ("", "mean of the seeds", "least", "most", "95 % interval"):
        table.add_column(heading, justify="right" if heading else "left")
    for key, (name, form) in _ROWS.items():
        values = [seed[key] for seed in figures["per_seed"] if seed[key] is not None]
        if figures[key] is not None:
            interval = figures.get(f"{key}_ci95")
            cells = (figures[key], min(values), max(values))
            between = " – ".join(form.format(bound) for bound in interval) if interval else ""
            table.add_row(name, *(form.format(cell) for cell in cells), between)
    stages = Table(title="milliseconds", title_justify="left")
    for heading in ("stage", "median", "95 %"):
        stages.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage, spread in figures["ms"].items():
        stages.add_row(stage, f"{spread['p50']:.1f}", f"{spread['p95']:.1f}")
    console = console or Console()
    console.print(table)
    console.print(stages)
    if figures["errors"]:
        console.print(f"[red]{figures['errors']} images got an error for an answer and count as not found[/red]")


def _measure(options: argparse.Namespace) -> list[Outcome]:
    bar = Progress(
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    with tempfile.TemporaryDirectory(prefix="livecart-archive-") as temporary, bar:
        task = bar.add_task("photos", total=None)
        archive = unpack(options.archive, Path(temporary) / "archive")
        # One embedding for all profiles.
        known = options.known or Path(temporary) / "known.snapshot"
        return [
            evaluate(
                _plan(options, archive, known, profile),
                lambda what, done, count: bar.update(task, description=what, completed=done, total=count),
            )
            for profile in options.profile or [None]
        ]


def _plan(
    options: argparse.Namespace, archive_folder: Path, known: Path, profile: ProfileName | None
) -> EvaluationPlan:
    return EvaluationPlan(
        data=options.data,
        shots=options.shots,
        seeds=options.seeds,
        archive_folder=archive_folder,
        gallery=options.gallery,
        frames=options.frames,
        negatives=tuple(options.negatives),
        backgrounds=tuple(options.backgrounds),
        leave_out=options.leave_out,
        plain=options.plain,
        text=options.text,
        limit=options.limit,
        dump=options.dump,
        known=known,
        profile=profile,
        url=options.url,
        token=os.environ.get(TOKEN_VARIABLE),
        snapshot_path=options.snapshot_path,
    )


def _title(figures: dict[str, Any]) -> str:
    kind = "frames" if figures["frames"] else "photos"
    catalog = f"photos named {figures['gallery']}" if figures["gallery"] else f"{figures['shots']} photos a product"
    return (
        f"{figures['queries']} {kind} of {figures['data']}, {figures['negatives']} negatives; "
        f"catalog: {catalog}; {figures['seeds']} seed(s), text {figures['text']}"
        + (f", profile {figures['profile']}" if figures["profile"] else "")
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    positive = torchserve_plan.positive
    add("--data", type=Path, required=True, metavar="FOLDER", help="labelled photos")
    add(
        "--shots", type=_count, help="photos of each product in the catalog; 0: names alone (default with --gallery: 1)"
    )
    add("--seeds", type=positive, default=1, help="how many splits to average over (default: %(default)s)")
    add("--gallery", metavar="NAME", help="the catalog's photos are those of this file name (with --shots 0: none)")
    add("--frames", action="store_true", help="paste the queries into frames of 720 × 1280 pixels")
    add("--negatives", type=Path, nargs="+", default=[], metavar="FOLDER", help="photos and clips without any product")
    add("--backgrounds", type=Path, nargs="+", default=[], metavar="FOLDER", help="to paste into (default: negatives)")
    add("--leave-out", type=_share, default=0.0, metavar="SHARE", help="of the products, which become negatives")
    add("--plain", type=_count, default=0, metavar="N", help="drawn products without print, added to the catalog")
    add("--text", choices=("auto", "always", "never"), default="auto", help="default: %(default)s")
    add(
        "--limit", type=positive, help="at most so many queries, products' photos left out, and negatives, of each seed"
    )
    profiles = get_args(ProfileName)
    add("--profile", nargs="+", choices=profiles, help="instead of the archive's own; several: one table each")
    add(
        "--plot",
        type=Path,
        metavar="FILE",
        help="reliability and precision/coverage, or of several profiles cost and what they find (.png, .svg, .pdf)",
    )
    add("--dump", type=Path, metavar="FOLDER", help="write every image that is asked about, and frames.jsonl")
    add("--known", type=Path, metavar="FILE", help="a snapshot: its photos are not embedded again; kept there if new")
    add("--archive", type=Path, default=torchserve_plan.ARCHIVE)
    add("--threads", type=positive, help="of the network in this process (default: every core)")
    add("--url", help="ask this server instead; it must run the same weights as --archive")
    add("--snapshot-path", type=Path, help="with --url: the snapshot file that the server's archive follows")
    add("--json", action="store_true", help="one JSON object on stdout")
    parser.epilog = f"Where the server asks for a token, put it into the environment as {TOKEN_VARIABLE}."
    options = parser.parse_args(arguments)
    if options.shots is None:
        if options.gallery is None:
            parser.error("--shots or --gallery is needed: what the catalog holds")
        options.shots = 1
    if options.url and options.profile:
        parser.error("--profile is of a recogniser in this process; a server has the profile of its archive")
    if bool(options.url) != bool(options.snapshot_path):
        parser.error("--url and --snapshot-path belong together")
    if options.threads is None and THREADS_VARIABLE not in os.environ:
        options.threads = torchserve_plan.available_cores()
    return options


def _count(text: str) -> int:
    return 0 if text == "0" else torchserve_plan.positive(text)


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to below 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
