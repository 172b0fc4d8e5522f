"""Fixtures that several kinds of tests share."""

import ctypes
import faulthandler
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "model_store" / "product_recognizer.mar"

# Before NumPy, torch and OpenCV are imported, and for what tests start: two test processes and their servers share the
# cores, and pools that take all of them each spend most of their time in waiting for one another, spinning.
for _pool in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(_pool, "1")

#: Files whose tests start servers, export networks or wait: `make test-quick` leaves them out.
# fmt: off
SLOW = {
    "test_runtime", "test_feature_map", "test_efficientnet_lite", "test_modelscope_general",
    "test_base", "test_ocr", "test_labels_file", "test_photo_codes", "test_local_features", "test_build_archive",
    "test_fetch_model", "test_clip_make", "test_demo_stream", "test_evaluate", "test_ingest_live", "test_ingest_rtmp",
    "test_bus_outage", "test_half_requests", "test_hub_isolation", "test_live_cli", "test_live_catalog",
    "test_live_api", "test_feedback_gain", "test_feedback_store", "test_room_runner", "test_many_rooms",
    "test_console", "test_hub_server", "test_api_schema", "test_publish", "test_publish_resident",
    "test_nginx", "test_parsers", "test_slow_bodies",
}

#: Files that import torch, 0.9 GiB in a process: `make test` runs them first, before any server is started.
TORCH = {
    "test_base", "test_efficientnet_lite", "test_feature_map", "test_modelscope_general",
    "test_runtime", "test_images_crop", "test_labels_file", "test_build_archive", "test_fetch_model",
    "test_product_handler", "test_fits", "test_fit_feedback",
}

#: Files of tests/e2e that share its TorchServe: one process runs them all.
SERVED = {
    "test_accuracy", "test_admin_live", "test_catalog", "test_concurrency", "test_docs", "test_live", "test_predict",
    "test_predictions", "test_serve",
}

#: Files of tests/e2e that build archives and start servers of their own, 3 GiB: the same process runs them, afterwards.
SERVING = {"test_commands", "test_rollout", "test_demo"}
# fmt: on


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torch", choices=("only", "none"), help="only the files that import torch, or none of them")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    wanted = config.getoption("--torch")
    if wanted is None or collection_path.suffix != ".py":
        return None
    return (collection_path.stem in TORCH) != (wanted == "only") or None


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.getoption("--torch") == "none" and "torch" in sys.modules:
        raise pytest.UsageError("a test file imports torch: name it in TORCH, or import where it is used")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Ends a teardown after two minutes: pytest-timeout lets go of a test as soon as it has failed.

    An event loop of Python 3.11 waits without a limit for threads that it started.
    """

    def end(_signal: int, _frame: object) -> None:
        raise TimeoutError("the teardown takes more than two minutes")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 120.0)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def pytest_sessionfinish() -> None:
    """A thread that waits for ever does not keep the process: what is left after two minutes is shown, and ended."""
    faulthandler.dump_traceback_later(120, exit=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of e2e begin, those that share a server first; of the others the slow ones."""
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)
    ranks = ("e2e", SERVED, SERVING, SLOW)
    items.sort(key=lambda item: [item.path.stem not in rank and item.path.parent.name != rank for rank in ranks])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Divides the tests between processes (`-n 2 --dist loadfile`): by file, SERVED and SERVING as one.

    Not by marks `xdist_group`: xdist 3.8 writes them where pytest 9.2 does not look, and each test goes its own way.
    """
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


class ByFile(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "served" if Path(file).stem in SERVED | SERVING else file


@pytest.fixture(autouse=True)
def no_reader_left() -> Iterator[None]:
    """No stream's reader outlives the test that started it: its log would go to another one's."""
    before = set(threading.enumerate())
    yield

    def left() -> list[str]:
        return [each.name for each in set(threading.enumerate()) - before if each.name.startswith("ingest-")]

    end_s = time.monotonic() + 5
    while left() and time.monotonic() < end_s:
        time.sleep(0.01)
    assert not left()


@pytest.fixture(scope="module", autouse=True)
def freed_memory(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a file's tests freed goes back to the system: glibc keeps it, 280 MiB after the export of one network."""
    had_torch = "torch" in sys.modules
    yield
    if request.config.getoption("--torch") == "none" and not had_torch and "torch" in sys.modules:
        pytest.fail(f"{request.path.name} loads torch, 0.6 GiB: name it in TORCH")
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


@pytest.fixture(scope="session")
def archive() -> Path:
    """The built archive."""
    if not ARCHIVE.is_file():
        pytest.fail(f"{ARCHIVE} is not built; `make test` builds it, or run `make archive` first")
    return ARCHIVE


@pytest.fixture(scope="session")
def eval_data() -> Path:
    """Folder of real photos that is not part of the repository."""
    folder = Path(os.environ.get("LIVECART_EVAL_DATA", ROOT.parent / "shared" / "eval"))
    if not folder.is_dir():
        pytest.skip(f"no evaluation photos: LIVECART_EVAL_DATA or {folder} is not there")
    return folder
