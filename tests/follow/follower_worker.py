"""A worker as far as its follower is concerned."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from follow.follower import SnapshotFollower
from recognition.snapshot.read import Snapshot, open_snapshot
from tests.snapshot_files import FINGERPRINT, write

POLL_S = 0.01


def eventually(check: Callable[[], bool], *, within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.005)


def skus(snapshot: Snapshot) -> str:
    return "".join(snapshot.product(index).sku for index in range(snapshot.products))


@dataclass
class Worker:
    """A follower, what it serves, which snapshots replaced the first, and what it told."""

    folder: Path
    source: str | None
    options: dict[str, object] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    serving: str = ""

    def __post_init__(self) -> None:
        options = {"open": self.open, "on_change": self.change, "on_event": self.event, "poll_s": POLL_S}
        self.follower = SnapshotFollower(
            self.source,
            builtin=self.folder / "builtin.snapshot",
            cache_folder=self.folder / "cache",
            **(options | self.options),
        )

    def event(self, outcome: str, message: str) -> None:
        self.events.append((outcome, message))

    def open(self, path: Path) -> Snapshot:
        return open_snapshot(path, fingerprint=FINGERPRINT)

    def start(self) -> Worker:
        self.follower.start()
        return self

    def change(self, snapshot: Snapshot) -> None:
        if self.serving:
            self.changes.append(skus(snapshot))
        self.serving = skus(snapshot)

    def told(self, outcome: str) -> list[str]:
        return [message for kind, message in self.events if kind == outcome]


def snapshot_bytes(folder: Path, *names: str, fingerprint: str = FINGERPRINT) -> bytes:
    write(folder / "made", *names, fingerprint=fingerprint)
    return (folder / "made").read_bytes()
