"""The archive beside other servers of the same recogniser: requests/s and latency, for labels and for whole looks.

TorchServe with this archive, mosec, LitServe, BentoML, Ray Serve and FastAPI each run as many processes of the same
recogniser as there are cores (`benchmarks/peers/`), with batches of eight where the server makes batches. Labels: real
photos, no catalog. Looks: frames of a drawn clip against a catalog of its products. All stand at once and are loaded
in turn, in every round in another order, so that a machine whose speed drifts changes all alike. Ours over the best
peer of each round is what counts. The peers have an environment of their own: `make bench-peers` makes it.
"""

import argparse
import asyncio
import base64
import contextlib
import datetime
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

import torchserve_control as control
import torchserve_plan
from archive_files import unpack
from benchmarks.bench_gpu import clip_frames
from benchmarks.bench_serving import frames, processor_name
from benchmarks.load import LoadResult, run_load
from clips.products import DrawnProducts
from evaluation.backend import build
from recognition.network.artifact import SNAPSHOT_FILE
from torchserve_plan import ARCHIVE, MODEL, available_cores, free_port, positive

ROOT = Path(__file__).resolve().parent.parent
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
OURS = "this archive"
#: A whole look takes so long that more than 8 would measure nothing but their own queue.
CLIENTS = {"labels": (1, 8, 32), "looks": (1, 8)}
_START_S = 180.0
_WARM_UP_S = 10.0
_CLIP_FRAMES = 40
_BOUNDARY = "photo-of-a-frame"


@dataclass(frozen=True)
class Peer:
    """A server: its command by port, its path, and a request's body of a photo in its own form."""

    command: Callable[[int], list[str]]
    path: str
    content_type: str = "image/jpeg"
    body: Callable[[bytes], bytes] = bytes


def _module(name: str, *options: str) -> Callable[[int], list[str]]:
    return lambda port: ["-m", name, *(option.format(port=port) for option in options)]


