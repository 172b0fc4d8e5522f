"""Requests/s and latency of the archive, against a plain handler and against the same recogniser without a server.

(a) our archive under TorchServe, (b) a handler as TorchServe's examples write it, served with TorchServe's defaults,
(b1) the same, told by OMP_NUM_THREADS=1 to use one thread in each worker, (c) our recogniser called in a loop, one
process a core: the limit. Same photos, same cores, same run; the rounds alternate, so that a machine whose speed drifts
changes all alike. Prints a table and writes results/serving.json.
"""

import argparse
import asyncio
import datetime
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image

import torchserve_control as control
import torchserve_plan
from benchmarks.in_process import in_process_per_second
from benchmarks.load import LoadResult, run_load
from sample_photos import sample_photos
from torchserve_plan import free_port

ROOT = Path(__file__).resolve().parent.parent


CLIENTS = (1, 8, 32)
FRAME_PX = (640, 360)
WARM_UP_S = 15.0
SERVERS = {"a": "(a) this archive", "b": "(b) plain handler", "b1": "(b1) its 1 thread"}
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
            for name, archive in {"a": options.archive, "b": plain, "b1": plain}.items():
                print(f"starting ({name}) …", flush=True)
                os.environ.pop("OMP_NUM_THREADS", None)
                if name == "b1":
                    os.environ["OMP_NUM_THREADS"] = "1"
                servers[name] = control.start(
                    torchserve_plan.Plan(folder=folder / name, archive=archive, port=free_port())
                )
            print("warming up (a): a new JVM compiles for its first seconds …", flush=True)
            asyncio.run(run_load(_url(servers["a"]), photos, clients=32, seconds=WARM_UP_S, warm_up_s=0))
            rounds = [one_round(servers, unpacked, photos, options, number) for number in range(options.rounds)]
        finally:
            for name in SERVERS:
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
    measured: dict[str, Any] = {"c": {}} | {name: {} for name in SERVERS}

    def limit(batch_size: int) -> None:
        print(f"round {number + 1}: (c) {batch_size} at a time …", flush=True)
        measured["c"][batch_size] = in_process_per_second(
            unpacked,
            photos,
            processes=torchserve_plan.available_cores(),
            batch_size=batch_size,
            seconds=options.seconds,
        )

    def measure(name: str, clients: int) -> None:
        print(f"round {number + 1}: ({name}) {clients} clients …", flush=True)
        load = run_load(_url(servers[name]), photos, clients=clients, seconds=options.seconds, warm_up_s=1.0)
        measured[name][clients] = asyncio.run(load)

    # What is compared with what stands next to it, because the machine's own speed drifts over minutes.
    limit(1)
    measure("a", 32)
    limit(8)
    for clients in (1, 8):
        for name in SERVERS:
            measure(name, clients)
    for name in ("b", "b1"):
        measure(name, 32)
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
    at_32 = {name: [measured[name][32].per_second for measured in rounds] for name in SERVERS}
    at_32["c"] = [max(measured["c"].values()) for measured in rounds]
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "cores": torchserve_plan.available_cores(),
        "processor": processor_name(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "photos": photos,
        "frame_px": FRAME_PX,
        **{name: {clients: of(name, clients) for clients in CLIENTS} for name in SERVERS},
        "c": {f"{batch} at a time": value for batch, value in limits.items()},
        "ratios_at_32": {
            f"a/{name}": statistics.median(ours / its for ours, its in zip(at_32["a"], at_32[name], strict=True))
            for name in ("c", "b", "b1")
        },
        "failures": sum(run.failures for measured in rounds for name in SERVERS for run in measured[name].values()),
    }


def show(report: dict[str, Any]) -> None:
    print(f"\n{report['cores']} cores, {report['processor']}, frames {FRAME_PX[0]}x{FRAME_PX[1]}")
    print(f"{'':34}{'requests/s':>11}{'p50 ms':>9}{'p95 ms':>9}")
    for name, title in SERVERS.items():
        for clients in CLIENTS:
            row = report[name][clients]
            print(f"{title:20}{clients:3} clients   {row['per_second']:11.1f}{row['p50_ms']:9.0f}{row['p95_ms']:9.0f}")
    for way, value in report["c"].items():
        print(f"(c) in a loop       {way:14}{value:11.1f}")
    for name, value in report["ratios_at_32"].items():
        print(f"{name} at 32 clients: {value:.2f}" + (f" (target {TARGETS[name]})" if name in TARGETS else ""))
    print(f"failed requests: {report['failures']}")


def _url(server: control.Server) -> str:
    return f"{server.inference_url}/predictions/{torchserve_plan.MODEL}"


def processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, default=torchserve_plan.ARCHIVE)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured in each run of a round")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "serving.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
