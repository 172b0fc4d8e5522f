"""The limit in ``bench_serving.py``: the same recogniser called in a loop, one process a core, no server at all."""

import itertools
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def in_process_per_second(
    folder: Path, photos: Sequence[bytes], *, processes: int, batch_size: int, seconds: float
) -> float:
    """Images a second, decoding and reply encoding included, of ``processes`` with one thread each."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    arguments = [(folder, list(photos), batch_size, seconds)] * processes
    with context.Pool(processes, initializer=_share, initargs=(barrier,)) as pool:
        return sum(pool.starmap(_loop, arguments, chunksize=1))


def _share(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603 - a barrier reaches a pool's process only by its initialiser
    _barrier = barrier


def _loop(folder: Path, photos: list[bytes], batch_size: int, seconds: float) -> float:
    import yaml

    from contract.reply import encode
    from recognition.recognizer import Recognizer
    from recognition.request.forms import Options, Request
    from recognition.settings import parse_settings

    settings = parse_settings(yaml.safe_load((ROOT / "handler" / "model-config.yaml").read_text(encoding="utf-8")))
    recognizer = Recognizer.from_folder(folder, settings, name="limit", version="1.0")
    recognizer.warm_up(batch_size)
    options = Options(room=None, top_k=settings.top_k.default, threshold=None, text="auto")
    upcoming = itertools.cycle(photos)
    _barrier.wait()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        batch = [Request(next(upcoming), options) for _ in range(batch_size)]
        for answer in recognizer.recognize(batch).replies:
            encode(answer)  # type: ignore[arg-type]  # the photos are good ones
        done += batch_size
    return done / (time.perf_counter() - started)
