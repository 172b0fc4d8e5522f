"""Every benchmark, one after the other, or those that are named: `make bench`, `make bench ONLY=gate`.

Each is a program of its own in this folder, with options of its own (--help). What cannot be measured here, for want of
data or a browser, is said and passed over. Exit status: 0, or 1 if one failed or missed its target.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LIVECART_EVAL_DATA", ROOT.parent / "shared" / "eval"))


@dataclass(frozen=True)
class Bench:
    """A benchmark. `lacks` says what it needs and this machine has not; None: nothing."""

    what: str
    minutes: float
    options: tuple[str, ...] = ()
    lacks: Callable[[], str | None] = lambda: None


def _no_drinks() -> str | None:
    return None if (DATA / "drinks" / "labels.tsv").is_file() else f"no photos in {DATA}; LIVECART_EVAL_DATA names them"


def _no_browser() -> str | None:
    names = (os.environ.get("LIVECART_CHROMIUM") or "chromium", "chromium-browser", "google-chrome")
    return None if any(map(shutil.which, names)) else "no Chromium; LIVECART_CHROMIUM names one"


#: From what takes little to what takes long, whole systems last.
BENCHES = {
    "gate": Bench("what the gate costs and skips", 2),
    "decoding": Bench("what is saved by decoding only what samples need", 1),
    "hub": Bench("an event to 10,000 viewers", 1),
    "floods": Bench("what strangers' floods do to everybody else", 2),
    "store": Bench("the catalog's database and cache", 2),
    "feed_photos": Bench("pictures of feeds, the fetcher killed half way", 3, ("--products", "500")),
    "frame": Bench(
        "where a frame's time goes",
        3,
        ("--data", str(DATA / "drinks"), "--backgrounds", str(DATA / "video")),
        _no_drinks,
    ),
    "gpu": Bench("whole recognitions on a GPU, or on this CPU", 6),
    "serving": Bench("requests/s and latency of the archive", 8),
    "catalog_scale": Bench("100,000 products", 10),
    "end_to_end": Bench("frame captured, card event, drawn; 1 and 1,000 viewers", 8, lacks=_no_browser),
    "soak": Bench("eight hours of a room", 6),
    "rooms": Bench("how many rooms this machine carries", 30),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)} (default: all)")
    names = parser.parse_args().names or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        parser.error(f"{unknown[0]!r} is none of {', '.join(BENCHES)}")
    failed = []
    for place, name in enumerate(names, 1):
        bench = BENCHES[name]
        print(f"\n[{place}/{len(names)}] {name}: {bench.what}; about {bench.minutes:g} min", flush=True)
        lacking = bench.lacks()
        if lacking is not None:
            print(f"passed over: {lacking}", flush=True)
            continue
        began_s = time.monotonic()
        program = ROOT / "benchmarks" / f"bench_{name}.py"
        status = subprocess.run([sys.executable, str(program), *bench.options], check=False).returncode
        print(f"[{place}/{len(names)}] {name}: exit {status} after {time.monotonic() - began_s:.0f} s", flush=True)
        if status != 0:
            failed.append(name)
    if failed:
        print(f"\nfailed or missed their target: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
