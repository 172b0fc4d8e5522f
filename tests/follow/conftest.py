"""What the tests of the follower share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from follow import sources
from tests.follow.follower_worker import POLL_S, Worker, snapshot_bytes
from tests.follow.snapshot_shop import Shop
from tests.snapshot_files import write


@pytest.fixture(autouse=True)
def settle_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_SETTLED_AFTER_S", 0.03)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "builtin.snapshot", "0")
    return tmp_path


@pytest.fixture
def follow(folder: Path) -> Iterator[Callable[..., Worker]]:
    """Start a worker that follows a source; closed at the end."""
    workers: list[Worker] = []

    def started(source: str | Path | None, **options: object) -> Worker:
        worker = Worker(folder, None if source is None else str(source), options)
        workers.append(worker)
        return worker.start()

    yield started
    for worker in workers:
        worker.follower.close()


@pytest.fixture
def path(folder: Path) -> Path:
    """A snapshot of product 1 to follow."""
    (folder / "shop").mkdir()
    write(folder / "shop" / "live.snapshot", "1")
    return folder / "shop" / "live.snapshot"


@pytest.fixture
def shop(folder: Path) -> Iterator[Shop]:
    shop = Shop(snapshot_bytes(folder, "1"))
    shop.open()
    yield shop
    shop.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures of a link are retried at the pace of the tests."""
    monkeypatch.setattr(sources.LinkSource, "most_backoff_s", POLL_S)
