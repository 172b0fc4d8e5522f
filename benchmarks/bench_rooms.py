"""Live rooms that this machine carries, TorchServe included, and the cost of a room by stage.

The clip: drawn products, 720p30 at 2 Mbit/s, a key frame every 2 s, one show of 6 to 9.5 s every 20 s, in which the
product is brought in, turned, half hidden, near and far. Between shows the drawn host sways and talks in a camera's
noise: no frame equals the one before it, and none passes the gate as unchanged; but nothing new comes, and about half
of the sampled frames are skipped, most as background. After 60 s the same pictures come again. A small server of
our own plays it as HTTP-FLV live streams, one a room, their shows and key frames spread in time (live_source.py; what
it uses of the processor is reported and is not part of a room). `livecart run` and TorchServe (a worker for each core)
run as processes of their own, with default settings, over N rooms.

N passes when, after a warm-up, 95 % of the cards of the measured time were emitted within 1 s of their frame's capture,
no frame grew stale, frames were sampled as often as asked, every room stayed live, and cards came for 80 % of the shows
or more. The largest N is searched: from what the first N cost it follows which one to try next, and between the last
that passed and the first that did not the middle is tried. Then the same for the naive way: every frame is decoded,
every sampled one recognised ([ingest] every_frame, a [gate] for which every frame is due). The ratio is the point;
rooms depend on the machine and on what else runs there, which is shown beside them.

    python benchmarks/bench_rooms.py                            everything, about 15 minutes on an idle machine
    python benchmarks/bench_rooms.py --max-runs 8               a finer search
    python benchmarks/bench_rooms.py --rooms 8 --way livecart   one N, one way
    python benchmarks/bench_rooms.py --rooms 2 --seconds 10     does it work at all?
    python benchmarks/bench_rooms.py --set dispatcher.in_flight=4 --set recognizer.text='"never"'     other settings

TorchServe works off what livecart has given up waiting for; each run begins only when it has.

Times to a card are from `captured_to_card_seconds`: within its buckets they are interpolated, whether 1 s was kept is
exact. With --rooms nothing is written unless --output names a file. Exit status: 0, or 1 if a target was missed.
"""

import argparse
import asyncio
import datetime
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import psutil
from rich.console import Console

import build_archive
import make_clip
import torchserve_control as control
import torchserve_plan
from benchmarks import room_report
from benchmarks.capacity_search import largest_passing
from benchmarks.load import run_load
from benchmarks.room_measure import Between, Programs, memory_mib, moment_of, wait_idle
from benchmarks.room_process import WAYS, Settings, Way, live_source, merged, offsets_ms, rooms_toml, running
from livecart.live.video import VideoPicture
from torchserve_plan import free_port

ROOT = Path(__file__).resolve().parent.parent


SHOW_EVERY_S = 20.0
#: What the project promises for a 2-core machine, in rooms.
TARGET_ROOMS = 40
_CLIENTS_OF_WARM_UP = 8
#: Rooms tried first, each way, and the share of the cores that the rooms tried next should use.
_START = {"livecart": 4, "naive": 2}
_BUSY_SHARE = 0.85
#: livecart's default: frames are scaled down to it.
_LONGEST_SIDE_PX = 960

console = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Stage:
    server: control.Server
    source_url: str
    source: psutil.Process
    options: argparse.Namespace


def main() -> int:
    options = _arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    with prepared(options) as stage:
        ways = {name: measure_way(name, stage) for name in (WAYS if options.way == "both" else [options.way])}
    report = summary(ways, options)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        room_report.show(report)
    return 1 if report["missed"] else 0


@contextmanager
def prepared(options: argparse.Namespace) -> Iterator[Stage]:
    """The clip as live streams, and TorchServe with its catalog, warm."""
    clip, catalog = clip_and_catalog(options)
    archive = options.archive or _archive(catalog, options.work)
    folder = options.work / "torchserve"
    console.print("starting TorchServe …")
    plan = torchserve_plan.Plan(
        folder=folder, archive=archive, port=free_port(), workers=torchserve_plan.available_cores(), threads=1
    )
    server = control.start(plan)
    try:
        with live_source(clip) as (url, source):
            console.print("warming up: a new JVM compiles for its first seconds …")
            predictions = f"{server.inference_url}/predictions/{torchserve_plan.MODEL}"
            load = run_load(
                predictions, _some_frames(clip), clients=_CLIENTS_OF_WARM_UP, seconds=options.warm_up / 2, warm_up_s=0
            )
            asyncio.run(load)
            yield Stage(server, url, source, options)
    finally:
        control.stop(folder)


