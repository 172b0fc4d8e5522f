"""`livecart evaluate-clip`: the cards of a clip against what the clip shows."""

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from contract.card import CardEvent
from livecart.cli.clip_plot import check_plot, save_timeline
from livecart.cli.clip_score import ClipScore, read_truth, score
from livecart.cli.running import (
    DEFAULT_RECOGNIZER,
    Rate,
    Realtime,
    Recognizer,
    RoomOptions,
    follow,
    run_command,
    set_up_logging,
    wait_for_recognizer,
)
from livecart.cli.terminal import StatusLine
from livecart.core.errors import StreamError
from livecart.core.types import RoomView
from livecart.live.enrich.faces import FacesSettings
from livecart.live.gate.gate import SKIP_REASONS
from livecart.server.app import Engine, open_engine

EVALUATE_HELP = """用带标注的视频打分：对了几个、漏了几个、多快弹出。

Run a clip through the pipeline and hold its cards against what the clip shows: shows found, missed and wrong,
duplicates, the time from appearance to card, recogniser calls a minute, the cost of each stage.

Without --realtime one frame at a time is read, gated and recognised, so that the time to a card is the clip's
time plus the measured time from the deciding frame's capture to its card, without waiting behind other frames.

\b
  livecart evaluate-clip clip.mp4 truth.json --json
"""


def evaluate_command(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="视频 the clip.", show_default=False)],
    truth: Annotated[
        Path,
        typer.Argument(
            metavar="TRUTH", help="标注 what it shows: the truth file of scripts/make_clip.py.", show_default=False
        ),
    ],
    *,
    json: Annotated[bool, typer.Option("--json", help="输出 JSON one object, for programs.")] = False,
    recognizer: Recognizer = DEFAULT_RECOGNIZER,
    room: Annotated[str, typer.Option("--room", help="the room's name in the catalog.")] = "evaluation",
    rate: Rate = 1.0,
    realtime: Realtime = False,
    gate: Annotated[bool, typer.Option("--gate/--no-gate", help="跳过不变的画面 skip unchanged frames.")] = True,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="时间线图 write the timeline as a picture.")
    ] = None,
) -> None:
    status = StatusLine()
    set_up_logging(logging.WARNING, status.clear)
    options = RoomOptions(
        source=str(clip), room=room, recognizer_url=recognizer, rate_hz=rate, realtime=realtime, gate=gate
    )
    raise typer.Exit(run_command(lambda stop: evaluate(options, status, stop, truth_file=truth, json=json, plot=plot)))


async def evaluate(
    options: RoomOptions, status: StatusLine, stop: asyncio.Event, *, truth_file: Path, json: bool, plot: Path | None
) -> None:
    """Run the clip, print the figures, draw the plot.

    Raises:
        SettingsError: something given cannot be used, or no recogniser answers.
        StreamError: the clip was not read to its end.
    """
    truth = read_truth(truth_file)
    plan = options.plan()
    if plot is not None:
        check_plot(plot)
    events: list[CardEvent] = []
    async with open_engine(options.recognizer(), faces=FacesSettings()) as engine:
        engine.outbox.listen(events.append)
        await wait_for_recognizer(engine.client, stop)
        began_s = time.monotonic()
        runner = await engine.rooms.put(plan)
        await follow(engine, runner, status, stop)
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
    if plot is not None:
        save_timeline(plot, result, truth)
    if json:
        sys.stdout.write(msgspec.json.encode(msgspec.to_builtins(result) | {"details": details}).decode() + "\n")
    else:
        Console().print(_table(result, details))


def _details(engine: Engine, view: RoomView, options: RoomOptions, wall_s: float) -> dict[str, Any]:
    stages = {
        stage: {"count": count, "mean_s": total_s / count}
        for stage, (count, total_s) in sorted(engine.metrics.stage_seconds.items())
        if count
    }
    return {
        "rate_hz": view.rate_hz,
        "realtime": options.realtime,
        "gate": options.gate,
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
