"""Requests/s and latency of the archive, against a plain handler and against the same recogniser without a server.

(a) our archive under TorchServe, (b) a handler as TorchServe's examples write it, (c) our recogniser called in a loop,
one process a core: the limit. Same photos, same cores, same run; the rounds alternate, so that a machine whose speed
drifts changes all three alike. Prints a table and writes results/serving.json.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import io
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import torchserve_control as control  # noqa: E402
import torchserve_plan  # noqa: E402
from benchmarks.in_process import in_process_per_second  # noqa: E402
from benchmarks.load import LoadResult, run_load  # noqa: E402
from demo import free_port  # noqa: E402
from sample_photos import sample_photos  # noqa: E402

CLIENTS = (1, 8, 32)
FRAME_PX = (640, 360)
#: What the project promises at 32 clients.
TARGETS = {"a/c": 0.9, "a/b": 3.0}


def main() -> int:
    """Run the benchmark; 1 if a target is missed or a request failed."""
    options = _arguments()
    photos = frames()
    with tempfile.TemporaryDirectory(prefix="livecart-bench-") as temporary:
        folder = Path(temporary)
        unpacked = folder / "unpacked"
        zipfile.ZipFile(options.archive).extractall(unpacked)
        plain = build_plain(unpacked, folder / "store")
        try:
            servers = {}
            for name, archive in (("a", options.archive), ("b", plain)):
                print(f"starting ({name}) {archive.name} …", flush=True)
                servers[name] = control.start(
                    torchserve_plan.Plan(folder=folder / name, archive=archive, port=free_port())
                )
            rounds = [one_round(servers, unpacked, photos, options, number) for number in range(options.rounds)]
        finally:
            for name in ("a", "b"):
                control.stop(folder / name)
    report = summarise(rounds, options, len(photos))
    show(report)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    missed = [name for name, target in TARGETS.items() if report["ratios_at_32"][name] < target]
    return 1 if missed or report["failures"] else 0


def frames() -> list[bytes]:
    """Frames as a live stream has them: 640 × 360 JPEG, made from real photos."""
    made = []
    for path in sample_photos():
        buffer = io.BytesIO()
        with Image.open(path) as photo:
            photo.convert("RGB").resize(FRAME_PX, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=85)
        made.append(buffer.getvalue())
    return made


def build_plain(unpacked: Path, store: Path) -> Path:
    """Pack (b) with the archive's own weights and labels. TorchServe's defaults hold: one image a batch."""
    store.mkdir()
    extras = ",".join(str(unpacked / name) for name in ("backbone.pt", "backbone.json", "labels.json"))
    subprocess.run(
        [
            *(sys.executable, "-m", "model_archiver.model_packaging", "--force", "--export-path", str(store)),
            *("--model-name", torchserve_plan.MODEL, "--version", "1.0", "--extra-files", extras),
            *("--handler", str(ROOT / "benchmarks" / "baseline" / "plain_handler.py")),
        ],
        check=True,
        capture_output=True,
        env={"TMPDIR": str(store), "PATH": "/usr/bin:/bin"},
    )
    return store / f"{torchserve_plan.MODEL}.mar"


def one_round(
    servers: dict[str, control.Server], unpacked: Path, photos: list[bytes], options: argparse.Namespace, number: int
) -> dict[str, Any]:
    """Measure (c), then (a) and (b) at every number of clients."""
    cores = torchserve_plan.available_cores()
    measured: dict[str, Any] = {"c": {}, "a": {}, "b": {}}
    for batch_size in (1, 4):
        print(f"round {number + 1}: (c) batches of {batch_size} …", flush=True)
        measured["c"][batch_size] = in_process_per_second(
            unpacked, photos, processes=cores, batch_size=batch_size, seconds=options.seconds
        )
    for clients in CLIENTS:
        for name in ("a", "b"):
            print(f"round {number + 1}: ({name}) {clients} clients …", flush=True)
            url = f"{servers[name].inference_url}/predictions/{torchserve_plan.MODEL}"
            measured[name][clients] = asyncio.run(
                run_load(url, photos, clients=clients, seconds=options.seconds, warm_up_s=1.0)
            )
    return measured


def summarise(rounds: list[dict[str, Any]], options: argparse.Namespace, photos: int) -> dict[str, Any]:
    """Medians over the rounds; the limit is the better of the two ways of calling (c)."""

    def of(name: str, clients: int) -> dict[str, float]:
        runs: list[LoadResult] = [measured[name][clients] for measured in rounds]
        return {
            "per_second": statistics.median(run.per_second for run in runs),
            "p50_ms": statistics.median(run.percentile_ms(50) for run in runs),
            "p95_ms": statistics.median(run.percentile_ms(95) for run in runs),
        }

    limits = {batch: statistics.median(measured["c"][batch] for measured in rounds) for batch in rounds[0]["c"]}
    best = [max(measured["c"].values()) for measured in rounds]
    at_32 = {name: [measured[name][32].per_second for measured in rounds] for name in ("a", "b")}
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "cores": torchserve_plan.available_cores(),
        "processor": _processor(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "photos": photos,
        "frame_px": FRAME_PX,
        "a": {clients: of("a", clients) for clients in CLIENTS},
        "b": {clients: of("b", clients) for clients in CLIENTS},
        "c": {f"batch {batch}": value for batch, value in limits.items()},
        "ratios_at_32": {
            "a/c": statistics.median(a / c for a, c in zip(at_32["a"], best, strict=True)),
            "a/b": statistics.median(a / b for a, b in zip(at_32["a"], at_32["b"], strict=True)),
        },
        "failures": sum(
            measured[name][clients].failures for measured in rounds for name in "ab" for clients in CLIENTS
        ),
    }


def show(report: dict[str, Any]) -> None:
    """Print the table of the README."""
    print(f"\n{report['cores']} cores, {report['processor']}, frames {FRAME_PX[0]}x{FRAME_PX[1]}")
    print(f"{'':34}{'requests/s':>11}{'p50 ms':>9}{'p95 ms':>9}")
    for name, title in (("a", "(a) this archive"), ("b", "(b) plain handler")):
        for clients in CLIENTS:
            row = report[name][clients]
            print(f"{title:20}{clients:3} clients   {row['per_second']:11.1f}{row['p50_ms']:9.0f}{row['p95_ms']:9.0f}")
    for way, value in report["c"].items():
        print(f"(c) in a loop       {way:14}{value:11.1f}")
    for name, value in report["ratios_at_32"].items():
        print(f"{name} at 32 clients: {value:.2f} (target {TARGETS[name]})")
    print(f"failed requests: {report['failures']}")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, default=ROOT / "model_store" / f"{torchserve_plan.MODEL}.mar")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="measured in each run of a round")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "serving.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
