"""The follower against real files and a real HTTP server: what is sound arrives, what is not changes nothing."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import snapshot_sources
from recognition.errors import ConfigurationError, SnapshotError
from recognition.snapshot import Snapshot, open_snapshot
from snapshot_cache import Held, SnapshotCache
from snapshot_follower import SnapshotFollower
from tests.snapshot_files import FINGERPRINT, write

ROOT = Path(__file__).resolve().parent.parent
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
    """A follower, what it serves, and what it told."""

    folder: Path
    source: str | None
    options: dict[str, object] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    serving: str = ""

    def __post_init__(self) -> None:
        options = {"open": self.open, "on_change": self.change, "poll_s": POLL_S, **self.options}
        self.follower = SnapshotFollower(
            self.source,
            builtin=self.folder / "builtin.snapshot",
            cache_folder=self.folder / "cache",
            on_event=lambda outcome, message: self.events.append((outcome, message)),
            **options,
        )

    def open(self, path: Path) -> Snapshot:
        return open_snapshot(path, fingerprint=FINGERPRINT)

    def start(self) -> Worker:
        self.serving = skus(self.follower.start())
        return self

    def change(self, snapshot: Snapshot) -> None:
        self.serving = skus(snapshot)
        self.changes.append(self.serving)

    def told(self, outcome: str) -> list[str]:
        return [message for kind, message in self.events if kind == outcome]


@pytest.fixture(autouse=True)
def settle_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_sources, "_SETTLED_AFTER_S", 0.03)


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


def snapshot_bytes(folder: Path, *names: str, fingerprint: str = FINGERPRINT) -> bytes:
    write(folder / "made", *names, fingerprint=fingerprint)
    return (folder / "made").read_bytes()


# --- a path -------------------------------------------------------------------------------------------------------


def test_without_a_source_the_built_in_snapshot_serves(follow):
    worker = follow(None)
    assert worker.serving == "0"
    assert worker.events == [("loaded", "the built-in snapshot")]


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


def test_a_change_is_served_within_two_seconds_at_the_default_pace(path, follow):
    worker = follow(path, poll_s=1.0)
    write(path, "1", "2")
    eventually(lambda: worker.serving == "12", within_s=2.0)


def test_a_path_is_looked_at_four_times_in_the_time_of_one_look(path, follow):
    worker = follow(path, poll_s=2.4)
    # 0.6 s between two looks, not 2.4 s.
    write(path, "1", "2")
    eventually(lambda: worker.serving == "12", within_s=1.2)


def test_a_snapshot_that_is_copied_over_the_old_one_does_not_touch_what_serves(folder, path, follow):
    kept = []
    worker = follow(path, on_change=kept.append)
    first = worker.follower._cache.good()
    path.write_bytes(snapshot_bytes(folder, "1", "2"))
    eventually(lambda: len(kept) == 1)
    os.truncate(path, 0)
    assert skus(kept[0]) == "12"
    assert not kept[0].path.samefile(path)
    assert first is not None
    assert first != kept[0].path


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


def test_a_snapshot_of_another_model_is_refused(folder, path, follow):
    worker = follow(path)
    write(path, "2", fingerprint="other@7")
    eventually(lambda: worker.told("refused") != [])
    assert "another model (other@7)" in worker.told("refused")[0]
    assert worker.serving == "1"


def test_each_distinct_damaged_state_is_told(folder, path, follow):
    worker = follow(path)
    for count in (1, 2):
        path.write_bytes(b"x" * count)
        eventually(lambda count=count: len(worker.told("refused")) == count)


def test_after_a_refusal_the_old_content_is_welcome_back(path, follow):
    worker = follow(path)
    sound = path.read_bytes()
    path.write_bytes(b"x")
    eventually(lambda: worker.told("refused") != [])
    path.write_bytes(sound)
    eventually(lambda: len(worker.told("loaded")) == 2)
    assert worker.serving == "1"


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


def test_a_file_that_is_too_large_is_refused_once(folder, path, follow):
    worker = follow(path, max_bytes=path.stat().st_size + 50)
    path.write_bytes(b"x" * (path.stat().st_size + 51))
    eventually(lambda: worker.told("refused") != [])
    time.sleep(5 * POLL_S)
    assert len(worker.told("refused")) == 1
    write(path, "3")
    eventually(lambda: worker.serving == "3")


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


# --- failures around it -------------------------------------------------------------------------------------------


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


def test_who_cannot_take_a_snapshot_is_offered_it_again(path, follow):
    offered = []

    def take(snapshot: Snapshot) -> None:
        offered.append(skus(snapshot))
        if len(offered) == 1:
            raise RuntimeError("not now")

    worker = follow(path, on_change=take)
    write(path, "2")
    eventually(lambda: offered == ["2", "2"])
    assert worker.told("refused") == [f"{path}: cannot be taken over: RuntimeError: not now"]


def test_an_event_that_cannot_be_told_stops_nothing(folder, path):
    def fail(outcome: str, message: str) -> None:
        raise RuntimeError(outcome)

    changes = []
    follower = SnapshotFollower(
        str(path),
        builtin=folder / "builtin.snapshot",
        cache_folder=folder / "cache",
        open=lambda file: open_snapshot(file, fingerprint=FINGERPRINT),
        on_change=lambda snapshot: changes.append(skus(snapshot)),
        on_event=fail,
        poll_s=POLL_S,
    )
    assert skus(follower.start()) == "1"
    write(path, "2")
    eventually(lambda: changes == ["2"])
    follower.close()


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


# --- a link -------------------------------------------------------------------------------------------------------


@dataclass
class Shop:
    """A server of one snapshot; attributes change how it answers."""

    body: bytes = b""
    status: int = 200
    location: str = ""
    etags: bool = True
    #: Seconds since 1970 for Last-Modified; None: none is sent.
    modified: float | None = None
    #: Of the body, as Content-Length says; None: all. Or the body in chunks, without a length.
    sent: int | None = None
    chunked: bool = False
    #: Seconds before each kilobyte.
    drip_s: float = 0.0
    encoding: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    port: int = 0
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/live.snapshot"

    def open(self) -> None:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                shop.answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body, headers = self.body, {"Connection": "close"}
        self.requests.append({key.lower(): value for key, value in handler.headers.items()})
        if self.etags:
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.modified is not None:
            headers["Last-Modified"] = formatdate(self.modified, usegmt=True)
        unchanged = (
            handler.headers.get("If-None-Match") == headers["ETag"]
            if self.etags
            else "Last-Modified" in headers and handler.headers.get("If-Modified-Since") == headers["Last-Modified"]
        )
        status = 304 if self.status == 200 and unchanged else self.status
        self.answers.append(status)
        handler.close_connection = True
        handler.send_response(status)
        if self.location:
            headers["Location"] = self.location
        if self.encoding:
            headers["Content-Encoding"] = self.encoding
        headers["Transfer-Encoding" if self.chunked else "Content-Length"] = (
            "chunked" if self.chunked else str(len(body))
        )
        for name, value in headers.items():
            if status == 200 or not name.endswith(("Length", "Transfer-Encoding")):
                handler.send_header(name, value)
        handler.end_headers()
        if status == 200:
            self._send(handler, body[: self.sent])

    def _send(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        try:
            for start in range(0, len(body), 1024):
                time.sleep(self.drip_s)
                block = body[start : start + 1024]
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if self.chunked else block)
            if self.chunked and self.sent is None:
                handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass


@pytest.fixture
def shop(folder: Path) -> Iterator[Shop]:
    shop = Shop(snapshot_bytes(folder, "1"))
    shop.open()
    yield shop
    shop.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures of a link are retried at the pace of the tests."""
    monkeypatch.setattr(snapshot_sources.LinkSource, "most_backoff_s", POLL_S)


