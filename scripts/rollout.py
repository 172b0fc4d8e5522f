"""Replace the version that a running server serves, without a failed request.

  make archive VERSION=1.1 && rollout.py          roll out what was just built
  rollout.py model_store/product_recognizer.mar   the same, by name
  rollout.py --canary photos/ --min-agreement 0.9

Steps: register the new version beside the old one, ask it about the canary photos, make it the default, ask again,
let the old one answer what it still has, remove it. When a step fails the old version stays, or becomes the default
again, and the new one is removed.
"""

import argparse
import json
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

import torchserve_control as control
from predictions_api import PhotoReply, find_photos, recognize
from sample_photos import sample_photos
from torchserve_control import Server
from torchserve_plan import ARCHIVE, MODEL, ROOT, ServerError

_POLL_S = 0.5
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class RolloutError(Exception):
    """The rollout was stopped; the message says why and what is served now."""


@dataclass
class Rollout:
    server: Server
    folder: Path
    store: Path
    canary: Sequence[Path]
    min_agreement: float
    drain_s: float
    timeout_s: float
    say: Callable[[str], None] = print
    session: requests.Session = field(default_factory=requests.Session)

    def run(self, archive: Path) -> None:
        """Roll ``archive`` out.

        Raises:
            RolloutError: it was not, and the old version is still served.
        """
        new = archive_version(archive)
        with control.locked(self.folder, "a start, stop or rollout"):
            self._run(archive, new)

    def _run(self, archive: Path, new: str) -> None:
        self.server.renew_management_token()
        versions = self._versions()
        if not versions:
            raise RolloutError(f"the server has no {MODEL} to replace; use `make serve`")
        old = self._default_version()
        others = [model["modelVersion"] for model in versions if model["modelVersion"] != old]
        if new == old and others:
            self.say(f"{new} is the default already: finishing an interrupted rollout")
            for version in others:
                self._retire(version)
            return
        if new == old or new in others:
            raise RolloutError(f"version {new} is registered already; build with another VERSION")
        workers = max(1, len(next(model for model in versions if model["modelVersion"] == old)["workers"]))
        try:
            self._register(archive, new, workers)
            self._check_canary(old, new)
            self._set_default(new)
            self._check_default(old, new)
        except BaseException:  # Ctrl-C too: whatever happens, the old version must be what is served
            self._abandon(old, new)
            raise
        self._retire(old)
        self.say(f"done: {MODEL} {new} is served, {old} is gone")

    def _register(self, archive: Path, new: str, workers: int) -> None:
        url = self._in_store(archive, new)
        self.say(f"registering {new} from {url} with {workers} workers …")
        parameters = {"url": url, "initial_workers": workers, "synchronous": "true"}
        self._manage("POST", "/models", parameters)
        self._wait_ready(new, workers)

    def _wait_ready(self, version: str, workers: int) -> None:
        """A synchronous registration also returns when a worker has died once and is being started again."""
        deadline = time.monotonic() + self.timeout_s
        while time.monotonic() < deadline:
            states = [worker["status"] for worker in self._version(version)["workers"]]
            if len(states) >= workers and set(states) == {"READY"}:
                return
            time.sleep(_POLL_S)
        raise RolloutError(f"the workers of {version} are not ready after {self.timeout_s:.0f} s; see the server's log")

    def _check_canary(self, old: str, new: str) -> None:
        before, after = self._ask(old), self._ask(new)
        same = [_top_label(a) == _top_label(b) for a, b in zip(before, after, strict=True)]
        agreement = sum(same) / len(same)
        self.say(f"canary: {len(same)} photos recognised by {new}, the same label as {old} for {agreement:.0%}")
        if agreement < self.min_agreement:
            raise RolloutError(
                f"{new} agrees with {old} on {agreement:.0%} of the canary, under {self.min_agreement:.0%}"
            )

    def _check_default(self, old: str, new: str) -> None:
        for answer in self._ask(None):
            served = answer.body["model"]["version"]
            if served != new:
                raise RolloutError(f"{new} was made the default, but {served} answers; {old} stays")

    def _ask(self, version: str | None) -> list[PhotoReply]:
        answers = [
            recognize(self.session, self.server.inference_url, photo, self.server.headers(), version=version)
            for photo in self.canary
        ]
        for answer in answers:
            if not answer.ok:
                raise RolloutError(f"canary {answer.path.name}: version {version or 'default'}: {answer.error}")
        return answers

    def _retire(self, old: str) -> None:
        """New requests go to the default; the old version answers what was queued, then what is in its workers."""
        self.say(f"draining {old} …")
        deadline = time.monotonic() + self.timeout_s
        while self._version(old)["jobQueueStatus"]["pendingRequests"] > 0 and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        time.sleep(self.drain_s)
        self._remove(old)

    def _abandon(self, old: str, new: str) -> None:
        self.say(f"going back to {old}")
        try:
            if self._default_version() != old:
                self._set_default(old)
                time.sleep(self.drain_s)
            self._remove(new)
        except RolloutError as error:
            self.say(f"could not remove {new}: {error}; by hand: DELETE /models/{MODEL}/{new}")

    def _set_default(self, version: str) -> None:
        self._manage("PUT", f"/models/{MODEL}/{version}/set-default")
        self.say(f"{version} is the default")

    def _remove(self, version: str) -> None:
        if any(model["modelVersion"] == version for model in self._versions()):
            self._manage("DELETE", f"/models/{MODEL}/{version}")

    def _versions(self) -> list[dict[str, Any]]:
        answer = self._request("GET", f"/models/{MODEL}/all")
        models: list[dict[str, Any]] = answer.json() if answer.ok else []
        return models

    def _version(self, version: str) -> dict[str, Any]:
        model: dict[str, Any] = self._manage("GET", f"/models/{MODEL}/{version}")[0]
        return model

    def _default_version(self) -> str:
        return str(self._manage("GET", f"/models/{MODEL}")[0]["modelVersion"])

    def _manage(self, method: str, path: str, parameters: dict[str, Any] | None = None) -> Any:
        answer = self._request(method, path, parameters)
        if answer.status_code == 405:
            raise RolloutError("the server was started without enable_model_api=true; `make stop serve` starts it with")
        if not answer.ok:
            raise RolloutError(f"{method} {path}: {answer.status_code} {answer.text.strip()[:500]}")
        return answer.json()

    def _request(self, method: str, path: str, parameters: dict[str, Any] | None = None) -> requests.Response:
        try:
            return self.session.request(
                method,
                f"{self.server.management_url}{path}",
                params=parameters,
                headers=self.server.headers("management"),
                timeout=self.timeout_s,
            )
        except requests.RequestException as error:
            raise RolloutError(f"the management address does not answer: {error}") from error

    def _in_store(self, archive: Path, version: str) -> str:
        """Name of the archive in the server's model store, the only place that it loads from."""
        if archive.resolve().parent == self.store.resolve():
            return archive.name
        name = f"{MODEL}-{version}.mar"
        part = self.store / f"{name}.part"
        shutil.copyfile(archive, part)
        part.replace(self.store / name)
        return name


