"""Terminal output: the card on standard output, a status line on standard error."""

import sys
import time
from collections import deque

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from contract.card import CardEvent
from livecart.core.printable import printable
from livecart.core.types import RoomView
from livecart.live.gate.gate import SKIP_REASONS
from livecart.live.metrics import LiveMetrics

#: Calls of `StatusText.text` that its rates are taken over: ten seconds.
_CALLS = 20
_STATES = {
    "connecting": "连接中 connecting",
    "live": "直播中 live",
    "stalled": "卡住 stalled",
    "reconnecting": "重连中 reconnecting",
    "ended": "已结束 ended",
    "closed": "已关闭 closed",
}
_REASONS = {
    "gone": "不在画面中 out of sight",
    "replaced": "换商品 replaced",
    "muted": "主播静音 muted",
    "stream_lost": "直播中断 stream lost",
    "room_closed": "直播间关闭 room closed",
    "off_sale": "已下架 off sale",
    "host": "主播撤下 by the host",
}
#: Characters of one value: a shop's names have less, and a card is to fit on a screen.
_LONGEST_VALUE = 2000


def card_panel(event: CardEvent) -> Panel:
    price = " ".join(filter(None, (event.price, event.currency, "起 and up" if event.is_from_price else "")))
    rows = {
        "商品 Product": event.name,
        "价格 Price": price,
        "链接 Link": event.url,
        "画面中识别 Seen at": f"{_clock(event.pts_s)}{_place(event)}",
        "置信度 Confidence": f"{event.confidence:.0%}",
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        if value:
            # Links are to be clicked and copied: never cut to the width.
            grid.add_row(Text(name, style="dim"), Text(shortened(value), overflow="fold"))
    title = Text(f"🛒 识别到商品 Product found · {shortened(event.room)}", style="bold")
    return Panel(grid, title=title, title_align="left", border_style="green", expand=False)


def withdrawal_line(event: CardEvent) -> Text:
    reason = _REASONS.get(event.reason or "", event.reason or "")
    return Text(f"✕ {shortened(event.name)}: {shortened(reason)}  {_clock(event.pts_s)}", style="dim")


class StatusLine:
    """One line that is written over again where standard error is a terminal; elsewhere a line every ten seconds."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._is_terminal = self._console.is_terminal
        self._shown = False
        self._printed_at_s = time.monotonic()

    def show(self, text: str) -> None:
        """Show it in the place of the one before."""
        if self._is_terminal:
            self.clear()
            self._console.print(Text(shortened(text), no_wrap=True, overflow="ellipsis"), end="")
            self._shown = True
        elif time.monotonic() - self._printed_at_s >= 10:
            self._printed_at_s = time.monotonic()
            print(shortened(text), file=sys.stderr)

    def clear(self) -> None:
        if self._shown:
            self._console.file.write("\r\x1b[2K")
            self._console.file.flush()
            self._shown = False


class StatusText:
    """Turns the growing counters of one room into a line about the last moment."""

    def __init__(self, metrics: LiveMetrics) -> None:
        self._metrics = metrics
        #: When, frames sampled, results, and their latencies added up, over the last moment.
        self._past: deque[tuple[float, int, int, float]] = deque([(time.monotonic(), 0, 0, 0.0)], maxlen=_CALLS)
        self._latency_s: float | None = None

    def text(self, view: RoomView) -> str:
        """The line; to be called twice a second."""
        looks, total_s = self._metrics.stage_seconds.get("captured_to_result", (0, 0.0))
        now = (time.monotonic(), view.frames_sampled, looks, total_s)
        then = self._past[0]
        self._past.append(now)
        rate = (now[1] - then[1]) / max(1e-6, now[0] - then[0])
        if now[2] > then[2]:
            self._latency_s = (now[3] - then[3]) / (now[2] - then[2])
        skipped = sum(view.gate.get(reason, 0) for reason in SKIP_REASONS)
        share = f"{skipped / view.frames_sampled:.0%}" if view.frames_sampled else "–"
        latency = "–" if self._latency_s is None else f"{self._latency_s * 1000:.0f} ms"
        state = _STATES.get(view.state, view.state)
        parts = [f"{state}", f"{rate:.1f} 帧/秒 fps", f"跳过 skipped {share}", f"延迟 latency {latency}"]
        if view.state not in {"live", "ended"}:
            parts.append(view.detail)
        return "  ·  ".join(parts)


def shortened(text: str) -> str:
    """The text as a terminal may show it: catalogs, recognisers and streams say what they like, and it obeys."""
    return printable(text[:_LONGEST_VALUE] + ("…" if len(text) > _LONGEST_VALUE else ""))


def _clock(pts_s: float) -> str:
    minutes, seconds = divmod(max(0.0, pts_s), 60)
    return f"{int(minutes):02d}:{seconds:04.1f}"


def _place(event: CardEvent) -> str:
    if event.box is None or not event.frame_width:
        return ""
    x1, y1, x2, y2 = event.box
    return f"  ({x1:.0f}, {y1:.0f})–({x2:.0f}, {y2:.0f}) / {event.frame_width}×{event.frame_height}"