def test_a_link_is_downloaded_once_and_then_only_asked(folder, shop, follow):
    worker = follow(shop.url)
    assert worker.serving == "1"
    eventually(lambda: len(shop.answers) >= 6)
    assert shop.answers[0] == 200
    assert set(shop.answers[1:6]) == {304}
    shop.body = snapshot_bytes(folder, "1", "2")
    eventually(lambda: worker.serving == "12")
    eventually(lambda: shop.answers[-1] == 304)
    assert shop.answers.count(200) == 2
    assert worker.events == [("loaded", shop.url), ("loaded", shop.url)]


def test_the_next_start_asks_with_what_the_last_one_knew(shop, follow):
    follow(shop.url).follower.close()
    asked = len(shop.answers)
    again = follow(shop.url)
    assert again.serving == "1"
    assert shop.answers[asked] == 304
    assert shop.requests[asked]["if-none-match"].startswith('"')


def test_a_source_that_is_down_stops_no_start(folder, shop, follow):
    shop.close()
    first = follow(shop.url)
    assert first.serving == "0"
    assert "Connection refused" in first.told("unreachable")[0]
    first.follower.close()
    shop.open()
    follow(shop.url).follower.close()
    shop.close()
    second = follow(shop.url)
    assert second.serving == "1"
    assert second.events[-1] == ("loaded", f"the last good copy of {shop.url}")
    other = follow(shop.url.replace("live", "other"))
    assert other.serving == "0"


def test_a_start_with_a_bad_source_takes_the_last_good_copy(folder, shop, follow):
    follow(shop.url).follower.close()
    shop.body = snapshot_bytes(folder, "2", fingerprint="other@7")
    worker = follow(shop.url)
    assert worker.serving == "1"
    assert len(worker.told("refused")) == 1
    worker.follower.close()
    assert follow(shop.url).serving == "1"