def archive_version(archive: Path) -> str:
    """The model version in an archive's manifest.

    Raises:
        RolloutError: it is not an archive, or not one of this model.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            model = json.loads(content.read("MAR-INF/MANIFEST.json"))["model"]
        name, version = str(model["modelName"]), str(model["modelVersion"])
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise RolloutError(f"{archive}: not a model archive: {error}") from error
    if name != MODEL or not _VERSION.fullmatch(version):
        raise RolloutError(f"{archive}: holds {name!r} in version {version!r}, not a version of {MODEL}")
    return version


def _top_label(answer: PhotoReply) -> str:
    return str(answer.body["labels"][0]["label"])


def main() -> int:
    options = _arguments()
    try:
        server = control.require_running(options.server_folder.resolve())
    except ServerError as error:
        print(f"rollout: {error}", file=sys.stderr)
        return 1
    rollout = Rollout(
        server=server,
        folder=options.server_folder.resolve(),
        store=Path(server.model_store),
        canary=list(find_photos(options.canary)) if options.canary else sample_photos(),
        min_agreement=options.min_agreement,
        drain_s=options.drain,
        timeout_s=options.timeout,
        say=lambda text: print(text, flush=True),
    )
    try:
        rollout.run(options.archive)
    except (RolloutError, ServerError, KeyboardInterrupt) as error:
        print(f"rollout: {str(error) or 'interrupted'}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, nargs="?", default=ARCHIVE)
    parser.add_argument("--canary", type=Path, nargs="+", help="photos or folders to try the new version on first")
    parser.add_argument("--min-agreement", type=float, default=0.0, help="least share of equal labels, 0 to 1")
    parser.add_argument("--drain", type=float, default=5.0, metavar="S", help="wait for batches still in a worker")
    parser.add_argument("--timeout", type=float, default=300.0, metavar="S", help="for registering and draining")
    parser.add_argument("--server-folder", type=Path, default=ROOT / ".serve", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
