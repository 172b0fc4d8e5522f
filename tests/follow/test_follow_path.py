"""A file that is followed: what is sound is taken over, what is not changes nothing."""

import gc
import os
import threading
import time
from pathlib import Path

import pytest

from recognition.errors import SnapshotError
from recognition.snapshot.read import open_snapshot
from tests.follow.follower_worker import POLL_S, Worker, eventually, skus, snapshot_bytes
from tests.snapshot_files import FINGERPRINT, write


def test_a_start_with_nothing_to_serve_fails(folder, follow):
    (folder / "builtin.snapshot").write_bytes(b"")
    with pytest.raises(SnapshotError, match="the file is empty"):
        follow(None)
    with pytest.raises(SnapshotError, match="the file is empty"):
        follow(folder / "none.snapshot")
    assert not any(thread.name == "snapshot-follower" for thread in threading.enumerate())


def test_a_start_takes_the_sources_snapshot(path, follow):
    worker = follow(path)
    assert worker.serving == "1"
    assert worker.events == [("loaded", str(path))]
    assert worker.changes == []


def test_a_snapshot_that_is_renamed_into_place_is_taken_over(path, follow):
    worker = follow(path)
    write(path, "1", "2")
    eventually(lambda: worker.serving == "12")
    write(path, "2")
    eventually(lambda: worker.serving == "2")
    assert worker.changes == ["12", "2"]
    assert worker.told("refused") == worker.told("unreachable") == []


def test_a_snapshot_that_comes_while_the_first_is_taken_over_is_the_one_that_stays(folder, path):
    opened, taken = [], []

    def opening(file):
        opened.append(file)
        return open_snapshot(file, fingerprint=FINGERPRINT)

    def slowly(snapshot):
        if not taken:
            write(path, "2")
            eventually(lambda: len(opened) == 2)
            time.sleep(10 * POLL_S)  # in which the newer one would overtake
        taken.append(skus(snapshot))

    worker = Worker(folder, str(path), {"open": opening, "on_change": slowly})
    worker.start()
    try:
        eventually(lambda: taken == ["1", "2"])
    finally:
        worker.follower.close()


def test_a_change_is_served_within_two_seconds_at_the_default_pace(path, follow):
    worker = follow(path, poll_s=1.0)
    write(path, "1", "2")
    eventually(lambda: worker.serving == "12", within_s=2.0)


def test_a_snapshot_that_is_copied_over_the_old_one_does_not_touch_what_serves(folder, path, follow):
    kept = []
    worker = follow(path, on_change=kept.append)
    first = worker.follower._cache.good()
    path.write_bytes(snapshot_bytes(folder, "1", "2"))
    eventually(lambda: len(kept) == 2)
    os.truncate(path, 0)
    assert [skus(snapshot) for snapshot in kept] == ["1", "12"]
    assert not kept[1].path.samefile(path)
    assert first == kept[0].path != kept[1].path


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data[: len(data) // 2], "cut short"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "checksum"),
        (lambda data: b"", "empty"),
        (lambda data: b"<html>", "no snapshot"),
    ],
)
def test_a_damaged_snapshot_is_refused_once_and_the_old_one_serves(folder, path, follow, damage, told):
    worker = follow(path)
    path.write_bytes(damage(snapshot_bytes(folder, "2")))
    eventually(lambda: worker.told("refused") != [])
    time.sleep(5 * POLL_S)
    (message,) = worker.told("refused")
    assert message.startswith(f"{path}: ")
    assert told in message
    assert worker.serving == "1"
    write(path, "3")
    eventually(lambda: worker.serving == "3")
    assert [outcome for outcome, _ in worker.events] == ["loaded", "refused", "loaded"]


def test_a_file_that_is_being_written_is_left_alone_until_it_is_whole(folder, path, follow):
    worker = follow(path)
    data = snapshot_bytes(folder, "2")
    with path.open("wb") as file:
        for start in range(0, len(data), len(data) // 20 + 1):
            file.write(data[start : start + len(data) // 20 + 1])
            file.flush()
            time.sleep(0.01)
    eventually(lambda: worker.serving == "2")
    assert worker.told("refused") == []


def test_a_file_that_goes_away_is_told_once_and_comes_back(path, follow):
    worker = follow(path)
    for times in (1, 2):
        path.rename(path.with_suffix(".away"))
        eventually(lambda times=times: len(worker.told("unreachable")) == times)
        time.sleep(5 * POLL_S)
        path.with_suffix(".away").rename(path)
        eventually(lambda times=times: len(worker.told("reachable")) == times)
    assert len(worker.told("unreachable")) == 2
    assert "No such file" in worker.told("unreachable")[0]
    assert worker.serving == "1"


def test_a_file_that_is_touched_is_no_news(path, follow):
    worker = follow(path)
    before = worker.follower._cache.latest()
    os.utime(path)
    eventually(lambda: worker.follower._cache.latest() != before)
    time.sleep(3 * POLL_S)
    assert worker.changes == []


def test_a_replaced_snapshot_is_let_go(path, follow):
    worker = follow(path)
    gc.collect()
    assert mapped(worker) == 0  # the test keeps the skus alone
    write(path, "2")
    eventually(lambda: worker.serving == "2")
    eventually(lambda: gc.collect() >= 0 and mapped(worker) == 0)
    for sku in "345":
        write(path, sku)
        eventually(lambda sku=sku: worker.serving == sku)
    assert len(list((worker.folder / "cache").rglob("*.snapshot"))) <= 2


def mapped(worker: Worker) -> int:
    return Path("/proc/self/maps").read_text().count(str(worker.folder / "cache"))
