"""An evaluated clip as a picture: rows of what is shown, with the cards on them. SVG, written by rich."""

import io
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from livecart.cli.clip_score import ClipScore, ClipTruth
from livecart.cli.terminal import shortened
from livecart.core.errors import SettingsError

#: Character cells of a clip's length.
_CELLS = 80
_NAME_CELLS = 24
_LEGEND = "■ 展示 shown (绿 found, 红 missed)  ● 卡片 card  ◆ 重复 duplicate  ✕ 错误 wrong"


def check_plot(path: Path) -> None:
    """Refuse before the work what would fail after it."""
    if path.suffix.lower() != ".svg":
        raise SettingsError(
            f"--plot {path}: write the name with .svg; scripts/clips/timeline.py draws .png from --json"
        )
    if not path.parent.is_dir():
        raise SettingsError(f"--plot {path}: there is no folder {path.parent}; create it first")


def save_timeline(path: Path, score: ClipScore, truth: ClipTruth) -> None:
    console = Console(record=True, width=_CELLS + _NAME_CELLS + 8, file=io.StringIO())
    console.print(timeline(score, truth))
    try:
        console.save_svg(str(path), title=f"livecart evaluate-clip {truth.clip}")
    except OSError as error:
        raise SettingsError(f"--plot {path}: cannot be written: {error.strerror or error}") from error


def timeline(score: ClipScore, truth: ClipTruth) -> Table:
    """A row for each show, then bystanders, then wrong cards."""
    table = Table(
        title=f"{_LEGEND}  ·  0 – {truth.duration_s:g} s",
        title_justify="left",
        show_header=False,
        box=None,
        padding=(0, 1),
    )
    table.add_column(width=_NAME_CELLS, no_wrap=True, overflow="ellipsis")
    table.add_column(width=_CELLS, no_wrap=True)
    for show in score.shows:
        row = _bar(show.from_s, show.to_s, truth.duration_s, "green" if show.cards_pts_s else "red")
        for number, pts_s in enumerate(show.cards_pts_s):
            _mark(row, pts_s, truth.duration_s, "◆" if number else "●")
        table.add_row(_name(show.name), row)
    for bystander in truth.bystanders:
        row = _bar(bystander.from_s, bystander.to_s, truth.duration_s, "grey50")
        for card in score.bystander_cards:
            if card.sku == bystander.sku:
                _mark(row, card.pts_s, truth.duration_s, "○")
        table.add_row(_name(f"({bystander.name})"), row)
    for card in score.wrong_cards:
        row = Text(" " * _CELLS)
        _mark(row, card.pts_s, truth.duration_s, "✕")
        table.add_row(_name(card.name), row)
    return table


def _name(name: str) -> Text:
    """As it is: in brackets rich would see markup."""
    return Text(shortened(name))


def _bar(from_s: float, to_s: float, duration_s: float, colour: str) -> Text:
    first, last = _cell(from_s, duration_s), _cell(to_s, duration_s)
    row = Text(" " * first + "■" * (last - first + 1) + " " * (_CELLS - 1 - last))
    row.stylize(colour)
    return row


def _mark(row: Text, pts_s: float, duration_s: float, sign: str) -> None:
    place = _cell(pts_s, duration_s)
    row.plain = row.plain[:place] + sign + row.plain[place + 1 :]
    row.stylize("bold bright_white", place, place + 1)


def _cell(time_s: float, duration_s: float) -> int:
    return min(_CELLS - 1, max(0, int(time_s / duration_s * _CELLS)))
