"""What fails around the follower, and how it goes on."""

import json
import socket
import time
from pathlib import Path

import pytest

from follow import sources
from follow.cache import Held
from recognition.snapshot.read import Snapshot, open_snapshot
from tests.follow.follower_worker import POLL_S, Worker, eventually, skus
from tests.snapshot_files import FINGERPRINT, write


def test_a_reason_that_may_go_away_is_tried_again(path, follow):
    failing = [MemoryError("no memory"), RuntimeError("bug"), None]

    def open_later(file: Path) -> Snapshot:
        if file.parent != path.parent.parent and len(failing) > 1:
            raise failing.pop(0)
        return open_snapshot(file, fingerprint=FINGERPRINT)

    worker = follow(path, open=open_later)
    assert worker.serving == "0"
    eventually(lambda: worker.serving == "1")
    assert worker.told("refused") == [f"{path}: MemoryError: no memory"]


def test_a_newer_snapshot_is_not_handed_to_who_could_not_take_the_first(folder, path):
    opened, offered = [], []

    def opening(file: Path) -> Snapshot:
        opened.append(file)
        return open_snapshot(file, fingerprint=FINGERPRINT)

    def take(snapshot: Snapshot) -> None:
        offered.append(skus(snapshot))
        write(path, "2")
        eventually(lambda: len(opened) == 2)
        time.sleep(5 * POLL_S)  # in which the newer one comes to wait
        raise RuntimeError("too little memory")

    worker = Worker(folder, str(path), {"open": opening, "on_change": take})
    with pytest.raises(RuntimeError, match="too little memory"):
        worker.start()
    assert offered == ["1"]
    assert not worker.follower._thread.is_alive()


def test_a_cache_that_cannot_be_written_leaves_the_built_in_snapshot(folder, path, follow):
    (folder / "cache").write_bytes(b"in the way")
    worker = follow(path)
    assert worker.serving == "0"
    time.sleep(5 * POLL_S)
    assert len(worker.told("unreachable")) == 1
    (folder / "cache").unlink()
    eventually(lambda: worker.serving == "1")


def test_a_copy_that_was_damaged_on_disk_is_fetched_again(path, follow):
    worker = follow(path)
    worker.follower.close()
    good = worker.follower._cache.good()
    good.write_bytes(b"x" * good.stat().st_size)
    again = follow(path)
    eventually(lambda: again.serving == "1")
    assert again.told("refused") == []


@pytest.mark.parametrize(
    "state", [b"", b"{", b'{"latest": {"digest": 1}}', b'{"latest": {"digest": "x", "validators": {}}}']
)
def test_a_damaged_state_costs_another_copy_and_no_more(path, follow, state):
    first = follow(path)
    first.follower.close()
    (first.follower._cache.folder / "state.json").write_bytes(state)
    assert follow(path).serving == "1"


def test_closing_is_prompt_and_ends_the_thread(path, follow):
    worker = follow(path, poll_s=600.0)
    started = time.monotonic()
    worker.follower.close()
    assert time.monotonic() - started < 1.0
    assert not worker.follower._thread.is_alive()
    worker.follower.close()


def test_no_message_holds_what_a_link_hides(folder, follow):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        worker = follow(f"http://user:hidden@127.0.0.1:{port}/live.snapshot?signature=hidden")
    assert worker.told("unreachable")[0].startswith(f"http://127.0.0.1:{port}/live.snapshot: ")
    assert "hidden" not in json.dumps(worker.events)


def test_failures_are_followed_by_longer_and_longer_pauses_of_at_most_30_s(folder):
    worker = Worker(folder, "https://shop.example.com/live.snapshot", {"poll_s": 1.0})
    pauses = []
    for _ in range(20):
        worker.follower._failed("unreachable", "down", most_pause_s=sources.LinkSource.most_backoff_s)
        pauses.append(worker.follower._pause_s)
    assert 1.0 <= pauses[0] <= 2.0
    assert all(15.0 <= pause <= 30.0 for pause in pauses[5:])
    assert len(set(pauses)) > 10
    assert len(worker.told("unreachable")) == 1


def test_a_copy_that_is_gone_because_a_newer_one_came_is_no_trouble(folder, path):
    worker = Worker(folder, str(path))
    worker.follower._consider(Held("0" * 64, {}))
    assert worker.events == []


def test_an_event_that_cannot_be_told_stops_nothing(folder, path):
    worker = Worker(folder, str(path), {"on_event": lambda outcome, _: 1 / 0})
    worker.start()
    write(path, "2")
    eventually(lambda: worker.serving == "2")
    worker.follower.close()
