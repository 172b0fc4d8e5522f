"""Fuzz the parsers: `python -m tests.fuzz [TARGET ...]`, by libFuzzer, guided by coverage. The corpus comes first.

What makes a parser fail is left in `build/fuzz/`; moved into `corpus/TARGET/`, it is a test. Without atheris, which has
wheels for Linux on x86_64, only the corpus is gone through.
"""

import argparse
import contextlib
import io
import os
import sys
import traceback
from collections.abc import Callable
from multiprocessing import RawArray
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

_INSTRUMENTED = ["contract", "livecart", "recognition", "aiortc.sdp"]
# Instrumenting tells of each module.
_hooks = atheris.instrument_imports(include=_INSTRUMENTED) if atheris else contextlib.nullcontext()
with contextlib.redirect_stderr(io.StringIO()), _hooks:
    from tests.fuzz.targets import CORPUS, TARGETS, peak_mib

#: The targets have bounds of their own; libFuzzer ends what loops for ever after 1,200 s.
_OPTIONS = ["-max_len=65536", "-len_control=10", "-rss_limit_mb=4096"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=15, help="for each target")
    parser.add_argument("--inputs", type=int, help="for each target, in place of --seconds")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="of what was found")
    asked = parser.parse_args()
    bound = f"-max_total_time={asked.seconds}" if asked.inputs is None else f"-runs={asked.inputs}"
    print(f"{'target':16}{'inputs':>9}{'slowest ms':>12}{'peak MiB':>10}")
    found = [not _fuzz(name, asked.folder, [bound, f"-seed={asked.seed}"]) for name in asked.targets or TARGETS]
    return int(any(found))


def _fuzz(name: str, folder: Path, options: list[str]) -> bool:
    """Fuzz a target in a process of its own; whether nothing was found."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    figures = RawArray("d", 3)

    def check(data: bytes) -> None:
        figures[0] += 1
        figures[1] = max(figures[1], TARGETS[name].check(data))
        figures[2] = peak_mib()

    child = os.fork()
    if child == 0:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        options += [*_OPTIONS, f"-artifact_prefix={folder}/{name}-"]
        _run_child(check, [name, *options, str(folder / name), str(CORPUS / TARGETS[name].corpus)])
    _, status = os.waitpid(child, 0)
    print(f"{name:16}{figures[0]:9.0f}{figures[1] * 1000:12.0f}{figures[2]:10.0f}", flush=True)
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(["  ...", *[f"  {line}" for line in lines if "\tcov: " not in line][-25:]]))
    return status == 0


def _run_child(check: Callable[[bytes], None], arguments: list[str]) -> None:
    if atheris:
        atheris.Setup(arguments, check)
        # Ends the process, once it has kept what was found.
        atheris.Fuzz()
    try:
        for path in sorted(Path(arguments[-1]).iterdir()):
            print(path, flush=True)
            check(path.read_bytes())
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
