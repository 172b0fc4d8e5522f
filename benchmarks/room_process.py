"""`livecart run` as a process of its own, over rooms that are channels of a live source."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(__file__).resolve().parent.parent
_READY = re.compile(r"ready: (http://\S+)/rooms")
_START_TIMEOUT_S = 90.0
#: Their multiples, taken modulo anything, are spread as evenly as can be: the golden ratio.
_GOLDEN = 0.618034


#: Of rooms.toml, by section and key.
Settings = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Way:
    """A way of watching rooms: what it sets apart from livecart's defaults, by section and key of rooms.toml."""

    title: str
    settings: Settings


WAYS = {
    "livecart": Way("livecart", {}),
    # A gate of which every frame is due and none is held back; what it costs, below a millisecond, it still does.
    "naive": Way(
        "every frame decoded, every sampled one recognised",
        {
            "ingest": {"every_frame": True, "fast_hz": 0.1, "load_shedding": "never"},
            "gate": {"forced_every_s": 0.001, "max_wait_s": 0.0, "blurred_share": 0.0, "track": False},
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Livecart:
    url: str
    process: psutil.Process
    log: Path

    def rooms(self) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.url}/rooms", timeout=10)
        answer.raise_for_status()
        return list(answer.json()["rooms"])

    def metrics(self) -> str:
        answer = requests.get(f"{self.url}/metrics", timeout=10)
        answer.raise_for_status()
        return answer.text


def offsets_ms(rooms: int, show_every_s: float, clip_s: float) -> list[int]:
    """Offset of each room's channel: spread over the time between shows, and over the clip's shows."""
    shows = max(1, round(clip_s / show_every_s))
    return [round(1000 * show_every_s * (number * _GOLDEN % 1 + number % shows)) for number in range(rooms)]


def merged(*settings: Settings) -> Settings:
    """All of them; of a key that is there more than once the last."""
    sections: Settings = {}
    for each in settings:
        for section, values in each.items():
            sections[section] = sections.get(section, {}) | values
    return sections


def rooms_toml(settings: Settings, *, source: str, ahead_ms: list[int]) -> str:
    """The configuration of one run. Values are numbers, booleans and plain strings, which JSON writes as TOML does."""
    lines = []
    for name, values in merged(settings, {"http": {"port": 0}}).items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    for number, ahead in enumerate(ahead_ms):
        lines += ["[[rooms]]", f'id = "room-{number}"', f'source = "{source}/live/{ahead}.flv"']
    return "\n".join(lines) + "\n"


@contextmanager
def running(configuration: str, folder: Path) -> Iterator[Livecart]:
    """Run livecart with this rooms.toml; it has ended when the block has.

    Raises:
        RuntimeError: it does not start, or not all rooms are live in time; the message has the end of its log.
    """
    config, log = folder / "rooms.toml", folder / "livecart.log"
    config.write_text(configuration, encoding="utf-8")
    command = [sys.executable, str(ROOT / "benchmarks" / "named_threads.py"), "run", "--config", str(config)]
    with log.open("w") as said:
        child = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    try:
        yield _when_live(child, log)
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def live_source(clip: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The clip as live streams: their server's address and process.

    Raises:
        RuntimeError: it does not start; why is on standard error.
    """
    command = [sys.executable, str(ROOT / "benchmarks" / "live_source.py"), str(clip)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            url = child.stdout.readline().strip()
            if not url:
                raise RuntimeError(f"{clip}: its live source did not start")
            yield url, psutil.Process(child.pid)
        finally:
            child.terminate()


def _when_live(child: subprocess.Popen[bytes], log: Path) -> Livecart:
    give_up_s = time.monotonic() + _START_TIMEOUT_S
    livecart: Livecart | None = None
    while time.monotonic() < give_up_s and child.poll() is None:
        said = _READY.search(log.read_text(errors="replace"))
        if said and livecart is None:
            livecart = Livecart(said[1], psutil.Process(child.pid), log)
        if livecart and all(room["state"] == "live" for room in livecart.rooms()):
            return livecart
        time.sleep(0.2)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise RuntimeError(f"livecart did not start, or not all its rooms went live:\n{tail}")
