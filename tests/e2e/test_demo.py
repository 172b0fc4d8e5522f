"""`make demo` starts, shows its pages, and ends every process, whenever it is told to. CI runs `make demo-check`."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from tests.scripts.demo.demo_clip import write_clip

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 180.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=2.0)


def write_shop(folder: Path) -> Path:
    folder.mkdir()
    product = {"sku": "1001", "name": "好欢螺螺蛳粉", "url": "https://shop.example.org/item/1001"}
    (folder / "catalog.json").write_text(json.dumps({"schema": 1, "products": [product]}), encoding="utf-8")
    return folder


@contextmanager
def demo(archive: Path, source: str, temporary: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The demo; everything it starts has `temporary` in its environment."""
    temporary.mkdir()
    log = temporary.parent / "demo.log"
    program = str(ROOT / "scripts" / "demo_live.py")
    command = [sys.executable, program, "--archive", str(archive), "--source", source, *options]
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    with log.open("w") as told:
        process = subprocess.Popen(command, stdout=told, stderr=told, env=environment, text=True)
    try:
        yield process, log
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_for(pattern: str, process: subprocess.Popen[str], log: Path) -> str:
    end_s = time.monotonic() + PATIENCE_S
    while not (found := re.search(pattern, log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end_s, log.read_text()
        time.sleep(0.05)
    return found[0]


def left_over(temporary: Path) -> list[list[str]]:
    """Command lines of processes that the demo started and that still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(temporary) in process.environ().get("TMPDIR", ""):
                found.append(process.cmdline())
        except psutil.Error:
            continue
    return found


def test_it_shows_its_pages_and_ends_with_everything(archive: Path, clip: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "t"
    shop = write_shop(tmp_path / "shop")
    with demo(archive, str(clip), temporary, "--catalog", str(shop)) as (process, log):
        url = wait_for(r"http://127.0.0.1:\d+/rooms/demo/watch", process, log)
        assert "application/vnd" not in requests.get(url, timeout=30).text
        assert requests.get(url, timeout=30).status_code == 200
        assert requests.get(url.replace("watch", "console"), timeout=30).status_code == 200
        assert requests.get(wait_for(r"http://127.0.0.1:\d+/admin/", process, log), timeout=30).status_code == 200
        assert len(left_over(temporary)) >= 3
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert "nothing is left running" in log.read_text()
    assert left_over(temporary) == []
    assert list(temporary.iterdir()) == []


def test_told_to_end_while_it_starts(archive: Path, clip: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "t"
    with demo(archive, str(clip), temporary) as (process, log):
        wait_for("starting TorchServe", process, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert left_over(temporary) == []


def test_what_cannot_start_is_said(archive: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "t"
    with demo(archive, str(tmp_path / "none.mp4"), temporary) as (process, log):
        assert process.wait(PATIENCE_S) == 1
    assert "none.mp4: is neither a file nor a URL" in log.read_text()
    assert left_over(temporary) == []
    assert list(temporary.iterdir()) == []