def test_a_start_does_not_wait_for_a_source_that_drips(folder, shop, follow):
    shop.body = snapshot_bytes(folder, *map(str, range(10)))
    shop.drip_s = 0.3
    worker = follow(shop.url, start_s=0.1)
    assert worker.serving == "0"
    eventually(lambda: worker.serving == "0123456789")


def test_a_source_that_goes_away_and_comes_back(folder, shop, follow, quick):
    worker = follow(shop.url)
    shop.close()
    eventually(lambda: worker.told("unreachable") != [])
    time.sleep(10 * POLL_S)
    assert len(worker.told("unreachable")) == 1
    assert worker.serving == "1"
    shop.body = snapshot_bytes(folder, "2")
    shop.open()
    eventually(lambda: worker.serving == "2")
    assert [outcome for outcome, _ in worker.events] == ["loaded", "unreachable", "reachable", "loaded"]


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ({"status": 404}, "HTTP status 404"),
        ({"status": 503}, "HTTP status 503"),
        ({"status": 206}, "HTTP status 206"),
        ({"sent": 500}, "broke off"),
        ({"sent": 500, "chunked": True}, "broke off"),
        ({"encoding": "gzip"}, "sent as gzip"),
        ({"status": 302, "location": "http://127.0.0.1:9/other"}, "redirects to http://127.0.0.1:9/other, only https"),
        ({"status": 301, "location": "/other"}, "only https is followed"),
        ({"status": 307, "location": "ftp://shop.example.com/a"}, "only https is followed"),
    ],
)
def test_an_answer_that_cannot_be_used_is_told_once_and_overcome(folder, shop, follow, quick, trouble, told):
    worker = follow(shop.url)
    shop.body = snapshot_bytes(folder, "2")
    sound = {key: getattr(shop, key) for key in trouble}
    shop.body, shop.__dict__ = shop.body, {**shop.__dict__, **trouble}
    eventually(lambda: worker.told("unreachable") != [])
    asked = len(shop.answers)
    eventually(lambda: len(shop.answers) > asked + 2)
    assert len(worker.told("unreachable")) == 1
    assert told in worker.told("unreachable")[0]
    assert worker.told("refused") == []
    for key, value in sound.items():
        setattr(shop, key, value)
    eventually(lambda: worker.serving == "2")


@pytest.mark.parametrize("damage", [lambda data: data[:700], lambda data: data[:-1] + b"\xff", lambda data: b""])
def test_a_link_to_a_damaged_snapshot_is_refused_and_not_downloaded_again(folder, shop, follow, damage):
    worker = follow(shop.url)
    shop.body = damage(snapshot_bytes(folder, "2"))
    eventually(lambda: worker.told("refused") != [])
    asked = len(shop.answers)
    eventually(lambda: len(shop.answers) > asked + 5)
    assert len(worker.told("refused")) == 1
    assert shop.answers.count(200) == 2
    shop.body = snapshot_bytes(folder, "3")
    eventually(lambda: worker.serving == "3")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_bounded_whether_its_length_is_told_or_not(folder, shop, follow, chunked):
    worker = follow(shop.url, max_bytes=len(shop.body) + 100)
    shop.chunked = chunked
    shop.body = b"x" * (len(shop.body) + 101)
    eventually(lambda: worker.told("refused") != [])
    asked = len(shop.answers)
    eventually(lambda: len(shop.answers) > asked + 3)
    assert len(worker.told("refused")) == 1
    assert "are accepted" in worker.told("refused")[0]
    assert shop.answers.count(200) == 2
    shop.body = snapshot_bytes(folder, "3")
    eventually(lambda: worker.serving == "3")


def test_a_chunked_snapshot_is_taken(shop, follow):
    shop.chunked = True
    assert follow(shop.url).serving == "1"


def test_last_modified_serves_where_there_is_no_etag(folder, shop, follow):
    shop.etags, shop.modified = False, time.time() - 100
    worker = follow(shop.url)
    eventually(lambda: shop.answers.count(304) >= 3)
    assert shop.answers.count(200) == 1
    shop.body, shop.modified = snapshot_bytes(folder, "2"), time.time() - 50
    eventually(lambda: worker.serving == "2")


def test_two_changes_within_one_second_are_both_seen(folder, shop, follow):
    shop.etags, shop.modified = False, time.time()
    worker = follow(shop.url)
    shop.body = snapshot_bytes(folder, "2")
    eventually(lambda: worker.serving == "2")


def test_a_server_without_validators_is_followed_by_content(folder, shop, follow):
    shop.etags = False
    worker = follow(shop.url)
    eventually(lambda: len(shop.answers) > 3)
    assert worker.changes == []
    assert len(worker.told("loaded")) == 1
    shop.body = b"damaged"
    eventually(lambda: worker.told("refused") != [])
    asked = len(shop.answers)
    eventually(lambda: len(shop.answers) > asked + 3)
    assert len(worker.told("refused")) == 1


