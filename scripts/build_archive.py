"""Build the TorchServe archive: weights in every runtime's form, labels, links and code in one .mar.

Everything that could stop the archive from starting is checked here first, so that a mistake in a link or a
threshold is found at a desk and not on a server.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from archive_files import HANDLER, read_settings
from recognition.backbones import load_backbone
from recognition.catalog.build import build_snapshot, empty_snapshot, index_arrays
from recognition.catalog.embedding import dimensions_of, embedders, fingerprint
from recognition.classify.labels import LabelMatcher, softmax
from recognition.classify.product_links import load_links
from recognition.errors import ConfigurationError
from recognition.network.artifact import LINKS_FILE, SNAPSHOT_FILE, BackboneInfo
from recognition.network.export import RUNTIMES, export
from recognition.network.runtime import open_runtime
from recognition.settings import RuntimeChoice, Settings
from recognition.snapshot.catalog_folder import load_catalog_folder
from recognition.snapshot.write import SnapshotContents, write_snapshot
from torchserve_plan import ARCHIVE, CONFIG_FILE, MODEL, ROOT

#: Its own package, which the archive shares with livecart.
CONTRACT = ROOT / "contract"


#: Runtimes may differ by this much in a confidence (docs/http.md promises it).
TOLERANCE = 1e-3
#: Passed to the archiver by name, so not among the extra files.
_NOT_EXTRA = shutil.ignore_patterns("__pycache__", "*.pyc", "product_handler.py", CONFIG_FILE, "metrics.yaml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 on success, 1 with a message on a mistake in the input."""
    options = _options(arguments)
    try:
        build(options)
    except ConfigurationError as error:
        print(f"build_archive: {error}", file=sys.stderr)
        return 1
    return 0


def build(options: argparse.Namespace) -> None:
    """Write ``options.output``, whole or not at all."""
    settings = read_settings(options.model_config)
    if settings.runtime.cpu not in options.runtimes:
        raise ConfigurationError(f"runtime.cpu is {settings.runtime.cpu}, which is not among --runtimes")
    with tempfile.TemporaryDirectory(prefix="livecart-build-") as temporary:
        staging = Path(temporary) / "archive"
        shutil.copytree(HANDLER, staging, ignore=_NOT_EXTRA)
        shutil.copytree(CONTRACT, staging / CONTRACT.name, ignore=_NOT_EXTRA)
        # Under this name Python runs it by itself, and in the checkout it must not: handler/ is on the path there.
        (staging / "worker_start.py").rename(staging / "sitecustomize.py")
        with _Step(f"loading {settings.model.source}"):
            backbone = load_backbone(settings.model, default_labels=options.labels)
        products = load_links(options.links, allowed_hosts=settings.allowed_hosts)
        for product in LabelMatcher(backbone.labels, products, settings.thresholds).unreachable:
            print(f"  note: no label of this model leads to {product.name!r}")
        shutil.copyfile(options.links, staging / LINKS_FILE)
        with _Step(f"converting for {' and '.join(options.runtimes)}"):
            info = export(backbone, staging, runtimes=options.runtimes, converted=options.converted)
        with _Step(f"embedding the photos of {options.catalog}" if options.catalog else "an empty catalog"):
            write_snapshot(staging / SNAPSHOT_FILE, _catalog(options, staging, info, settings))
        if len(options.runtimes) > 1:
            with _Step("checking that the runtimes agree"):
                _check_agreement(staging, info)
        with _Step("packing"):
            _pack(options, staging, Path(temporary))
    size_mb = options.output.stat().st_size / 1e6
    print(f"{options.output}: {backbone.name}, {len(backbone.labels)} labels, {len(products)} links, {size_mb:.0f} MB")


def _catalog(options: argparse.Namespace, staging: Path, info: BackboneInfo, settings: Settings) -> SnapshotContents:
    """The built-in snapshot: of --catalog, or of no products, and then the archive's links are what it knows."""
    if options.catalog is None:
        return empty_snapshot(fingerprint(info), dimensions=dimensions_of(info))
    catalog = load_catalog_folder(options.catalog, allowed_hosts=settings.allowed_hosts)
    embedder = embedders(staging, threads=len(os.sched_getaffinity(0)))(0)
    contents, report = build_snapshot(
        catalog, embedder, folder=options.catalog, extra=lambda contents: index_arrays(contents, None)
    )
    for photo in report.bad:
        print(f"\n  left out: sku {photo.sku!r}: {photo.path}: {photo.reason}", file=sys.stderr)
    return contents


def _check_agreement(folder: Path, info: BackboneInfo) -> None:
    side = info.preprocessing.input_px
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    results = [
        softmax(open_runtime(folder, info, RuntimeChoice(cpu=runtime), gpu_id=None).forward(images))
        for runtime in ("openvino", "torch")
    ]
    difference = float(np.abs(results[0] - results[1]).max())
    if difference > TOLERANCE:
        raise ConfigurationError(f"OpenVINO and torch differ by {difference:.4f} in a confidence, over {TOLERANCE}")


def _pack(options: argparse.Namespace, staging: Path, temporary: Path) -> None:
    """Call the archiver. Its TMPDIR is ours, because it deletes $TMPDIR/<model name> without asking."""
    config = temporary / CONFIG_FILE
    shutil.copyfile(options.model_config, config)
    command = [
        *(sys.executable, "-m", "model_archiver.model_packaging"),
        *("--model-name", MODEL, "--version", options.version),
        *("--handler", str(HANDLER / "product_handler.py"), "--config-file", str(config)),
        *("--extra-files", str(staging), "--export-path", str(temporary), "--force"),
    ]
    environment = {**os.environ, "TMPDIR": str(temporary), "TMP": str(temporary), "TEMP": str(temporary)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ConfigurationError(f"torch-model-archiver failed:\n{done.stdout}{done.stderr}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    part = options.output.with_suffix(".part")
    shutil.move(temporary / f"{MODEL}.mar", part)
    part.replace(options.output)


class _Step:
    """Says what takes so long, and then how long it took."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        print(f"  {self._what} …", end="", flush=True)
        self._started = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        print(f" {time.perf_counter() - self._started:.1f} s" if error[0] is None else " failed", flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-config", type=Path, default=HANDLER / "model-config.yaml", help="default: %(default)s")
    parser.add_argument("--labels", type=Path, default=ROOT / "labels.json", help="labels of the built-in weights")
    parser.add_argument("--links", type=Path, default=ROOT / "product_links.json", help="label or name to link")
    parser.add_argument(
        "--catalog", type=Path, help="a catalog folder to build in: products with photos, docs/catalog.md"
    )
    parser.add_argument("--output", type=Path, default=ARCHIVE)
    parser.add_argument("--version", default="1.0", help="of the model, as clients see it (default: %(default)s)")
    parser.add_argument(
        "--runtimes",
        type=lambda text: text.split(","),
        default=list(RUNTIMES),
        help="comma-separated: openvino for CPUs, torch for GPUs (default: both)",
    )
    parser.add_argument(
        "--converted",
        type=Path,
        default=ROOT / "build" / "converted",
        help="keeps networks that were converted for OpenVINO, for the next archive (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    unknown = set(options.runtimes) - set(RUNTIMES)
    if unknown or options.output.suffix != ".mar":
        parser.error(f"unknown runtime: {', '.join(unknown)}" if unknown else "--output must end in .mar")
    return options


if __name__ == "__main__":
    sys.exit(main())
