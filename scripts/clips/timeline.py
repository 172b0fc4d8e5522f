"""Draws what a clip shows and which cards came, as bars and marks over the clip's time.

  python -m clips.timeline SCORE.json TRUTH.json --out timeline.png      from the folder scripts/

SCORE.json is what `livecart evaluate-clip --json` prints.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from clips.errors import ClipError
from clips.fonts import font_path
from evaluation.dataset import EvaluationError
from evaluation.plots import check_plot
from livecart.cli.clip_score import ClipScore, ClipTruth, ShownProduct, StrayCard, read_truth
from livecart.core.errors import LivecartError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

_FOUND, _MISSED, _ASIDE = "#4c9f70", "#d98880", "0.85"
_LONGEST_NAME = 18


def draw_timeline(path: Path, score: ClipScore, truth: ClipTruth) -> None:
    """Write the plot of one clip: a row for each show, bystanders below, wrong cards in a row of their own.

    Raises:
        EvaluationError: the file's format or folder cannot be written to, or matplotlib is missing.
        ClipError: the font of the Chinese names is missing.
    """
    check_plot(path)
    from matplotlib.figure import Figure  # only who plots needs it
    from matplotlib.font_manager import FontProperties

    letters = FontProperties(fname=str(font_path("sans")))
    rows = len(score.shows) + len(truth.bystanders) + 1
    figure = Figure(figsize=(12, 1.6 + 0.34 * rows), layout="constrained")
    axes = figure.subplots()
    _draw_shows(axes, score)
    _draw_bystanders(axes, truth.bystanders, score.bystander_cards, first_row=len(score.shows))
    _draw_wrong(axes, score.wrong_cards, row=rows - 1, letters=letters)
    names = [f"{show.name[:_LONGEST_NAME]}" for show in score.shows]
    names += [f"({bystander.name[:_LONGEST_NAME]})" for bystander in truth.bystanders]
    axes.set_yticks(range(rows), [*names, "错误 wrong"], fontproperties=letters)
    axes.set(xlim=(0, truth.duration_s), ylim=(rows - 0.4, -0.6), xlabel="presentation time, s")
    axes.grid(axis="x", alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right", ncols=3, fontsize="small")
    axes.set_title(_title(score, truth), fontproperties=letters)
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("score", type=Path, metavar="SCORE", help="what `livecart evaluate-clip --json` printed")
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="the clip's truth file")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="picture to write: .png, .svg or .pdf")
    options = parser.parse_args(arguments)
    try:
        score = msgspec.json.decode(options.score.read_bytes(), type=ClipScore)
        draw_timeline(options.out, score, read_truth(options.truth))
    except (OSError, msgspec.MsgspecError) as error:
        print(f"timeline: {options.score}: {error}", file=sys.stderr)
        return 1
    except (ClipError, EvaluationError, LivecartError) as error:
        print(f"timeline: {error}", file=sys.stderr)
        return 1
    return 0


def _draw_shows(axes: Axes, score: ClipScore) -> None:
    for row, show in enumerate(score.shows):
        colour = _FOUND if show.cards_pts_s else _MISSED
        axes.barh(row, show.to_s - show.from_s, left=show.from_s, height=0.6, color=colour)
    first = [(show.cards_pts_s[0], row) for row, show in enumerate(score.shows) if show.cards_pts_s]
    later = [(pts_s, row) for row, show in enumerate(score.shows) for pts_s in show.cards_pts_s[1:]]
    _mark(axes, first, "o", "black", "card")
    _mark(axes, later, "D", "tab:orange", "duplicate")


def _draw_bystanders(
    axes: Axes, bystanders: Sequence[ShownProduct], cards: Sequence[StrayCard], *, first_row: int
) -> None:
    for row, bystander in enumerate(bystanders, start=first_row):
        length = bystander.to_s - bystander.from_s
        axes.barh(row, length, left=bystander.from_s, height=0.6, color=_ASIDE)
    rows = {bystander.sku: row for row, bystander in enumerate(bystanders, start=first_row)}
    _mark(axes, [(card.pts_s, rows[card.sku]) for card in cards if card.sku in rows], "s", "0.4", "bystander's card")


def _draw_wrong(axes: Axes, cards: Sequence[StrayCard], *, row: int, letters: FontProperties) -> None:
    _mark(axes, [(card.pts_s, row) for card in cards], "x", "tab:red", "wrong")
    for card in cards:
        name = card.name[:_LONGEST_NAME]
        axes.annotate(name, (card.pts_s, row), (6, -3), textcoords="offset points", fontproperties=letters)


def _mark(axes: Axes, points: Sequence[tuple[float, float]], marker: str, colour: str, label: str) -> None:
    if points:
        times, rows = zip(*points, strict=True)
        axes.scatter(times, rows, marker=marker, color=colour, label=label, zorder=3)


def _title(score: ClipScore, truth: ClipTruth) -> str:
    share = {"precision": score.precision, "recall": score.recall}
    parts = [f"{name} {value:.2f}" if value is not None else f"{name} –" for name, value in share.items()]
    median = score.appear_to_card_s.median
    parts.append(f"appearance to card {median:.2f} s (median)" if median is not None else "no show found")
    return f"{truth.clip}:  " + ",  ".join(parts)


if __name__ == "__main__":
    raise SystemExit(main())
