"""The reliability diagram and the precision/coverage curve, as one picture; what profiles find and cost, as another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.dataset import EvaluationError
from evaluation.metrics import ImageResult, judged, precision_coverage, reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Refuse at the start what could only fail after everything has been measured.

    Raises:
        EvaluationError: no such folder, a format that is not drawn, or no matplotlib.
    """
    if path.suffix.lower() not in FORMATS or not path.parent.is_dir():
        raise EvaluationError(f"{path}: a plot is a file {', '.join(FORMATS)} in a folder that exists")
    if find_spec("matplotlib") is None:
        raise EvaluationError("--plot needs matplotlib; `make setup` installs it")


def draw(path: Path, queries: Sequence[ImageResult], *, threshold: float, title: str) -> None:
    """Write the two diagrams of all seeds' queries to ``path``."""
    from matplotlib.figure import Figure  # only who plots needs it

    # A figure of its own instead of pyplot's: no display, no global state.
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_reliability(left, queries)
    _draw_curve(right, queries, threshold)
    figure.suptitle(title)
    figure.savefig(path, dpi=120)


def draw_profiles(path: Path, measured: Sequence[Mapping[str, Any]], *, title: str) -> None:
    """Write what each profile finds, over what it costs, to ``path``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(measured, key=lambda figures: figures["core_ms"])
    costs = [figures["core_ms"] for figures in ordered]
    for key, label in (("r_at_1", "R@1"), ("coverage", "coverage")):
        axes.plot(costs, [figures[key] for figures in ordered], marker="o", label=label)
    for figures in ordered:
        axes.annotate(
            figures["profile"], (figures["core_ms"], figures["r_at_1"]), xytext=(4, 6), textcoords="offset points"
        )
    axes.set(xlabel="core-milliseconds an image", ylabel="share of the queries", xlim=(0, None), ylim=(0, 1.02))
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.suptitle(title, fontsize="small", wrap=True)
    figure.savefig(path, dpi=120)


def _draw_reliability(axes: Axes, queries: Sequence[ImageResult]) -> None:
    bins = reliability(*judged(queries))
    most = max((entry.count for entry in bins), default=1)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="perfectly calibrated")
    axes.bar(
        [entry.confidence for entry in bins],
        [0.25 * entry.count / most for entry in bins],
        width=0.03,
        color="0.85",
        label="share of the queries",
    )
    axes.plot([e.confidence for e in bins], [e.accuracy for e in bins], marker="o", label="best product")
    axes.set(xlabel="mean confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1.02), title="Reliability")
    axes.legend(loc="upper left")


def _draw_curve(axes: Axes, queries: Sequence[ImageResult], threshold: float) -> None:
    points = precision_coverage(queries)
    axes.plot([coverage for _, coverage, _ in points], [precision for _, _, precision in points])
    at_default = [point for point in points if point[0] >= threshold]
    if at_default:
        _, coverage, precision = at_default[-1]
        axes.plot([coverage], [precision], "o", color="C3", label=f"threshold {threshold:g}")
        axes.legend(loc="lower left")
    lowest = min((precision for _, _, precision in points), default=0.0)
    axes.set(xlabel="coverage", ylabel="precision", xlim=(0, 1.02), ylim=(max(0.0, lowest - 0.05), 1.005))
    axes.set_title("Precision of what is shown")
    axes.grid(alpha=0.3)
