"""`livecart evaluate-clip`: the cards of a clip against what the clip shows."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from livecart.app import Engine, open_engine
from livecart.cli.options import RoomOptions, wait_for_recognizer
from livecart.cli.terminal import StatusLine, StatusText
from livecart.cli.timeline import check_plot, save_timeline
from livecart.errors import StreamError
from livecart.pipeline.clip_score import ClipScore, read_truth, score
from livecart.pipeline.faces import FacesSettings
from livecart.pipeline.gate import SKIP_REASONS
from livecart.types import CardEvent, RoomView

_STATUS_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What the command line says."""

    room: RoomOptions
    truth: Path
    json: bool
    plot: Path | None


async def evaluate(options: EvaluateOptions, status: StatusLine, stop: asyncio.Event) -> None:
    """Run the clip, print the figures, draw the plot.

    Raises:
        SettingsError: something given cannot be used, or no recogniser answers.
        StreamError: the clip was not read to its end.
    """
    truth = read_truth(options.truth)
    plan = options.room.plan()
    if options.plot is not None:
        check_plot(options.plot)
    events: list[CardEvent] = []
    async with open_engine(options.room.recognizer(), faces=FacesSettings()) as engine:
        engine.outbox.listen(events.append)
        await wait_for_recognizer(engine.client, stop)
        began_s = time.monotonic()
        runner = await engine.rooms.put(plan)
        await _follow(engine, runner.view, runner.finished, status, stop)
        wall_s = time.monotonic() - began_s
        view = runner.view()
        details = _details(engine, view, options, wall_s)
        calls = engine.metrics.stage_seconds.get("request", (0, 0.0))[0]
    status.clear()
    if stop.is_set():
        return
    if runner.failure is not None:
        raise StreamError(f"{plan.shown}: {runner.failure}")
    skipped = sum(view.gate.get(reason, 0) for reason in SKIP_REASONS)
    result = score(events, truth, calls=calls, sampled_frames=view.frames_sampled, skipped_frames=skipped)
    if options.plot is not None:
        save_timeline(options.plot, result, truth)
    if options.json:
        sys.stdout.write(msgspec.json.encode(msgspec.to_builtins(result) | {"details": details}).decode() + "\n")
    else:
        Console().print(_table(result, details))


async def _follow(
    engine: Engine, view: Callable[[], RoomView], finished: asyncio.Event, status: StatusLine, stop: asyncio.Event
) -> None:
    text = StatusText(engine.metrics)
    while not (finished.is_set() or stop.is_set()):
        status.show(text.text(view()))
        try:
            async with asyncio.timeout(_STATUS_EVERY_S):
                await finished.wait()
        except TimeoutError:
            continue


def _details(engine: Engine, view: RoomView, options: EvaluateOptions, wall_s: float) -> dict[str, Any]:
    stages = {
        stage: {"count": count, "mean_s": total_s / count}
        for stage, (count, total_s) in sorted(engine.metrics.stage_seconds.items())
        if count
    }
    return {
        "rate_hz": view.rate_hz,
        "realtime": options.room.realtime,
        "gate": options.room.gate,
        "gate_frames": view.gate,
        "frames_by_outcome": engine.metrics.outcomes(view.id),
        "decode_mode": view.decode_mode,
        "frames_decoded": view.frames_decoded,
        "stages": stages,
        "wall_s": round(wall_s, 3),
    }


def _table(result: ClipScore, details: dict[str, Any]) -> Table:
    table = Table(title="视频评估 Clip evaluation", title_justify="left", show_header=False)
    delays = result.appear_to_card_s
    rows = {
        "查准率 precision": _share(result.precision),
        "查全率 recall": f"{_share(result.recall)}  ({result.shows_found}/{result.shows_total})",
        "错误 wrong": str(result.wrong),
        "重复 duplicates": str(result.duplicates),
        "旁边商品 bystanders' cards": str(result.bystanders),
        "出现到弹卡 appearance to card": f"median {_seconds(delays.median)}, p95 {_seconds(delays.p95)}",
        "跳过 skipped": _share(result.skipped_share),
        "识别次数/分钟 calls per minute": f"{result.calls_per_min:.1f}",
    }
    for stage, cost in details["stages"].items():
        rows[f"  {stage}"] = f"{cost['mean_s'] * 1000:.1f} ms × {cost['count']}"
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"