def _form(photo: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="frame.jpg"\r\n'
    return head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + photo + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _json(photo: bytes) -> bytes:
    return json.dumps({"photos": [base64.b64encode(photo).decode()]}).encode()


_UVICORN = ("benchmarks.peers.fastapi_app:app", "--port", "{port}", "--log-level", "warning", "--no-access-log")
#: Its own limit for a request is 3 s, which looks of eight clients take.
_MOSEC = ("--port", "{port}", "--address", "127.0.0.1", "--timeout", "60000")
_BENTO = ("serve", "benchmarks.peers.bentoml_app:RecogniseService", "--port", "{port}", "--host", "127.0.0.1")
PEERS = {
    "mosec": Peer(_module("benchmarks.peers.mosec_app", *_MOSEC), "/inference"),
    "LitServe": Peer(
        _module("benchmarks.peers.litserve_app", "{port}"),
        "/predict",
        f"multipart/form-data; boundary={_BOUNDARY}",
        _form,
    ),
    "BentoML": Peer(_module("bentoml", *_BENTO), "/predict", "application/json", _json),
    "Ray Serve": Peer(_module("benchmarks.peers.ray_app", "{port}"), "/predict"),
    "FastAPI": Peer(_module("uvicorn", *_UVICORN, "--workers", str(available_cores())), "/predict"),
}


@dataclass(frozen=True)
class Served:
    """A server that answers: where, and the photos as it takes them."""

    url: str
    content_type: str
    bodies: Sequence[bytes]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 if a request failed."""
    options = _options(arguments)
    console = Console(stderr=True)
    kinds = {}
    with tempfile.TemporaryDirectory(prefix="livecart-bench-") as temporary:
        folder = Path(temporary)
        for kind, archive, photos in _kinds(options, folder, console):
            with _all_served(archive, photos, options.peers, folder / kind, console) as served:
                _warm_up(served, console)
                turns = range(options.rounds)
                rounds = [_one_round(served, CLIENTS[kind], options, number, console) for number in turns]
            kinds[kind] = _summary(rounds)
            _show(kind, kinds[kind])
    report = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "cores": available_cores(),
        "processor": processor_name(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "kinds": kinds,
    }
    options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 1 if any(kind["failures"] for kind in kinds.values()) else 0


def _kinds(options: argparse.Namespace, folder: Path, console: Console) -> Iterator[tuple[str, Path, Sequence[bytes]]]:
    """Archives with their requests: the archive as it is and photos, one with a drawn catalog and a clip's frames."""
    if "labels" in options.kinds:
        yield "labels", options.archive, frames()
    if "looks" in options.kinds:
        console.print("drawing a catalog and a clip …")
        products = DrawnProducts(24, shots=3, catalog_seed=0)
        unpacked = unpack(options.archive, folder / "archive")
        snapshot = build(products.write_catalog(folder / "catalog"), unpacked, folder / "catalog.snapshot")
        with_catalog = folder / "with-catalog" / options.archive.name
        with_catalog.parent.mkdir()
        with zipfile.ZipFile(options.archive) as old, zipfile.ZipFile(with_catalog, "w") as new:
            for name in set(old.namelist()) - {SNAPSHOT_FILE}:
                new.writestr(name, old.read(name))
            new.write(snapshot, SNAPSHOT_FILE)
        yield "looks", with_catalog, clip_frames(products, _CLIP_FRAMES)


@contextlib.contextmanager
def _all_served(
    archive: Path, photos: Sequence[bytes], peers: Sequence[str], folder: Path, console: Console
) -> Iterator[dict[str, Served]]:
    """Ours and the peers, all answering."""
    folder.mkdir()
    unpacked = unpack(archive, folder / "unpacked")
    environment = os.environ | {"PEER_ARCHIVE": str(unpacked), "PEER_PROCESSES": str(available_cores())}
    if (unpacked / SNAPSHOT_FILE).is_file():
        environment["PEER_SNAPSHOT"] = str(unpacked / SNAPSHOT_FILE)
    with contextlib.ExitStack() as stack:
        console.print(f"starting {OURS} …")
        server = control.start(torchserve_plan.Plan(folder=folder / "torchserve", archive=archive, port=free_port()))
        stack.callback(control.stop, folder / "torchserve")
        served = {OURS: Served(f"{server.inference_url}/predictions/{MODEL}", "image/jpeg", photos)}
        for name in peers:
            console.print(f"starting {name} …")
            url = stack.enter_context(_running(PEERS[name], environment, folder / f"{name}.log", photos[0]))
            served[name] = Served(url, PEERS[name].content_type, [PEERS[name].body(photo) for photo in photos])
        yield served


@contextlib.contextmanager
def _running(peer: Peer, environment: dict[str, str], log: Path, photo: bytes) -> Iterator[str]:
    """The peer's URL, once it answers a photo."""
    port = free_port()
    with log.open("wb") as out:
        command = [str(PEERS_PYTHON), *peer.command(port)]
        process = subprocess.Popen(
            command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, cwd=log.parent
        )
    url, give_up_s = f"http://127.0.0.1:{port}{peer.path}", time.monotonic() + _START_S
    try:
        while not _answers(url, peer, photo):
            if process.poll() is not None or time.monotonic() > give_up_s:
                raise SystemExit(f"{' '.join(command)} does not answer:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(1.0)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _answers(url: str, peer: Peer, photo: bytes) -> bool:
    try:
        answer = requests.post(url, peer.body(photo), headers={"Content-Type": peer.content_type}, timeout=60)
    except requests.RequestException:
        return False
    return answer.status_code == 200 and b"labels" in answer.content


def _warm_up(served: dict[str, Served], console: Console) -> None:
    """A new JVM compiles for its first seconds, and every process has buffers to make."""
    for name, each in served.items():
        console.print(f"warming up {name} …")
        load = run_load(
            each.url, each.bodies, clients=8, seconds=_WARM_UP_S, warm_up_s=0, content_type=each.content_type
        )
        asyncio.run(load)


def _one_round(
    served: dict[str, Served], numbers: Sequence[int], options: argparse.Namespace, number: int, console: Console
) -> dict[int, dict[str, LoadResult]]:
    names = list(served)
    turned = names[number % len(names) :] + names[: number % len(names)]
    measured: dict[int, dict[str, LoadResult]] = {clients: {} for clients in numbers}
    for clients, name in itertools.product(numbers, turned):
        console.print(f"round {number + 1} of {options.rounds}: {name}, {clients} clients …")
        each = served[name]
        load = run_load(
            each.url,
            each.bodies,
            clients=clients,
            seconds=options.seconds,
            warm_up_s=1.0,
            content_type=each.content_type,
        )
        measured[clients][name] = asyncio.run(load)
    return measured


def _summary(rounds: Sequence[dict[int, dict[str, LoadResult]]]) -> dict[str, Any]:
    """Medians over the rounds; `ours_to_best` is the median of each round's ratio, with the least and the most."""
    rows: dict[int, Any] = {}
    for clients in rounds[0]:
        runs = [measured[clients] for measured in rounds]
        ratios = [
            run[OURS].per_second / max(each.per_second for name, each in run.items() if name != OURS) for run in runs
        ]
        servers = {
            name: {
                "per_second": round(statistics.median(run[name].per_second for run in runs), 2),
                "p50_ms": round(statistics.median(run[name].percentile_ms(50) for run in runs), 1),
                "p95_ms": round(statistics.median(run[name].percentile_ms(95) for run in runs), 1),
            }
            for name in runs[0]
        }
        spread = [round(value, 2) for value in (min(ratios), statistics.median(ratios), max(ratios))]
        rows[clients] = {"servers": servers, "ours_to_best": spread}
    failures = sum(result.failures for run in rounds for each in run.values() for result in each.values())
    return {"clients": rows, "failures": failures}


def _show(kind: str, summary: dict[str, Any]) -> None:
    table = Table(title=f"{kind}: requests/s (p50 / p95 ms) by clients", title_justify="left")
    table.add_column("server")
    rows = list(summary["clients"].values())
    for clients in summary["clients"]:
        table.add_column(str(clients), justify="right")
    for name in rows[0]["servers"]:
        cells = [row["servers"][name] for row in rows]
        table.add_row(name, *(f"{each['per_second']:g} ({each['p50_ms']:g} / {each['p95_ms']:g})" for each in cells))
    ratios = [row["ours_to_best"] for row in rows]
    table.add_row("ours to the best peer", *(f"{median:g} ({least:g} to {most:g})" for least, median, most in ratios))
    Console(width=140).print(table)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--kinds", nargs="+", choices=("labels", "looks"), default=("labels", "looks"))
    parser.add_argument("--peers", nargs="+", choices=tuple(PEERS), default=tuple(PEERS))
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured in each run (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "peers.json")
    options = parser.parse_args(arguments)
    if not PEERS_PYTHON.is_file():
        parser.error("the peers are not installed; `make bench-peers` installs them")
    return options


if __name__ == "__main__":
    sys.exit(main())
