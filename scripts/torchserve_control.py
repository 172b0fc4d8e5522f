"""Start, watch and stop one TorchServe: the part of ``serve.py`` that other scripts and tests use as well.

Every server has a folder of its own for its effective configuration, logs, tokens and temporary files, so that two
checkouts serve side by side, and stopping one never touches the other.
"""

import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from torchserve_plan import (
    MODEL,
    ROOT,
    Plan,
    ServerError,
    bracketed,
    effective_config,
    java_escaped,
    java_home,
    share_cores,
)

THREADS_VARIABLE = "LIVECART_THREADS_PER_WORKER"
#: Between a worker's end and the last that it said.
_LAST_WORDS_S = 1.0
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104
_STATE_FILE = "server.json"
_TEMPORARY_PREFIX = "livecart-"
_LOG_LINES_SHOWN = 12


@dataclass(frozen=True)
class Server:
    """A started server, as remembered in its folder."""

    pid: int
    created_at_s: float
    temporary: str
    inference_url: str
    management_url: str
    metrics_url: str
    grpc_inference_port: int
    model_store: str
    key_file: str | None

    def process(self) -> psutil.Process | None:
        """The server's process, or None when it has ended, even if its number is in use again."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created_at_s) < 1.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def headers(self, kind: str = "inference") -> dict[str, str]:
        """The authorization header for ``kind`` (``inference`` or ``management``); empty where tokens are off."""
        if self.key_file is None:
            return {}
        try:
            return {"Authorization": f"Bearer {json.loads(Path(self.key_file).read_bytes())[kind]['key']}"}
        except (OSError, ValueError, KeyError):
            return {}  # not written yet: the answer will be a 4xx, and the caller tries again

    def renew_management_token(self) -> None:
        """Get a new management key if the old one has expired. Clients never hold it, so nobody is locked out.

        Raises:
            ServerError: the server does not answer, or gives none.
        """
        if self.key_file is None:
            return
        try:
            listed = requests.get(f"{self.management_url}/models", headers=self.headers("management"), timeout=5)
            if listed.ok:
                return
            url = f"{self.management_url}/token"
            renewed = requests.get(url, params={"type": "management"}, headers=self.headers("API"), timeout=5)
        except requests.RequestException as error:
            raise ServerError(f"the management address does not answer: {error}") from error
        if not renewed.ok:
            raise ServerError(f"the management token cannot be renewed: {renewed.text.strip()}; restart the server")

    def workers(self) -> list[dict[str, Any]]:
        """Worker states of the default version, from the management API; empty while that does not answer."""
        try:
            answer = requests.get(
                f"{self.management_url}/models/{MODEL}", headers=self.headers("management"), timeout=5
            )
            return answer.json()[0]["workers"] if answer.ok else []
        except (requests.RequestException, ValueError, LookupError):
            return []


def running(folder: Path) -> Server | None:
    """The live server of ``folder``, if there is one."""
    server = _remembered(folder)
    return server if server and server.process() else None


def require_running(folder: Path) -> Server:
    """The live server of ``folder``.

    Raises:
        ServerError: there is none.
    """
    server = running(folder)
    if server is None:
        raise ServerError("no server of this checkout is running; `make serve` starts one")
    return server


def require_none(folder: Path) -> None:
    """Raise ``ServerError`` where a server of ``folder`` lives."""
    if running(folder):
        raise ServerError(
            "a server of this checkout is running already; `make stop` ends it, `make rollout` replaces it"
        )


def _remembered(folder: Path) -> Server | None:
    try:
        return Server(**json.loads((folder / _STATE_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def start(plan: Plan) -> Server:
    """Start a server and return once every worker is READY.

    Raises:
        ServerError: one is running already, a port is taken, or the workers do not come up.
    """
    if not plan.archive.is_file():
        raise ServerError(f"{plan.archive}: no such archive; `make archive` builds it")
    with locked(plan.folder, "another start or stop"):
        require_none(plan.folder)
        _clean_up(plan.folder)
        for key, port in plan.ports().items():
            _require_free(key, plan.host if key == "inference_address" else "127.0.0.1", port)
        return _start(plan)


def _start(plan: Plan) -> Server:
    shutil.rmtree(plan.folder / "logs", ignore_errors=True)
    workers, threads = share_cores(plan.workers, plan.threads)
    config = plan.folder / "config.properties"
    config.write_text(java_escaped(effective_config(plan, workers)), encoding="ascii")
    # In the system's temporary folder and short, because worker sockets in it may have 108 characters at most.
    temporary = tempfile.mkdtemp(prefix=_TEMPORARY_PREFIX)
    server = _launch(plan, config, temporary, threads)
    try:
        state = plan.folder / f"{_STATE_FILE}.part"
        state.write_text(json.dumps(asdict(server), indent=1))
        state.replace(plan.folder / _STATE_FILE)
        _wait_ready(plan, server, workers)
    except BaseException:
        _end(server)
        _clean_up(plan.folder)
        raise
    return server


def stop(folder: Path, *, timeout_s: float = 30.0) -> bool:
    """End the server of ``folder`` and its workers, and remove its temporary files. False if none was running."""
    if not folder.is_dir():
        return False
    with locked(folder, "another start or stop"):
        server = running(folder)
        if server is not None:
            _end(server, timeout_s=timeout_s)
        _clean_up(folder)
    return server is not None


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold the lock of ``folder``, which two commands at once would otherwise change under each other.

    Raises:
        ServerError: somebody else holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServerError(f"{what} of this checkout's server is under way; wait for it to end") from error
        yield


def _end(server: Server, *, timeout_s: float = 30.0) -> None:
    process = server.process()
    if process is None:
        return
    family = [process, *process.children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=timeout_s)
    for straggler in alive:
        straggler.kill()
    psutil.wait_procs(alive, timeout=5)


def _clean_up(folder: Path) -> None:
    """Remove what the last server of ``folder`` left, be it stopped or killed."""
    server = _remembered(folder)
    if server is None:
        return
    temporary = Path(server.temporary)
    if temporary.name.startswith(_TEMPORARY_PREFIX):  # the file is only text: delete nothing else on its word
        shutil.rmtree(temporary, ignore_errors=True)
    (folder / "key_file.json").unlink(missing_ok=True)
    (folder / _STATE_FILE).unlink(missing_ok=True)


def log_tail(folder: Path, lines: int = _LOG_LINES_SHOWN) -> str:
    """The end of what the server last said, unwrapped from its JSON."""
    said = []
    for path in (folder / "logs" / "server.log", folder / "logs" / "console.log"):
        for line in path.read_text(errors="replace").splitlines()[-lines:] if path.is_file() else ():
            try:
                said.append(json.loads(line)["message"])
            except (ValueError, KeyError, TypeError):
                said.append(line)
        if said:
            break
    return "\n".join(f"  | {line}" for line in said) or "  | (no output)"


def environment(plan: Plan, temporary: str, threads: int) -> dict[str, str]:
    """Variables of the server. What workers cache stays in its folder, for the next start."""
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "TS_CONFIG_FILE")}
    logs = str(plan.folder / "logs")
    variables |= {"TMPDIR": temporary, "TEMP": temporary, "LOG_LOCATION": logs, "METRICS_LOCATION": logs}
    variables |= {"CACHE_DIRECTORY": str(plan.folder / "cache"), THREADS_VARIABLE: str(threads)}
    home = java_home()
    return variables | ({"JAVA_HOME": home} if home else {})


def _launch(plan: Plan, config: Path, temporary: str, threads: int) -> Server:
    logs = plan.folder / "logs"
    logs.mkdir()
    command = [
        *(sys.executable, "-m", "ts.model_server", "--start", "--no-config-snapshots"),
        *("--ts-config", str(config), "--model-store", str(plan.archive.resolve().parent)),
        *("--log-config", str(ROOT / "deploy" / "log4j2.xml")),
    ]
    with (logs / "console.log").open("wb") as console:
        # Its own session: Ctrl-C meant for `make` must not reach a server that is to stay.
        launcher = subprocess.Popen(
            command,
            cwd=plan.folder,
            env=environment(plan, temporary, threads),
            stdout=console,
            stderr=console,
            start_new_session=True,
        )
        try:
            launcher.wait()
        except BaseException:
            # Java is in the launcher's group, and may not be known by its number yet.
            with suppress(ProcessLookupError):
                os.killpg(launcher.pid, signal.SIGKILL)
            launcher.wait()
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    try:
        pid = int((Path(temporary) / ".model_server.pid").read_text())
        created_at_s = psutil.Process(pid).create_time()
    except (OSError, ValueError, psutil.NoSuchProcess) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise ServerError(f"TorchServe did not start:\n{log_tail(plan.folder)}") from error
    ports = plan.ports()
    reachable = "127.0.0.1" if plan.host in _EVERYWHERE else plan.host
    return Server(
        pid=pid,
        created_at_s=created_at_s,
        temporary=temporary,
        inference_url=f"http://{bracketed(reachable)}:{ports['inference_address']}",
        management_url=f"http://127.0.0.1:{ports['management_address']}",
        metrics_url=f"http://127.0.0.1:{ports['metrics_address']}",
        grpc_inference_port=ports["grpc_inference_port"],
        model_store=str(plan.archive.resolve().parent),
        key_file=str(plan.folder / "key_file.json") if plan.token_on() else None,
    )


def _wait_ready(plan: Plan, server: Server, workers: int | None) -> None:
    """Until every worker is READY: ``/ping`` is 200 while the model still loads, so it is not asked."""
    deadline = time.monotonic() + plan.ready_timeout_s
    while time.monotonic() < deadline:
        states = [worker["status"] for worker in server.workers()]
        if states and len(states) >= (workers or 1) and set(states) == {"READY"}:
            return
        tail = log_tail(plan.folder, lines=40)
        if server.process() is None:
            raise ServerError(f"TorchServe ended while it started:\n{tail}")
        if "ConfigurationError" in tail or "WeightsError" in tail or "Backend worker process died" in tail:
            # The worker's own words reach the log after its end does.
            time.sleep(_LAST_WORDS_S)
            raise ServerError(f"the archive does not start:\n{log_tail(plan.folder, lines=60)}")
        time.sleep(0.2)
    raise ServerError(f"no worker was ready after {plan.ready_timeout_s:.0f} s:\n{log_tail(plan.folder)}")


def _require_free(key: str, host: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise ServerError(f"{key}: {port} is not a port; choose another PORT")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (socket.gaierror, OverflowError) as error:
            raise ServerError(f"HOST={host} is no address of this machine") from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ServerError(f"HOST={host} is no address of this machine") from error
            raise ServerError(f"port {port} ({key}) is in use; `make serve PORT=9080` moves all five ports") from error