def clip_and_catalog(options: argparse.Namespace) -> tuple[Path, Path]:
    """The clip and its catalog folder, made once for each set of options."""
    name = f"{options.size}-{options.clip_seconds:g}s"
    clip, catalog = options.work / f"clip-{name}.mp4", options.work / f"catalog-{name}"
    if clip.exists() and catalog.exists():
        return clip, catalog
    console.print(f"drawing {clip.name}, once …")
    # Whole or not at all: a run that was cut short must leave nothing that the next one takes for the clip.
    part = options.work / f"part-{name}.mp4"
    asked = ["--out", str(part), "--truth", str(options.work / f"truth-{name}.json"), "--catalog-out", str(catalog)]
    asked += ["--duration", f"{options.clip_seconds:g}", "--shows", str(round(options.clip_seconds / SHOW_EVERY_S))]
    asked += ["--size", options.size, "--fps", "30", "--bitrate", "2M", "--keyframe-distance", "2", "--seed", "7"]
    if make_clip.main(asked) != 0:
        raise SystemExit(1)
    part.rename(clip)
    return clip, catalog


def _archive(catalog: Path, work: Path) -> Path:
    """An archive of the handler as it is now, with the clip's catalog; built anew each time."""
    console.print("building the archive …")
    archive = work / f"{torchserve_plan.MODEL}.mar"
    if build_archive.main(["--output", str(archive), "--catalog", str(catalog), "--runtimes", "openvino"]) != 0:
        raise SystemExit(1)
    return archive


def _some_frames(clip: Path) -> list[bytes]:
    """The clip's key frames as livecart would send them."""
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        video.codec_context.skip_frame = "NONKEY"
        return [VideoPicture(frame).jpeg(_LONGEST_SIDE_PX)[0] for frame in container.decode(video)]


def measure_way(name: str, stage: Stage) -> dict[str, Any]:
    """One N or the search for the largest, one way."""
    options, way = stage.options, WAYS[name]
    runs: list[dict[str, Any]] = []

    def suggest() -> int | None:
        used = runs[-1].get("cores_used")
        return round(runs[-1]["rooms"] * _BUSY_SHARE * torchserve_plan.available_cores() / used) if used else None

    def passes(rooms: int) -> bool:
        result = one_run(way, rooms, stage, lambda doing: console.print(f"{name}, {rooms} rooms: {doing} …"))
        runs.append(result)
        console.print(f"{name}, {room_report.one_line(result)}")
        return not result["shortcomings"]

    if options.rooms:
        most = options.rooms if passes(options.rooms) else 0
    else:
        start = options.start or _START[name]
        most = largest_passing(passes, start=start, most=options.most, max_runs=options.max_runs, suggest=suggest)
    return {"title": way.title, "rooms": most, "runs": runs}


