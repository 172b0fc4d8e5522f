"""Backends of an evaluation: a recogniser in this process, or a server; either gets the catalog of a seed."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import requests

from archive_files import read_settings
from evaluation.dataset import EvaluationError
from recognition.errors import ConfigurationError, RecognitionError
from recognition.request.forms import Options, Request, TextMode
from recognition.settings import ProfileName
from recognition.snapshot.read import open_snapshot
from torchserve_plan import ARCHIVE, CONFIG_FILE, MODEL

if TYPE_CHECKING:
    from recognition.recognizer import Recognizer

_TIMEOUT_S = 60.0
#: Every worker follows the snapshot for itself: so many replies in a row must come from the new one.
_IN_A_ROW = 12
_PAUSE_S, _PATIENCE_S = 0.2, 30.0


@dataclass(frozen=True)
class Thresholds:
    """From which confidence a product is shown by default, and the lowest that may be asked for."""

    default: float
    lowest: float


@dataclass(frozen=True)
class BackendReply:
    """``reply`` is the body of schema 1, or None where ``error`` says why there is none.

    ``core_ms``: of the processor, all threads together; None where another process answered.
    """

    reply: Mapping[str, Any] | None
    wall_ms: float
    error: str | None = None
    core_ms: float | None = None


class Backend(Protocol):
    """Answers one image at a time, with every candidate down to the lowest threshold."""

    @property
    def thresholds(self) -> Thresholds:
        """Those of the archive that answers."""

    def recognize(self, image: bytes, text: TextMode) -> BackendReply:
        """Ask. What is wrong with one image becomes its ``BackendReply.error``."""


def build(catalog_folder: Path, archive: Path, out: Path) -> Path:
    """Make the snapshot ``out`` of a catalog folder with the project's own command. Returns ``out``.

    Raises:
        EvaluationError: it failed; its own messages have gone to stderr.
    """
    import build_catalog

    # Its summary is not this program's: with --json, stdout holds one object.
    with contextlib.redirect_stdout(sys.stderr):
        status = build_catalog.main([str(catalog_folder), "--archive", str(archive), "--output", str(out)])
    if status or not out.is_file():
        raise EvaluationError(f"{catalog_folder}: no snapshot could be built of it")
    return out


def build_in(work: Path, folder: Path, archive: Path, *, data: str, name: str) -> Path:
    """As ``build``, in ``work``; what the largest snapshot of the same ``data`` there has is not embedded again."""
    snapshot = work / f"{data}-{name}.snapshot"
    others = sorted(work.glob(f"{data}-*.snapshot"), key=lambda path: path.stat().st_size)
    if not snapshot.exists() and others:
        shutil.copyfile(others[-1], snapshot)
    return build(folder, archive, snapshot)


def open_recognizer(archive_folder: Path, snapshot_path: Path, *, profile: ProfileName | None = None) -> Recognizer:
    """A recogniser of the unpacked archive that serves this snapshot, with its own profile or that one.

    The one place that knows how a recogniser is given its catalog: whatever changes there changes here alone.
    """
    from recognition.recognizer import Recognizer  # brings the runtimes, and a server needs none here

    manifest = msgspec.json.decode((archive_folder / "MAR-INF" / "MANIFEST.json").read_bytes())
    settings = read_settings(archive_folder / CONFIG_FILE)
    if profile is not None:
        settings = msgspec.structs.replace(settings, profile=profile)
    recognizer = Recognizer.from_folder(archive_folder, settings, name=MODEL, version=manifest["model"]["modelVersion"])
    recognizer.use_catalog(recognizer.open_catalog(snapshot_path))
    recognizer.warm_up(1)
    return recognizer


class InProcess:
    """The recogniser itself, asked for one image at a time."""

    def __init__(self, recognizer: Recognizer, *, catalog: str) -> None:
        """Take ``recognizer``, whose catalog must be the snapshot ``catalog``.

        Raises:
            EvaluationError: it serves another.
        """
        served = recognizer.describe()["model"]["catalog"]
        if served != catalog:
            raise EvaluationError(f"the recogniser serves catalog {served}, not {catalog}")
        self._recognizer = recognizer
        settings = recognizer.settings
        self._thresholds = Thresholds(settings.thresholds.catalog, settings.thresholds.lowest)

    @property
    def thresholds(self) -> Thresholds:
        return self._thresholds

    def recognize(self, image: bytes, text: TextMode) -> BackendReply:
        top_k = self._recognizer.settings.top_k.default
        options = Options(room=None, top_k=top_k, threshold=self._thresholds.lowest, text=text)
        started, core_started_s = time.perf_counter(), time.process_time()
        answer = self._recognizer.recognize([Request(image, options)]).replies[0]
        wall_ms = (time.perf_counter() - started) * 1000
        core_ms = (time.process_time() - core_started_s) * 1000
        if isinstance(answer, RecognitionError):
            return BackendReply(None, wall_ms, str(answer), core_ms)
        return BackendReply(msgspec.to_builtins(answer), wall_ms, core_ms=core_ms)


class OverHttp:
    """A server whose archive follows the snapshot file that this program writes."""

    def __init__(self, url: str, *, token: str | None, catalog: str) -> None:
        """Wait until the server answers from snapshot ``catalog``.

        Raises:
            EvaluationError: it cannot be reached, refuses, or does not take up the snapshot in time.
        """
        self._url = f"{url.rstrip('/')}/predictions/{MODEL}"
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._catalog = catalog
        # What the archive says of itself comes in reply to this header, with any body.
        try:
            found = self._post(b"{}", {"describe": "True", "Content-Type": "application/json"})["thresholds"]
        except (_Refused, KeyError) as error:
            raise EvaluationError(f"{self._url} does not describe itself: {error}") from error
        self._thresholds = Thresholds(found["catalog"], found["lowest"])

    @property
    def thresholds(self) -> Thresholds:
        return self._thresholds

    def wait(self, image: bytes) -> None:
        """Ask about ``image`` until reply after reply comes from the snapshot.

        Raises:
            EvaluationError: not in time.
        """
        for _ in range(_IN_A_ROW):
            self.recognize(image, "never")

    def recognize(self, image: bytes, text: TextMode) -> BackendReply:
        """Ask the server; again where a worker still answers from another snapshot.

        Raises:
            EvaluationError: it cannot be reached any more, or has stayed with another snapshot.
        """
        headers = {
            "X-Threshold": str(self._thresholds.lowest),
            "X-Text": text,
            "Content-Type": "application/octet-stream",
        }
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            started = time.perf_counter()
            try:
                reply = self._post(image, headers)
            except _Refused as refused:
                return BackendReply(None, (time.perf_counter() - started) * 1000, str(refused))
            wall_ms = (time.perf_counter() - started) * 1000
            served = reply["model"]["catalog"]
            if served == self._catalog:
                return BackendReply(reply, wall_ms)
            if time.monotonic() > deadline:
                raise EvaluationError(f"{self._url} serves catalog {served}, not {self._catalog}")
            time.sleep(_PAUSE_S)

    def _post(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            answer = self._session.post(self._url, data=body, headers=dict(headers), timeout=_TIMEOUT_S)
            content = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise EvaluationError(f"{self._url}: {error}") from error
        if answer.status_code in (401, 403, 404) or not isinstance(content, dict):
            raise EvaluationError(f"{self._url}: {answer.status_code}: {answer.text[:200]}")
        if answer.status_code != 200:
            raise _Refused(f"{answer.status_code}: {answer.text[:200]}")
        return content


class _Refused(Exception):
    """One image got no reply; the server is well."""


@contextlib.contextmanager
def published(snapshot: Path, followed: Path) -> Iterator[str]:
    """Put ``snapshot`` in the place that a server follows, at once and whole, and what was there back at the end.

    Gives the snapshot's id.
    """
    before = followed.with_name(f"{followed.name}.before")
    had_one = followed.is_file()
    if had_one:
        shutil.copyfile(followed, before)
    try:
        _replace(snapshot, followed)
        yield snapshot_id(snapshot)
    finally:
        if had_one:
            before.replace(followed)


def snapshot_id(path: Path) -> str:
    """The id that replies name.

    Raises:
        EvaluationError: not a snapshot.
    """
    try:
        return open_snapshot(path, fingerprint=None).id
    except ConfigurationError as error:
        raise EvaluationError(str(error)) from error


def _replace(source: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, part)
    part.replace(target)


def fit_parser(description: str | None, *, data: str, backgrounds: str) -> argparse.ArgumentParser:
    """With --data, --backgrounds (what these are is said by the two texts), --archive and --seed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help=data)
    parser.add_argument("--backgrounds", type=Path, nargs="+", required=True, help=backgrounds)
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--seed", type=int, default=100, help="unlike those reported (default: %(default)s)")
    return parser
