"""Time of a frame by stage: bare passes of the network as a share of the whole, without text.

Composed frames of labelled products (folders as of scripts/evaluate.py) against a catalog of three photos each, one
at a time, the network on one thread, local features on another.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archive_files import unpack
from evaluation import images
from evaluation.backend import build, open_recognizer
from evaluation.backgrounds import find_pictures
from evaluation.dataset import load_dataset, split, write_catalog
from recognition.network.runtime import Runtime
from recognition.request.forms import Options, Request
from torchserve_plan import ARCHIVE

ROOT = Path(__file__).resolve().parent.parent


_WARM_UP = 5


class Timed:
    """A runtime that adds up the time of its passes."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.name, self.threads, self.seconds = runtime, runtime.name, runtime.threads, 0.0

    def forward(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        started = time.perf_counter()
        result = self.runtime.forward(pixels)
        self.seconds += time.perf_counter() - started
        return result

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        started = time.perf_counter()
        result = self.runtime.features(pixels)
        self.seconds += time.perf_counter() - started
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.tsv")
    parser.add_argument("--backgrounds", type=Path, nargs="+", required=True, help="photos and clips without products")
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--limit", type=int, default=60, help="frames (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="livecart-bench-") as temporary:
        folder = Path(temporary)
        archive = unpack(options.archive, folder / "archive")
        parts = split(load_dataset(options.data), shots=3, seed=0, limit=options.limit)
        catalog = build(write_catalog(parts, folder / "catalog"), archive, folder / "catalog.snapshot")
        recognizer = open_recognizer(archive, catalog)
        timed = Timed(recognizer.runtime)
        recognizer.use_runtime(timed)
        asked = list(images.frames(parts.queries, find_pictures(options.backgrounds), seed=0))
        wanted = Options(room=None, top_k=5, threshold=None, text="never")
        whole, bare = [], []
        for image in asked:
            timed.seconds, started = 0.0, time.perf_counter()
            recognizer.recognize([Request(image.data, wanted)])
            whole.append(time.perf_counter() - started)
            bare.append(timed.seconds)
    whole_ms, bare_ms = np.array(whole[_WARM_UP:]) * 1000, np.array(bare[_WARM_UP:]) * 1000
    figures = {
        "frames": len(whole_ms),
        "whole_p50_ms": round(float(np.median(whole_ms)), 1),
        "whole_p95_ms": round(float(np.percentile(whole_ms, 95)), 1),
        "network_p50_ms": round(float(np.median(bare_ms)), 1),
        "network_share": round(float(bare_ms.sum() / whole_ms.sum()), 3),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