def one_run(way: Way, rooms: int, stage: Stage, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run so many rooms for a while; what they did and cost, and where they fell short."""
    options = stage.options
    common = merged(
        {"recognizer": {"base_url": stage.server.inference_url, "management_url": stage.server.management_url}},
        {"ingest": {"rate_hz": options.rate}},
        *options.set,
    )
    ahead_ms = offsets_ms(rooms, SHOW_EVERY_S, options.clip_seconds)
    configuration = rooms_toml(merged(common, way.settings), source=stage.source_url, ahead_ms=ahead_ms)
    torchserve = stage.server.process()
    if torchserve is None:
        raise RuntimeError(f"TorchServe has ended:\n{control.log_tail(options.work / 'torchserve')}")
    progress("starting")
    if not wait_idle(torchserve):
        console.print("TorchServe is still at work on what the last run left; this one begins nevertheless")
    try:
        with running(configuration, options.work) as livecart:
            programs = Programs(livecart, torchserve, stage.source)
            progress(f"warming up {options.warm_up:g} s")
            time.sleep(options.warm_up)
            before = moment_of(programs)
            progress(f"measuring {options.seconds:g} s")
            time.sleep(options.seconds)
            after = moment_of(programs)
            views, memory = livecart.rooms(), memory_mib(programs)
    except RuntimeError as error:
        # That so many rooms do not even start is a result of the search, not its end.
        return {"rooms": rooms, "shortcomings": [str(error)]}
    shows = rooms * options.seconds / SHOW_EVERY_S
    measured = room_report.Run(rooms, options.rate, shows, views, memory)
    return room_report.result(Between(before, after), measured)


def summary(ways: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    ours, naive = (ways.get(name, {}).get("rooms") for name in ("livecart", "naive"))
    searched = not options.rooms
    cores = torchserve_plan.available_cores()
    missed = [
        f"{name}: {run['rooms']} rooms" for name, way in ways.items() for run in way["runs"] if run["shortcomings"]
    ]
    if searched:
        missed = [f"{ours} rooms, target {TARGET_ROOMS}"] if ours is not None and ours < TARGET_ROOMS else []
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "cores": cores,
        "processor": room_report.processor(),
        "clip": f"{options.size}, 30 frames/s, 2 Mbit/s, key frames 2 s apart, a show every {SHOW_EVERY_S:g} s",
        "rate_hz": options.rate,
        "seconds": options.seconds,
        "settings": merged(*options.set),
        "target_rooms": TARGET_ROOMS,
        "ways": ways,
        "ratio": round(ours / naive, 2) if searched and ours and naive else None,
        "missed": missed,
    }


def _setting(text: str) -> Settings:
    name, _, value = text.partition("=")
    section, _, key = name.partition(".")
    try:
        return {section: {key: json.loads(value)}}
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected SECTION.KEY=VALUE, VALUE as JSON: {error}") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    number = torchserve_plan.positive
    parser.add_argument("--rooms", type=number, metavar="N", help="measure N rooms only, without a search")
    parser.add_argument("--way", choices=[*WAYS, "both"], default="both", help="(default: both)")
    parser.add_argument("--rate", type=float, default=1.0, metavar="HZ", help="frames sampled a second (default: 1)")
    parser.add_argument("--seconds", type=float, default=100.0, metavar="S", help="measured in each run (default: 100)")
    parser.add_argument("--warm-up", type=float, default=15.0, metavar="S", help="before that (default: 15)")
    parser.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="a setting of rooms.toml for both ways, VALUE as JSON; more than once",
    )
    search = parser.add_argument_group("search")
    search.add_argument("--start", type=number, metavar="N", help=f"rooms tried first (default: {_START})")
    search.add_argument("--most", type=number, default=128, metavar="N", help="rooms tried at most (default: 128)")
    search.add_argument("--max-runs", type=number, default=3, metavar="N", help="runs of each way (default: 3)")
    clip = parser.add_argument_group("clip and archive, kept in the work folder")
    clip.add_argument("--work", type=Path, default=ROOT / "build" / "bench-rooms", help="(default: %(default)s)")
    clip.add_argument("--size", default="720x1280", choices=("720x1280", "1280x720"), help="(default: 720x1280)")
    clip.add_argument(
        "--clip-seconds",
        type=float,
        default=60.0,
        metavar="S",
        # A card comes again 30 s after its product went out of sight, so that one product a loop would come once.
        help="of the clip that is played over and over, 60 or more (default: 60)",
    )
    clip.add_argument("--archive", type=Path, help="one that has the clip's catalog already, instead of building it")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--output", type=Path, help="written (default: results/rooms.json; with --rooms nothing)")
    options = parser.parse_args()
    if options.clip_seconds < 3 * SHOW_EVERY_S:
        parser.error(f"--clip-seconds {options.clip_seconds:g}: must be {3 * SHOW_EVERY_S:g} or more")
    if options.output is None and options.rooms is None:
        options.output = ROOT / "benchmarks" / "results" / "rooms.json"
    return options


if __name__ == "__main__":
    sys.exit(main())
