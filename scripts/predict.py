"""Recognise photos with a running server and show their labels and purchase cards.

  predict.py photo.jpg                 labels, and a card for each product found
  predict.py a.jpg folder/ --json      one JSON object a line, for programs
  predict.py folder/ --threshold 0.5   show products from 50 % confidence on

Exit status: 0 all photos recognised, 1 some were refused, 2 the server cannot be reached.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.panel import Panel
from rich.progress import track
from rich.table import Table
from rich.text import Text

import torchserve_control as control
import torchserve_plan
from predictions_api import PhotoReply, find_photos, recognize

TOKEN_VARIABLE = "LIVECART_TOKEN"
_DEFAULT_URL = "http://127.0.0.1:8080"


def main() -> int:
    options = _arguments()
    try:
        photos = list(find_photos(options.photos))
    except FileNotFoundError as error:
        print(f"predict: {error}: no such file or folder", file=sys.stderr)
        return 1
    if not photos:
        print("predict: no photos (.jpg, .png, .webp) there", file=sys.stderr)
        return 1
    url, headers = _server(options)
    answers = _recognize_all(photos, url, headers, options)
    if options.json:
        for answer in answers:
            print(json.dumps({"path": str(answer.path), "status": answer.status, **answer.body}, ensure_ascii=False))
    else:
        show(answers)
    if any(answer.status in (400, 401, 403) and "oken" in answer.error for answer in answers):
        print(f"predict: the server wants a valid token: put it into {TOKEN_VARIABLE}", file=sys.stderr)
    if all(answer.status == 0 for answer in answers):
        print(f"predict: {answers[0].error}\nIs a server running at {url}? `make serve` starts one.", file=sys.stderr)
        return 2
    return 0 if all(answer.ok for answer in answers) else 1


def show(answers: Sequence[PhotoReply], console: Console | None = None) -> None:
    """Print a table of labels and, below it, a card for every product found."""
    console = console or Console()
    console.print(_table(answers))
    for answer in answers:
        for product in answer.body.get("products", ()) if answer.ok else ():
            console.print(_card(answer.path, product))
    if answers and not any(answer.body.get("products") for answer in answers if answer.ok):
        console.print("没有认出目录中的商品 No product of the archive's catalog was recognised.")


def _table(answers: Iterable[PhotoReply]) -> Table:
    table = Table(title="识别结果 Labels", title_justify="left")
    for heading in ("图片 Photo", "标签 Label", "置信度 Confidence", "其他 Others"):
        table.add_column(heading, overflow="fold")
    for answer in answers:
        if not answer.ok:
            table.add_row(answer.path.name, Text(answer.error, style="red"), "", "")
            continue
        labels = answer.body["labels"]
        others = ", ".join(f"{entry['label']} {entry['confidence']:.0%}" for entry in labels[1:4])
        table.add_row(answer.path.name, labels[0]["label"], f"{labels[0]['confidence']:.1%}", others)
    return table


def _card(path: Path, product: dict[str, Any]) -> Panel:
    price = f"{product['price']} {product.get('currency', '')}".strip() if product.get("price") else None
    rows = {
        "商品 Product": product["name"],
        "价格 Price": price,
        "置信度 Confidence": f"{product['confidence']:.1%}",
        "购买链接 Link": product["url"],
        "画面 Frame": path.name,
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        if value:
            grid.add_row(Text(name, style="dim"), Text(str(value)))
    return Panel(grid, title="[bold]🛒 识别到商品 Product found[/bold]", border_style="green", expand=False)


def _recognize_all(
    photos: Sequence[Path], url: str, headers: dict[str, str], options: argparse.Namespace
) -> list[PhotoReply]:
    with requests.Session() as session, ThreadPoolExecutor(options.concurrency) as pool:
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=options.concurrency)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        answers: Iterator[PhotoReply] = pool.map(lambda photo: recognize(session, url, photo, headers), photos)
        quiet = options.json or len(photos) == 1 or not sys.stderr.isatty()
        bar = track(
            answers, "识别中 recognising", len(photos), console=Console(stderr=True), disable=quiet, transient=True
        )
        return list(bar)


def _server(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Address and headers: as given, else of this checkout's running server, else TorchServe's usual address."""
    server = control.running(options.server_folder.resolve())
    headers = server.headers() if server and not options.url else {}
    token = os.environ.get(TOKEN_VARIABLE)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    wanted = {
        # HTTP headers are Latin-1 to every client library; the handler reads them as the UTF-8 that they hold.
        "X-Room": options.room.encode().decode("latin-1") if options.room else None,
        "X-Top-K": options.top_k,
        "X-Threshold": options.threshold,
        "X-Text": options.text,
    }
    headers |= {name: str(value) for name, value in wanted.items() if value is not None}
    return (options.url or "").rstrip("/") or (server.inference_url if server else _DEFAULT_URL), headers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path, help="photos, or folders of them")
    parser.add_argument("--url", help=f"server (default: this checkout's, or {_DEFAULT_URL})")
    parser.add_argument("--top-k", type=int, help="labels in each reply")
    parser.add_argument("--threshold", type=float, help="show products from this confidence on, 0 to 1")
    parser.add_argument("--room", help="only products of this room")
    parser.add_argument("--text", choices=("auto", "always", "never"), help="whether packaging text is read")
    parser.add_argument(
        "--concurrency",
        type=torchserve_plan.positive,
        default=8,
        help="photos under way at once (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--server-folder", type=Path, default=torchserve_plan.ROOT / ".serve", help=argparse.SUPPRESS)
    parser.epilog = f"Where the server asks for a token, put it into the environment as {TOKEN_VARIABLE}."
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
