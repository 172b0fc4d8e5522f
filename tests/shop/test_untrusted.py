"""Work in a process of its own ends at its limits, and takes nobody along."""

import os
import threading
import time

import psutil
import pytest

from livecart.core.untrusted import OverLimit, run_untrusted


def loop(_data: bytes) -> None:
    while True:
        pass


def swell(_data: bytes) -> int:
    return len(bytearray(1024**3))


def crash(_data: bytes) -> None:
    os.abort()


def fail(_data: bytes) -> None:
    raise SystemExit(1)


def moments(_data: bytes) -> list[float]:
    started_s = time.monotonic()
    time.sleep(0.3)
    return [started_s, time.monotonic()]


def run(work, data=b"", limit_s=20.0):
    return run_untrusted(work, data, limit_s=limit_s, memory_mib=256)


def test_what_the_work_returns_comes_back():
    assert run(len, bytes(20 * 1024**2)) == 20 * 1024**2


@pytest.mark.parametrize(("work", "limit_s"), [(loop, 0.5), (swell, 20.0), (crash, 20.0), (fail, 20.0)])
def test_what_is_over_a_limit_or_crashes_is_told_and_leaves_no_process(work, limit_s):
    run(len)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(OverLimit):
        run(work, limit_s=limit_s)
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before


def test_two_are_at_work_at_once_and_no_more():
    found: list[list[float]] = []
    threads = [threading.Thread(target=lambda: found.append(run(moments))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    at_once = [sum(begin <= other < end for begin, end in found) for other, _ in found]
    assert len(found) == 5
    assert max(at_once) <= 2