def test_closing_breaks_off_a_download(folder, shop, follow):
    worker = follow(shop.url)
    shop.body, shop.drip_s = snapshot_bytes(folder, *map(str, range(400))), 0.05
    asked = len(shop.answers)
    eventually(lambda: 200 in shop.answers[asked:])
    started = time.monotonic()
    worker.follower.close()
    assert time.monotonic() - started < 1.0
    assert not worker.follower._thread.is_alive()
    assert worker.told("unreachable") == []


def test_workers_of_a_machine_share_one_download_and_one_file(folder, shop, follow, monkeypatch):
    kept: list[Snapshot] = []

    def open_and_keep(path: Path) -> Snapshot:
        kept.append(open_snapshot(path, fingerprint=FINGERPRINT))
        return kept[-1]

    workers = [follow(shop.url, open=open_and_keep) for _ in range(4)]
    downloaded: list[Held] = []
    keep = SnapshotCache.keep
    monkeypatch.setattr(
        SnapshotCache, "keep", lambda cache, file, held: (downloaded.append(held), keep(cache, file, held))
    )
    shop.drip_s = 0.02
    shop.body = snapshot_bytes(folder, *map(str, range(9)))
    eventually(lambda: all(worker.serving == "012345678" for worker in workers))
    assert len({snapshot.path.stat().st_ino for snapshot in kept[4:]}) == 1
    assert len(downloaded) == 1
    assert len(list((folder / "cache").rglob("*.snapshot"))) <= 2
    assert all(worker.told("unreachable") == [] for worker in workers)


def test_processes_share_it_too(folder, shop):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from snapshot_follower import SnapshotFollower\n"
        "from recognition.snapshot import open_snapshot\n"
        "folder, url = Path(sys.argv[1]), sys.argv[2]\n"
        "follower = SnapshotFollower(url, builtin=folder / 'builtin.snapshot', cache_folder=folder / 'cache',\n"
        "    open=lambda path: open_snapshot(path, fingerprint=None), on_change=print, on_event=print)\n"
        "snapshot = follower.start()\n"
        "print(snapshot.product(0).sku, snapshot.path.stat().st_ino)\n"
        "follower.close()\n"
    )
    shop.drip_s = 0.05
    command = [sys.executable, "-c", code, str(folder), shop.url]
    runs = [subprocess.Popen(command, cwd=ROOT / "handler", stdout=subprocess.PIPE, text=True) for _ in range(3)]
    last_lines = {run.communicate(timeout=60)[0].splitlines()[-1] for run in runs}
    assert len(last_lines) == 1
    assert last_lines.pop().startswith("1 ")


def test_who_waited_for_a_killed_worker_goes_on(folder, shop, follow):
    cache = SnapshotCache(folder / "cache", shop.url)
    cache.folder.mkdir(parents=True)
    code = (
        "import fcntl, os, sys, time\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)\n"
        "print('locked', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(cache.folder / "lock")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "locked\n"
    (cache.folder / "incoming.part").write_bytes(b"half a snapshot")
    worker = follow(shop.url, start_s=0.1)
    assert worker.serving == "0"
    holder.kill()
    holder.communicate()
    eventually(lambda: worker.serving == "1")
    assert not (cache.folder / "incoming.part").exists()


@pytest.mark.parametrize(
    "source",
    [
        "http://shop.example.com/live.snapshot",
        "http://127.0.0.1.example.com/live.snapshot",
        "http://10.0.0.1/live.snapshot",
        "ftp://shop.example.com/live.snapshot",
        "file:///etc/live.snapshot",
        "s3://bucket/live.snapshot",
        "https:///live.snapshot",
    ],
)
def test_only_https_paths_and_this_machine_are_followed(folder, source):
    with pytest.raises(ConfigurationError, match="snapshot source"):
        Worker(folder, source)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_http_is_for_this_machine(host):
    assert snapshot_sources.open_source(f"http://{host}:8000/a", max_bytes=1).shown == f"http://{host}:8000/a"


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
        worker.follower._failed("unreachable", "down", most_pause_s=snapshot_sources.LinkSource.most_backoff_s)
        pauses.append(worker.follower._pause_s)
    assert 1.0 <= pauses[0] <= 2.0
    assert all(15.0 <= pause <= 30.0 for pause in pauses[5:])
    assert len(set(pauses)) > 10
    assert len(worker.told("unreachable")) == 1


def test_a_copy_that_is_gone_because_a_newer_one_came_is_no_trouble(folder, path):
    worker = Worker(folder, str(path))
    worker.follower._consider(Held("0" * 64, {}))
    assert worker.events == []
