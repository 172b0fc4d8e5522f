"""The commands put together. Exit codes: 0 done or told to stop, 1 something given cannot be used, 2 usage."""

import asyncio
import gc
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from livecart.cli.attribution_commands import LIFT_HELP, lift_command, postback_cli
from livecart.cli.catalog_commands import catalog_cli
from livecart.cli.evaluate_clip import EVALUATE_HELP, evaluate_command
from livecart.cli.running import run_command, set_up_logging
from livecart.cli.watch import WATCH_HELP, watch_command
from livecart.cli.webhook_commands import webhooks_cli
from livecart.server.app import run_rooms

_LIVECART = """看直播，识别主播手里的商品，弹出购买卡片。

Watches a live-commerce stream, recognises the product the host holds, and shows its purchase card.

A recogniser has to run: `make serve CATALOG=folder` in the repository starts one.
"""
_RUN = """同时看很多直播间：配置文件改了就生效，也可用 HTTP 增删。

Watch many rooms. Edits of the file are followed; rooms are also added, changed and removed over HTTP, by default at
http://127.0.0.1:8090: /rooms, /healthz, /readyz, /metrics.

\b
  livecart run --config rooms.toml
"""
cli = typer.Typer(
    name="livecart",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

catalog_cli.add_typer(postback_cli, name="postback")
catalog_cli.command("lift", help=LIFT_HELP)(lift_command)
cli.add_typer(catalog_cli, name="catalog")
cli.add_typer(webhooks_cli, name="webhooks")

cli.command("watch", help=WATCH_HELP)(watch_command)
cli.command("evaluate-clip", help=EVALUATE_HELP)(evaluate_command)


@cli.callback(help=_LIVECART)
def livecart() -> None:
    """Show the help above."""


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
    set_up_logging(logging.DEBUG if verbose else logging.INFO)

    def on_ready(url: str) -> None:
        # What is there now stays: a look of Python's collector at all of it would hold up every room for 0.14 s.
        gc.collect()
        gc.freeze()
        logging.getLogger("livecart").info("ready: %s/rooms", url)

    async def work(stop: asyncio.Event) -> None:
        await run_rooms(config, stop, on_ready=on_ready)

    raise typer.Exit(run_command(work))


def main() -> None:
    sys.exit(cli())
