"""Eight hours of one room in a few minutes: does livecart's memory stay flat?

1. A room. A file of 28,800 pictures, one for each second, is read as fast as the recogniser follows: demuxed, decoded,
   judged by the gate, encoded, asked about over HTTP, decided, published on the memory bus: the pipeline as
   `livecart run` has it, nothing left out. The decision goes by the file's time, so that for it eight hours pass. The
   recogniser is a stand-in in a process of its own, products come and go every 20 s, over half of the frames change.
2. The same frames as of a live stream that nobody keeps up with: the newest wins, others are replaced.
3. A reader. A small file is opened, read to its end and closed again and again, as streams that reconnect are.

Every 5 % memory is printed: USS, what is this process's own, and RSS, with threads and open descriptors. The drift is
the median USS of the last quarter over that of the first. With few frames it shows how a process warms up, not what it
loses.

    python benchmarks/bench_soak.py                   a few minutes
    python benchmarks/bench_soak.py --frames 1000 --opens 40

Exit status: 0, or 1 if memory drifted by more than 5 %, or threads or descriptors were left.
"""

import argparse
import asyncio
import datetime
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.stand_in_recognizer import PRODUCTS
from livecart.core.settings import RoomSettings
from livecart.live.decide import DecisionSettings
from livecart.live.gate.settings import GateSettings
from livecart.live.plan import plan_room
from livecart.live.recognise.settings import RecognizerSettings
from livecart.live.video import IngestSettings, StreamReader
from livecart.server.app import open_engine

ROOT = Path(__file__).resolve().parent.parent


#: What the project promises.
MOST_DRIFT = 0.05
PARTS = ("room", "newest_wins", "reader")
_WIDTH_PX, _HEIGHT_PX = 192, 256
#: Drawn once and repeated: three products, 20 s each, ten times.
_DRAWN_FRAMES = 600
_SHOW_EVERY_S, _SHOWN_S = 20, (6, 14)
_STEPS = 20
_MIB = 1 << 20
console = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Reading:
    done: int
    uss_mib: float
    rss_mib: float
    threads: int
    descriptors: int


def read_now(done: int = 0) -> Reading:
    process = psutil.Process()
    used = process.memory_full_info()
    return Reading(done, round(used.uss / _MIB, 2), round(used.rss / _MIB, 2), process.num_threads(), process.num_fds())


