"""TorchServe and `livecart run`, started for the demo and ended with it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

import torchserve_control as control
from demo.errors import DemoError
from livecart.shop.publish.snapshot_folder import CURRENT
from livecart.shop.settings import CatalogSettings
from torchserve_control import Server
from torchserve_plan import ROOT, Plan, ServerError, available_cores, free_port

ROOM = "demo"
_READY_S, _CATALOG_S, _END_S = 300.0, 600.0, 15.0


@dataclass(frozen=True)
class System:
    """Addresses of what runs. `catalog_url` and the pages below it are there where the demo has a catalog."""

    url: str
    server: Server
    log: Path

    @property
    def watch_url(self) -> str:
        return f"{self.url}/rooms/{ROOM}/watch"

    @property
    def console_url(self) -> str:
        """The room as its host sees it."""
        return f"{self.url}/rooms/{ROOM}/console"

    @property
    def events_url(self) -> str:
        """The room's cards, as server-sent events."""
        return f"{self.url}/rooms/{ROOM}/events"

    def admin_url(self) -> str | None:
        """The staff's pages, if this livecart has them."""
        try:
            answer = requests.get(f"{self.url}/admin/", timeout=10, allow_redirects=False)
        except requests.RequestException:
            return None
        return f"{self.url}/admin/" if answer.status_code < 400 else None


@contextmanager
def running(
    folder: Path,
    archive: Path,
    *,
    flv_url: str,
    playback_url: str,
    catalog: CatalogSettings | None,
    tell: Callable[[str], None],
    most_viewers: int,
) -> Iterator[System]:
    """Both, ready: the recogniser has its catalog, and frames are looked at.

    Args:
        folder: for configuration, logs and the catalog.
        archive: what TorchServe serves.
        flv_url: the stream for livecart.
        playback_url: the stream for browsers.
        catalog: filled already; None: the archive's own.
        tell: what is being waited for.
        most_viewers: that this machine may connect.

    Raises:
        DemoError: one of them does not start; with the end of its log.
    """
    port = free_port()
    config = folder / "rooms.toml"
    http_port = port + 5
    text = _rooms_toml(
        port,
        http_port,
        flv_url=flv_url,
        playback_url=playback_url,
        catalog=catalog,
        most_viewers=most_viewers,
    )
    config.write_text(text, encoding="utf-8")
    with ExitStack() as stack:
        log = folder / "livecart.log"
        livecart = stack.enter_context(_livecart(config, log))
        if catalog is not None:
            # Before the recogniser, which then begins with it, and does not compete for the cores.
            tell("发布商品目录 publishing the catalog ...")
            published = Path(catalog.folder) / "published" / CURRENT
            _wait("no catalog is published", published.exists, livecart, log, _CATALOG_S)
        tell("启动识别服务 starting TorchServe ...")
        # One worker: the browser and the stream want something of the machine as well.
        plan = Plan(
            folder=folder / "torchserve", archive=archive, port=port, workers=1, threads=max(1, available_cores() - 1)
        )
        stack.callback(control.stop, plan.folder)
        try:
            server = control.start(plan)
        except ServerError as error:
            raise DemoError(str(error)) from error
        system = System(f"http://127.0.0.1:{http_port}", server, log)
        tell("等待直播间 waiting for the room ...")
        _wait("livecart is not ready", lambda: _is_ready(system.url), livecart, log, _READY_S)
        yield system


def _rooms_toml(
    port: int, http_port: int, *, flv_url: str, playback_url: str, catalog: CatalogSettings | None, most_viewers: int
) -> str:
    text = f"""[recognizer]
base_url = "http://127.0.0.1:{port}"
management_url = "http://127.0.0.1:{port + 1}"
# Viewers see a frame some seconds after it was sent: there is time, on a slow machine too.
timeout_s = 8.0

[dispatcher]
in_flight = 1

[queue]
max_age_s = 5.0

[http]
port = {http_port}

[viewers]
most_per_ip = {most_viewers}

[[rooms]]
id = {json.dumps(ROOM)}
source = {json.dumps(flv_url)}
playback_url = {json.dumps(playback_url)}
"""
    if catalog is not None:
        text += f"\n[catalog]\nurl = {json.dumps(catalog.url)}\nfolder = {json.dumps(catalog.folder)}\n"
        for key in ("archive", "model_config"):
            if (path := getattr(catalog, key)) is not None:
                text += f"{key} = {json.dumps(path)}\n"
    return text


@contextmanager
def _livecart(config: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`livecart run`, a leader of its own group: Ctrl-C is for the demo, which ends things in their order."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LIVECART_")}
    # The builder of snapshots unpacks the archive there, and has no time to clear up when it is ended.
    temporary = config.parent / "tmp"
    temporary.mkdir()
    environment["TMPDIR"] = str(temporary)
    command = [sys.executable, "-m", "livecart", "run", "--config", str(config)]
    with log.open("wb") as told:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, sign)
                try:
                    process.wait(_END_S)
                except subprocess.TimeoutExpired:
                    continue


def _wait(what: str, done: Callable[[], bool], livecart: subprocess.Popen[bytes], log: Path, limit_s: float) -> None:
    end_s = time.monotonic() + limit_s
    while not done():
        tail = "\n".join(f"  | {line}" for line in log.read_text(errors="replace").splitlines()[-12:])
        if livecart.poll() is not None:
            raise DemoError(f"livecart ended while it started:\n{tail}")
        if time.monotonic() > end_s:
            raise DemoError(f"{what} after {limit_s:g} s:\n{tail}")
        time.sleep(0.3)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=10).ok
    except requests.RequestException:
        return False
