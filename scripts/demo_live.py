"""The whole system on this machine, in a browser: a clip sent as a live stream, and cards over its moving products.

  demo_live.py                                          drawn products
  demo_live.py --source URL|FILE --catalog FOLDER       your own stream (H.264) and products; docs/catalog.md

A file is sent over and over as a live stream. Ctrl-C ends everything. Exit status: 0 ended, 1 it could not start.
"""

import argparse
import os
import sys
import time
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from demo.cards import card_events
from demo.errors import DemoError
from demo.stage import Stage, choose_shop, ended_by_signals, staged
from livecart.cli.terminal import card_panel, withdrawal_line
from torchserve_plan import ARCHIVE


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console(highlight=False)
    began_s = time.monotonic()

    def tell(what: str) -> None:
        console.print(f"[dim]{time.monotonic() - began_s:5.0f} s[/dim]  {what}")

    try:
        with ended_by_signals():
            shop = choose_shop(options.source, options.catalog, tell)
            with staged(shop, options.archive, tell) as stage:
                tell("就绪 ready")
                _welcome(console, stage)
                _show_cards(console, stage)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        console.print("\n已结束，没有留下任何进程 ended; nothing is left running")
    return 0


def _welcome(console: Console, stage: Stage) -> None:
    system = stage.system
    pages = {"观众页面 Viewers": system.watch_url, "主播控制台 Host": system.console_url}
    admin_url = system.admin_url() if stage.token else None
    if admin_url:
        pages["商品后台 Admin"] = f"{admin_url}  令牌 token {stage.token}"
    console.print()
    for name, url in pages.items():
        console.print(f"  [bold]{name}[/bold]  {url}", soft_wrap=True)
    if tunnel := tunnel_command(os.environ, system.url, stage.stream_url):
        console.print(
            f"\n  从你的电脑看，先在那里运行 to watch on your own computer, first run there: {tunnel}", soft_wrap=True
        )
    hint = "\n  几秒后出现卡片，Ctrl-C 结束 cards come in a few seconds; Ctrl-C ends everything\n"
    console.print(hint, soft_wrap=True)
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin":
        webbrowser.open(system.watch_url)


def tunnel_command(environment: Mapping[str, str], *urls: str) -> str | None:
    """The ssh command that forwards the pages, which listen on 127.0.0.1 alone; None without SSH."""
    if not environment.get("SSH_CONNECTION"):
        return None
    ports = [urlsplit(url).port for url in urls]
    forwarded = " ".join(f"-L {port}:127.0.0.1:{port}" for port in ports)
    # The third word is the address by which this machine was reached.
    host = [*environment["SSH_CONNECTION"].split(), "", "", ""][2] or "HOST"
    return f"ssh -N {forwarded} {host}"


def _show_cards(console: Console, stage: Stage) -> None:
    for event in card_events(stage.system.events_url):
        if event.event == "card":
            console.print(card_panel(event))
        elif event.event == "withdraw":
            console.print(withdrawal_line(event))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", help="a file, or a URL of a stream (RTMP, RTSP, HLS, HTTP-FLV), in H.264")
    parser.add_argument("--catalog", type=Path, metavar="FOLDER", help="your products, as docs/catalog.md has it")
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    options = parser.parse_args(arguments)
    if options.catalog and not options.source:
        parser.error("products without a stream: give --source (make demo: SOURCE=) too, or neither")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
