"""What answers: the recogniser in this process, and a server that takes up a snapshot by and by."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from evaluation import backend
from evaluation.dataset import EvaluationError


class Server(BaseHTTPRequestHandler):
    """A predictions API whose catalog changes after ``stale`` requests."""

    stale = 0
    status = 200
    seen: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        kind = type(self)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("describe"):
            answer: dict[str, Any] = {"thresholds": {"default": 0.7, "catalog": 0.7, "lowest": 0.05, "highest": 1.0}}
            self._send(200, answer)
            return
        kind.seen.append((dict(self.headers), body))
        catalog = "old" if len(kind.seen) <= kind.stale else "new"
        self._send(kind.status, {"model": {"catalog": catalog}, "products": [], "timing_ms": {}})

    def _send(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Server]]]:
    kind = type("Fresh", (Server,), {"seen": []})
    http = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/", kind
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_PAUSE_S", 0.01)


def test_a_server_is_waited_for_and_asked_with_every_option(server: tuple[str, type[Server]]) -> None:
    url, kind = server
    kind.stale = 5
    asked = backend.OverHttp(url, token="secret", catalog="new")
    assert asked.thresholds == backend.Thresholds(0.7, 0.05)
    asked.wait(b"picture")
    answered = asked.recognize(b"picture", "always")
    assert answered.reply is not None
    assert answered.reply["model"]["catalog"] == "new"
    assert answered.wall_ms > 0
    headers, body = kind.seen[-1]
    assert body == b"picture"
    assert (headers["X-Threshold"], headers["X-Text"]) == ("0.05", "always")
    assert headers["Authorization"] == "Bearer secret"
    assert len(kind.seen) > 5 + 8


def test_a_server_that_keeps_its_snapshot_is_an_error(server: tuple[str, type[Server]]) -> None:
    url, kind = server
    kind.stale = 10**6
    asked = backend.OverHttp(url, token=None, catalog="new", patience_s=0.1)
    with pytest.raises(EvaluationError, match="serves catalog old, not new"):
        asked.wait(b"picture")


def test_one_refused_image_is_an_answer_and_a_wrong_token_ends_it(server: tuple[str, type[Server]]) -> None:
    url, kind = server
    asked = backend.OverHttp(url, token=None, catalog="new")
    kind.status = 415
    answered = asked.recognize(b"text", "never")
    assert answered.reply is None
    assert answered.error is not None
    assert answered.error.startswith("415")
    kind.status = 401
    with pytest.raises(EvaluationError, match="401"):
        asked.recognize(b"picture", "never")


def test_the_snapshot_that_was_followed_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "snapshot_id", lambda path: path.read_text())
    ours, followed = tmp_path / "ours", tmp_path / "followed"
    ours.write_text("ours")
    followed.write_text("theirs")

    def interrupted() -> None:
        with backend.published(ours, followed) as catalog:
            assert catalog == followed.read_text() == "ours"
            raise EvaluationError("cut off")

    with pytest.raises(EvaluationError, match="cut off"):
        interrupted()
    assert followed.read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["followed", "ours"]
    with backend.published(ours, tmp_path / "new"):
        pass
    assert (tmp_path / "new").read_text() == "ours"
