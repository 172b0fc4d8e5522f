"""Clips, archives and engines for tests of whole rooms; whatever a test starts is gone after it."""

import threading
import time
from pathlib import Path

import psutil
import pytest

from livecart.core.settings import RoomSettings
from livecart.live.decide import DecisionSettings
from livecart.live.gate.settings import GateSettings
from livecart.live.plan import plan_room
from livecart.live.recognise.settings import DispatcherSettings, RecognizerSettings
from livecart.live.video import IngestSettings
from livecart.server.app import open_engine
from tests.server.stand_in import DURATION_S, SHOWS, ColourArchive, write_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A file, and what it shows."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return path, write_clip(path, SHOWS, DURATION_S)


@pytest.fixture(scope="session")
def flv(tmp_path_factory) -> bytes:
    """Bytes of a live stream in which red is shown all the time, 6 s of it."""
    path = tmp_path_factory.mktemp("clips") / "live.flv"
    write_clip(path, [("red", 0.0, 6.0)], 6.0, container="flv")
    return path.read_bytes()


@pytest.fixture
async def archive():
    async with ColourArchive() as running:
        yield running


@pytest.fixture
async def engine(archive):
    """An engine whose events are in `engine_events`."""
    async with open_engine(
        RecognizerSettings(base_url=archive.url, timeout_s=2.0),
        dispatcher=DispatcherSettings(backoff_first_s=0.05, backoff_max_s=0.2),
    ) as opened:
        yield opened


@pytest.fixture
def events(engine):
    """Every event that is emitted."""
    seen = []
    engine.outbox.listen(seen.append)
    return seen


def plan(room: str, source: Path | str, *, gate: bool = True, ingest=None, decision=None, **more):
    quick = {"backoff_first_s": 0.05, "backoff_max_s": 0.2, "stall_after_s": 1.0, "open_timeout_s": 2.0}
    settings = RoomSettings(id=room, source=str(source), **more)
    return plan_room(
        settings,
        ingest=IngestSettings(**(quick | (ingest or {}))),
        gate=GateSettings() if gate else None,
        decision=DecisionSettings(**(decision or {})),
    )


def told(events, room: str | None = None) -> list[tuple[str, str]]:
    """Events in short, without updates."""
    return [(e.event, e.sku) for e in events if e.event != "update" and room in (None, e.room)]


@pytest.fixture
def nothing_left():
    """Threads and descriptors are as many after the test as before."""
    process = psutil.Process()
    threads, descriptors = set(threading.enumerate()), process.num_fds()
    yield
    end_s = time.monotonic() + 5
    while (set(threading.enumerate()) - threads or process.num_fds() > descriptors) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert not set(threading.enumerate()) - threads
    assert process.num_fds() <= descriptors
