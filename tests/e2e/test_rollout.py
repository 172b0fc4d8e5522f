"""A version is replaced under load, and a bad one is not."""

import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import torchserve_control as control
import torchserve_plan
from predictions_api import recognize
from rollout import Rollout, RolloutError
from sample_photos import sample_photos
from torchserve_plan import free_port

CLIENTS = 12


def with_version(archive: Path, version: str, target: Path, *, without: str = "") -> Path:
    """A copy of the archive under another version, optionally with one file missing."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            if name == "MAR-INF/MANIFEST.json":
                manifest = json.loads(content)
                manifest["model"]["modelVersion"] = version
                content = json.dumps(manifest).encode()
            if name != without:
                copy.writestr(name, content)
    return target


@pytest.fixture(scope="module")
def store(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    with_version(archive, "1.0", folder / archive.name)
    return folder


@pytest.fixture(scope="module")
def server(store: Path, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Server]:
    folder = tmp_path_factory.mktemp("rollout-server")
    yield control.start(torchserve_plan.Plan(folder=folder, archive=store / archive.name, port=free_port(), workers=1))
    assert control.stop(folder), control.log_tail(folder)


@pytest.fixture
def rollout(server: control.Server, store: Path, tmp_path: Path) -> Rollout:
    return Rollout(
        server=server,
        folder=tmp_path / "lock",
        store=store,
        canary=sample_photos(),
        min_agreement=1.0,
        drain_s=2.0,
        timeout_s=240,
        say=print,
    )


def served_version(server: control.Server) -> str:
    with requests.Session() as session:
        return recognize(session, server.inference_url, sample_photos()[0], {}).body["model"]["version"]


def scale(server: control.Server, workers: int) -> None:
    """So many workers from now on, in later versions too."""
    asked = {"min_worker": workers, "max_worker": workers, "synchronous": "true"}
    url = f"{server.management_url}/models/{torchserve_plan.MODEL}"
    assert requests.put(url, params=asked, timeout=240).ok
    assert len(server.workers()) == workers


def test_no_request_fails_while_the_version_is_replaced(
    rollout: Rollout, server: control.Server, archive: Path, tmp_path: Path, jpegs: list[bytes]
) -> None:
    scale(server, 2)
    url = f"{server.inference_url}/predictions/{torchserve_plan.MODEL}"
    stop = threading.Event()
    statuses: list[int] = []
    versions: set[str] = set()
    lock = threading.Lock()

    def client(number: int) -> None:
        with requests.Session() as session:
            while not stop.is_set():
                answer = session.post(
                    url, data=jpegs[number % len(jpegs)], headers={"Content-Type": "image/jpeg"}, timeout=60
                )
                with lock:
                    statuses.append(answer.status_code)
                    if answer.status_code == 200:
                        versions.add(answer.json()["model"]["version"])

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in clients:
        thread.start()
    try:
        rollout.run(with_version(archive, "2.0", tmp_path / "new.mar"))
    finally:
        stop.set()
        for thread in clients:
            thread.join(timeout=60)
    print(f"{len(statuses)} requests during the rollout")
    assert len(statuses) > 50
    assert set(statuses) == {200}
    assert versions == {"1.0", "2.0"}
    assert served_version(server) == "2.0"
    listed = requests.get(f"{server.management_url}/models/{torchserve_plan.MODEL}/all", timeout=10).json()
    assert [(model["modelVersion"], len(model["workers"])) for model in listed] == [("2.0", 2)]
    scale(server, 1)


def test_an_archive_that_does_not_start_is_given_up(
    rollout: Rollout, server: control.Server, archive: Path, tmp_path: Path
) -> None:
    before = served_version(server)
    broken = with_version(archive, "9.0", tmp_path / "broken.mar", without="product_links.json")
    rollout.timeout_s = 15
    rollout.drain_s = 0.5
    with pytest.raises(RolloutError):
        rollout.run(broken)
    assert served_version(server) == before
    listed = requests.get(f"{server.management_url}/models/{torchserve_plan.MODEL}/all", timeout=10).json()
    assert [model["modelVersion"] for model in listed] == [before]


def test_a_version_that_disagrees_with_the_old_one_is_given_up(
    rollout: Rollout, server: control.Server, archive: Path, tmp_path: Path
) -> None:
    before = served_version(server)
    rollout.min_agreement = 1.1  # no version can agree that well: stands for one that recognises other things
    rollout.drain_s = 0.5
    with pytest.raises(RolloutError, match="agrees with"):
        rollout.run(with_version(archive, "3.0", tmp_path / "other.mar"))
    assert served_version(server) == before


def test_the_same_version_again_and_a_foreign_file_are_refused(
    rollout: Rollout, server: control.Server, store: Path, archive: Path, tmp_path: Path
) -> None:
    with pytest.raises(RolloutError, match="registered already"):
        rollout.run(with_version(archive, served_version(server), tmp_path / "same.mar"))
    foreign = tmp_path / "foreign.mar"
    foreign.write_bytes(b"not a zip")
    with pytest.raises(RolloutError, match="not a model archive"):
        rollout.run(foreign)


def listed_versions(server: control.Server) -> set[str]:
    listed = requests.get(f"{server.management_url}/models/{torchserve_plan.MODEL}/all", timeout=10).json()
    return {model["modelVersion"] for model in listed}


def test_two_rollouts_at_once_do_not_meet(rollout: Rollout, archive: Path, tmp_path: Path) -> None:
    with control.locked(rollout.folder, "the first"), pytest.raises(torchserve_plan.ServerError, match="under way"):
        rollout.run(with_version(archive, "4.0", tmp_path / "four.mar"))


@pytest.mark.parametrize("step", ["_check_canary", "_check_default"])
def test_an_interrupt_leaves_the_old_version_alone(
    rollout: Rollout,
    server: control.Server,
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    before = served_version(server)
    monkeypatch.setattr(rollout, step, interrupted)
    rollout.drain_s = 0.5
    with pytest.raises(KeyboardInterrupt):
        rollout.run(with_version(archive, "5.0", tmp_path / "five.mar"))
    assert served_version(server) == before
    assert listed_versions(server) == {before}


def test_a_rollout_interrupted_while_draining_is_finished_by_the_next(
    rollout: Rollout, server: control.Server, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = with_version(archive, "6.0", tmp_path / "six.mar")
    before = served_version(server)
    rollout.drain_s = 0.5

    def interrupted(_version: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rollout, "_retire", interrupted)
        with pytest.raises(KeyboardInterrupt):
            rollout.run(new)
    assert listed_versions(server) == {before, "6.0"}
    rollout.run(new)
    assert listed_versions(server) == {"6.0"}
    assert served_version(server) == "6.0"


@pytest.mark.parametrize("version", ["../../9", "", "a/b"])
def test_a_version_that_is_no_name_is_refused(rollout: Rollout, archive: Path, tmp_path: Path, version: str) -> None:
    with pytest.raises(RolloutError, match="not a version"):
        rollout.run(with_version(archive, version, tmp_path / "odd.mar"))
