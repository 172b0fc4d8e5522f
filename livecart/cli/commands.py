"""The commands and their options. Exit codes: 0 done or told to stop, 1 something given cannot be used, 2 usage."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from livecart.app import run_rooms
from livecart.cli.catalog_commands import catalog_cli
from livecart.cli.evaluate import EvaluateOptions, evaluate
from livecart.cli.options import DEFAULT_RECOGNIZER, RECOGNIZER_VARIABLE, RoomOptions
from livecart.cli.running import run_command, set_up_logging
from livecart.cli.terminal import StatusLine
from livecart.cli.watch import WatchOptions, watch

_LIVECART = """看直播，识别主播手里的商品，弹出购买卡片。

Watches a live-commerce stream, recognises the product the host holds, and shows its purchase card.

A recogniser has to run: `make serve CATALOG=folder` in the repository starts one.
"""
_WATCH = """看一个直播间，识别到商品就弹出卡片。

Watch one room and show a card for each product that is held up. A file is read as fast as the recogniser follows,
every sampled frame of it; a live stream is read until Ctrl-C, and reconnects by itself.

\b
  livecart watch clip.mp4 --catalog my-shop
  livecart watch rtmp://127.0.0.1/live/room-1 --rate 2
  livecart watch https://live.example.com/room-1.m3u8 --json
"""
_RUN = """同时看很多直播间：配置文件改了就生效，也可用 HTTP 增删。

Watch many rooms. Edits of the file are followed; rooms are also added, changed and removed over HTTP, by default at
http://127.0.0.1:8090: /rooms, /healthz, /readyz, /metrics.

\b
  livecart run --config rooms.toml
"""
_EVALUATE = """用带标注的视频打分：对了几个、漏了几个、多快弹出。

Run a clip through the pipeline and hold its cards against what the clip shows: shows found, missed and wrong,
duplicates, the time from appearance to card, recogniser calls a minute, the cost of each stage.

Without --realtime one frame at a time is read, judged and asked about, so that the time to a card is the clip's
time plus the measured time from the deciding frame's capture to its card, without waiting behind other frames.

\b
  livecart evaluate-clip clip.mp4 truth.json --json
"""

cli = typer.Typer(
    name="livecart",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

cli.add_typer(catalog_cli, name="catalog")

Recognizer = Annotated[
    str,
    typer.Option(
        "--recognizer",
        metavar="URL",
        envvar=RECOGNIZER_VARIABLE,
        help="识别服务地址 the recogniser; LIVECART_TOKEN: its token.",
    ),
]
Rate = Annotated[float, typer.Option("--rate", min=0.1, max=10, help="每秒取几帧 frames sampled a second.")]
Realtime = Annotated[
    bool, typer.Option("--realtime", help="文件按原速播放 play a file at its own pace, as a stream would come.")
]


@cli.callback(help=_LIVECART)
def livecart() -> None:
    """What livecart is."""


@cli.command("watch", help=_WATCH)
def watch_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="直播地址或视频文件 a file, or a URL of RTMP, RTSP, HLS, HTTP-FLV.",
            show_default=False,
        ),
    ],
    *,
    room: Annotated[str, typer.Option("--room", help="直播间 the room's id, also its name in the catalog.")] = "room-1",
    catalog: Annotated[
        Path | None,
        typer.Option(
            "--catalog", metavar="FOLDER", help="商品目录 announce only its products; checks that they are served."
        ),
    ] = None,
    recognizer: Recognizer = DEFAULT_RECOGNIZER,
    bus: Annotated[
        str, typer.Option("--bus", metavar="URL", help="事件总线 where events go as well: redis://host:port/db.")
    ] = "memory://",
    rate: Rate = 1.0,
    realtime: Realtime = False,
    json: Annotated[
        bool, typer.Option("--json", help="每行一个事件 one event a line (docs/events.md), nothing else.")
    ] = False,
) -> None:
    """Watch one room."""
    status = StatusLine()
    set_up_logging(logging.WARNING, status.clear)
    options = WatchOptions(
        room=RoomOptions(source=source, room=room, recognizer_url=recognizer, rate_hz=rate, realtime=realtime),
        catalog=catalog,
        bus_url=bus,
        json=json,
    )
    raise typer.Exit(run_command(lambda stop: watch(options, status, stop)))


@cli.command("run", help=_RUN)
def run(
    config: Annotated[
        Path,
        typer.Option(
            "--config", metavar="FILE", help="直播间配置 rooms.toml; docs/live.md has every key.", show_default=False
        ),
    ],
    verbose: Annotated[bool, typer.Option("--verbose", help="更多日志 log more.")] = False,
) -> None:
    """Watch many rooms."""
    set_up_logging(logging.DEBUG if verbose else logging.INFO)

    def on_ready(url: str) -> None:
        logging.getLogger("livecart").info("ready: %s/rooms", url)

    async def work(stop: asyncio.Event) -> None:
        await run_rooms(config, stop, on_ready=on_ready)

    raise typer.Exit(run_command(work))


@cli.command("evaluate-clip", help=_EVALUATE)
def evaluate_clip(
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
    """Score a clip."""
    status = StatusLine()
    set_up_logging(logging.WARNING, status.clear)
    options = EvaluateOptions(
        room=RoomOptions(
            source=str(clip), room=room, recognizer_url=recognizer, rate_hz=rate, realtime=realtime, gate=gate
        ),
        truth=truth,
        json=json,
        plot=plot,
    )
    raise typer.Exit(run_command(lambda stop: evaluate(options, status, stop)))


def main() -> None:
    """Run the command line."""
    sys.exit(cli())