def with_what_is_left(part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run a part; its report, with the threads and descriptors that there are more of after it than before."""
    before = read_now()
    report = part()
    after = read_now()
    return report | {
        "threads_left": after.threads - before.threads,
        "descriptors_left": after.descriptors - before.descriptors,
    }


@dataclass
class Memory:
    """Takes a reading every 5 % of the way."""

    total: int
    readings: list[Reading] = field(default_factory=list)

    def reached(self, done: int) -> None:
        """So much is done; reads if that is another 5 %."""
        if done * _STEPS < self.total * (len(self.readings) + 1):
            return
        # What waits for the collector is not lost.
        gc.collect()
        last = read_now(done)
        self.readings.append(last)
        console.print(f"{done / self.total:4.0%}  USS {last.uss_mib:.1f} MiB, RSS {last.rss_mib:.1f} MiB")

    def report(self) -> dict[str, Any]:
        """All readings, and what drifted from the first quarter to the last."""
        quarter = max(1, len(self.readings) // 4)
        first, last = self.readings[:quarter], self.readings[-quarter:]
        drift = {
            key: statistics.median(getattr(reading, key) for reading in last)
            / statistics.median(getattr(reading, key) for reading in first)
            - 1
            for key in ("uss_mib", "rss_mib")
        }
        return {
            "drift_uss": round(drift["uss_mib"], 4),
            "drift_rss": round(drift["rss_mib"], 4),
            "readings": [asdict(reading) for reading in self.readings],
        }


def scene(second: int) -> NDArray[np.uint8]:
    """The picture of one second: another background every 7 s, and a product that is held a little unsteadily."""
    rows, columns = np.mgrid[0:_HEIGHT_PX, 0:_WIDTH_PX]
    stripes = (columns + rows + second // 7 * 11) // 16 % 2
    rgb = np.where(stripes[..., None] == 1, (150, 150, 150), (90, 90, 90)).astype(np.uint8)
    if _SHOWN_S[0] <= second % _SHOW_EVERY_S < _SHOWN_S[1]:
        colour = list(PRODUCTS.values())[second // _SHOW_EVERY_S % len(PRODUCTS)]
        top, left = _HEIGHT_PX // 4 + second * 5 % 12, _WIDTH_PX // 4
        rgb[top : top + _HEIGHT_PX // 2, left : left + _WIDTH_PX // 2] = colour
    return rgb


def write_hours(path: Path, frames: int, rate: int = 1) -> None:
    """A file of `frames` pictures, `rate` a second; what was encoded once is repeated."""
    drawn = min(frames, _DRAWN_FRAMES)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "26", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = _WIDTH_PX, _HEIGHT_PX, "yuv420p"
        stream.codec_context.gop_size = 10
        stream.codec_context.thread_count = 1
        packets = []
        for second in range(drawn):
            picture = av.VideoFrame.from_ndarray(scene(second), format="rgb24")
            picture.pts = second
            packets += stream.encode(picture)
        packets += stream.encode(None)
        encoded = [(bytes(packet), packet.is_keyframe, packet.time_base) for packet in packets]
        for number in range(frames):
            data, is_key_frame, time_base = encoded[number % drawn]
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = stream, time_base, is_key_frame
            packet.pts = packet.dts = round(number / rate / time_base)
            output.mux(packet)


@contextmanager
def stand_in() -> Iterator[str]:
    """The stand-in recogniser in a process of its own; its address."""
    command = [sys.executable, str(ROOT / "benchmarks" / "stand_in_recognizer.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield child.stdout.readline().strip()
        finally:
            child.terminate()


async def soak_room(clip: Path, frames: int, recognizer_url: str, *, lossless: bool) -> dict[str, Any]:
    """Part 1, and without `lossless` part 2."""
    events: Counter[str] = Counter()
    memory = Memory(frames)
    plan = plan_room(
        RoomSettings(id="soak", source=str(clip)),
        ingest=IngestSettings(),
        gate=GateSettings(),
        decision=DecisionSettings(),
    )
    # No settings make a live stream of a file that is read at once: here only, to have its frames come too fast.
    plan = replace(plan, lossless=lossless)
    async with open_engine(RecognizerSettings(base_url=recognizer_url)) as engine:
        engine.outbox.listen(lambda event: events.update([event.event]))
        began_s = time.monotonic()
        runner = await engine.rooms.put(plan)
        while not runner.finished.is_set():
            memory.reached(runner.view().frames_sampled)
            await asyncio.sleep(0.05)
        took_s = time.monotonic() - began_s
        view = runner.view()
        memory.reached(view.frames_sampled)
        outcomes = engine.metrics.outcomes("soak")
        if view.frames_sampled != frames or runner.failure is not None:
            raise RuntimeError(f"{view.frames_sampled} of {frames} frames were read: {runner.failure}")
    return {
        "frames": frames,
        "took_s": round(took_s, 1),
        "gate": view.gate,
        "outcomes": outcomes,
        "events": dict(events),
        **memory.report(),
    }


def soak_reader(clip: Path, opens: int) -> dict[str, Any]:
    memory = Memory(opens)
    frames = 0
    for done in range(1, opens + 1):
        reader = StreamReader(str(clip), "soak", IngestSettings(), lambda _frame: None, lambda _state, _detail: None)
        reader.start()
        if not reader.join(60) or reader.failure is not None:
            raise RuntimeError(f"{clip}: was not read to its end: {reader.failure}")
        reader.stop()
        frames += reader.stats.snapshot().frames_sampled
        memory.reached(done)
    return {"opens": opens, "frames": frames, **memory.report()}


def missed(part: dict[str, Any]) -> list[str]:
    found = [f"memory drifted by {part['drift_uss']:+.1%}"] if part["drift_uss"] > MOST_DRIFT else []
    left = {key: part[key] for key in ("threads_left", "descriptors_left")}
    return found + [f"{count} {key.replace('_', ' ')}" for key, count in left.items() if count > 0]


def show(report: dict[str, Any]) -> None:
    out = Console(width=120, highlight=False)
    for name in PARTS:
        part = report[name]
        table = Table(title=f"{name}: {part['frames']} frames", title_justify="left")
        for heading in ("done", "USS MiB", "RSS MiB", "threads", "descriptors"):
            table.add_column(heading, justify="right")
        for reading in part["readings"]:
            table.add_row(*(str(value) for value in reading.values()))
        out.print(table)
        out.print(f"drift: USS {part['drift_uss']:+.2%}, RSS {part['drift_rss']:+.2%} (at most {MOST_DRIFT:.0%})")
        if "gate" in part:
            out.print(f"{part['took_s']} s; gate {part['gate']}; {part['outcomes']}; events {part['events']}")
    out.print("missed: " + ("; ".join(report["missed"]) or "nothing"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=28_800, help="one a second (default: 28,800, eight hours)")
    parser.add_argument("--opens", type=int, default=1_000, help="of the small file (default: 1,000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--output", type=Path, help="written too (default: results/soak.json if nothing is shortened)")
    options = parser.parse_args()
    if min(options.frames, options.opens) < _STEPS:
        parser.error(f"--frames and --opens must be {_STEPS} or more")
    whole = options.frames >= parser.get_default("frames") and options.opens >= parser.get_default("opens")
    if options.output is None and whole:
        options.output = ROOT / "benchmarks" / "results" / "soak.json"
    with tempfile.TemporaryDirectory(prefix="livecart-bench-") as folder, stand_in() as url:
        hours, small = Path(folder) / "hours.mp4", Path(folder) / "small.mp4"
        console.print(f"drawing {options.frames} pictures …")
        write_hours(hours, options.frames)
        write_hours(small, 50, rate=10)
        soaks: dict[str, Callable[[], dict[str, Any]]] = {
            "room": lambda: asyncio.run(soak_room(hours, options.frames, url, lossless=True)),
            "newest_wins": lambda: asyncio.run(soak_room(hours, options.frames, url, lossless=False)),
            "reader": lambda: soak_reader(small, options.opens),
        }
        parts = {}
        for name in PARTS:
            console.print(f"{name} …")
            parts[name] = with_what_is_left(soaks[name])
    report = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        **parts,
        "missed": [f"{name}: {what}" for name, part in parts.items() for what in missed(part)],
    }
    if options.output:
        options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(report))
    else:
        show(report)
    return 1 if report["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
