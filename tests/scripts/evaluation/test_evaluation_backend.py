"""What answers: the recogniser in this process, and a server that takes up a snapshot by and by."""

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contract.reply import Detection, Evidence, ImageInfo, ModelInfo, Reply, TimingMs
from evaluation import backend
from evaluation.dataset import EvaluationError
from evaluation.images import Asked
from evaluation.metrics import Candidate
from evaluation.run import read_answer
from recognition.errors import BadImage, RecognitionError
from recognition.request.forms import Options, Request
from recognition.settings import parse_settings
from tests import stand_ins


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


def test_no_server_is_an_error() -> None:
    with pytest.raises(EvaluationError, match=r"127\.0\.0\.1:1/"):
        backend.OverHttp("http://127.0.0.1:1", token=None, catalog="new")


class Eye:
    """A recogniser that describes itself as one with catalog abc, and knows a picture from no picture."""

    def __init__(self) -> None:
        self.settings = parse_settings(stand_ins.model_config())
        self.asked: list[Request] = []

    def describe(self) -> dict[str, Any]:
        return {"model": {"catalog": "abc"}}

    def recognize(self, requests: Sequence[Request | RecognitionError]) -> Any:
        self.asked += [request for request in requests if isinstance(request, Request)]
        if self.asked[-1].image == b"no picture":
            return SimpleNamespace(replies=[BadImage("not an image")])
        reply = Reply(
            schema=1,
            model=ModelInfo("product_recognizer", "1.0", "eye", "abc"),
            image=ImageInfo(720, 1280),
            labels=[],
            products=[
                Detection(
                    "1", "红茶", "https://shop.example.com/1", 0.4, (1.0, 2.0, 3.0, 4.0), Evidence(photo=0.3), 0.7
                )
            ],
            texts=[],
            timing_ms=TimingMs(decode=1.0, network=2.0, print=1.5, text=0.0, match=0.5),
            batch=1,
        )
        return SimpleNamespace(replies=[reply])


def test_another_catalog_than_the_seeds_is_refused() -> None:
    with pytest.raises(EvaluationError, match="serves catalog abc, not def"):
        backend.InProcess(Eye(), catalog="def")


def test_in_this_process_every_candidate_is_asked_for() -> None:
    eye = Eye()
    asked = backend.InProcess(eye, catalog="abc")
    assert asked.thresholds == backend.Thresholds(default=0.95, lowest=0.05)
    answered = asked.recognize(b"picture", "always")
    assert answered.reply is not None
    assert eye.asked == [Request(b"picture", Options(room=None, top_k=2, threshold=0.05, text="always"))]
    found = read_answer(Asked("a.jpg", b"picture", "1"), answered)
    evidence = {"photo": 0.3, "text": None, "label": None}
    assert found.candidates == (Candidate("1", 0.4, (1.0, 2.0, 3.0, 4.0), evidence),)
    assert found.timing_ms == {"decode": 1.0, "network": 2.0, "print": 1.5, "text": 0.0, "match": 0.5}
    refused = read_answer(Asked("a.jpg", b"no picture", "1"), asked.recognize(b"no picture", "never"))
    assert (refused.candidates, refused.error) == ((), "not an image")


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


def test_an_archive_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.mar").write_bytes(b"PK")
    for name in ("a.mar", "b.mar"):
        with pytest.raises(EvaluationError, match=name):
            backend.unpack(tmp_path / name, tmp_path / "unpacked")
    assert backend.unpack(tmp_path, tmp_path / "unpacked") == tmp_path


def test_a_snapshot_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.snapshot").write_bytes(b"none")
    with pytest.raises(EvaluationError, match=r"a\.snapshot"):
        backend.snapshot_id(tmp_path / "a.snapshot")
