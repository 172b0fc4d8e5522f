"""Build a catalog snapshot from a shop's folder: catalog.json and the photos beside it.

  build_catalog.py shop/                          writes model_store/catalog.snapshot
  build_catalog.py shop/ --output live.snapshot   where running workers follow it

Photos are embedded with the network of the built archive, so that a snapshot always fits the model that serves. Run it
again after any change: only photos that the snapshot at --output does not know yet are embedded. The new one replaces
it in one step, which workers may watch. A build that was stopped goes on where it ended (shop.partial beside
shop.snapshot). Products that the photos and names do not make sure of are named, with what would help, and written to
uncertain_products.json beside the snapshot.

  build_catalog.py --serve                        builds on request, the network kept loaded

Each line of its standard input is an order, {"folder": "shop/", "output": "live.snapshot"}, answered by one line: as
--json prints it, with "ok": true; or {"ok": false, "error": "…"}. It ends with its input, and when the archive is
another one: start it again then.

Exit status: 0 done, 1 a mistake in the input and nothing was written, 3 with --strict where photos had to be left out.
"""

import argparse
import io
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from archive_files import HANDLER, read_settings, unpack
from contract.uncertain_products import UNCERTAIN_PRODUCTS_FILE, UncertainProduct, UncertainProducts
from recognition.catalog.build import BuildReport, Embedder, build_snapshot, index_arrays
from recognition.catalog.journal import Journal
from recognition.classify.labels import load_labels
from recognition.errors import ConfigurationError, SnapshotError
from recognition.index.vectors import space_of
from recognition.network.artifact import LABELS_FILE, SNAPSHOT_FILE, read_info
from recognition.settings import Settings
from recognition.snapshot.catalog_folder import load_catalog_folder
from recognition.snapshot.read import Snapshot, open_snapshot
from recognition.snapshot.write import write_snapshot
from torchserve_plan import ARCHIVE

_log = logging.getLogger(__name__)
#: What opens the embedder of an unpacked archive: (folder, threads).
OpenEmbedder = Callable[[Path, int], Embedder]
_BAD_PHOTOS_STATUS = 3
_PREFIX = "livecart-catalog-"
#: Uncertain products in words; all are in the file.
_MOST_TOLD = 10


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.serve:
        return _serve(options)
    try:
        summary, report = build(options, _open_embedder)
    except (ConfigurationError, OSError) as error:
        print(f"build_catalog: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("build_catalog: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    for photo in report.bad:
        print(f"build_catalog: left out: sku {photo.sku!r}: {photo.path}: {photo.reason}", file=sys.stderr)
    if options.json:
        print(json.dumps(summary, ensure_ascii=False))
    else:
        uncertain = summary["uncertain_products"]
        print("\n".join([_sentence(summary, report), *map(_advice, uncertain[:_MOST_TOLD])]))
        if len(uncertain) > _MOST_TOLD:
            print(f"{len(uncertain) - _MOST_TOLD} more in {options.output.with_name(UNCERTAIN_PRODUCTS_FILE)}")
    return _BAD_PHOTOS_STATUS if report.bad and options.strict else 0


def build(options: argparse.Namespace, open_embedder: OpenEmbedder) -> tuple[dict[str, Any], BuildReport]:
    """Write ``options.output``, whole or not at all; returns what --json prints, and the report it came from.

    Raises:
        ConfigurationError: naming what is wrong with the catalog, the settings or the archive.
        OSError: the snapshot cannot be written.
    """
    started = time.perf_counter()
    settings = read_settings(options.model_config)
    catalog = load_catalog_folder(options.folder, allowed_hosts=settings.allowed_hosts)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as temporary:
        archive = unpack(options.archive, Path(temporary))
        photos = sum(len(product.photos) for product in catalog.products)
        embedder = open_embedder(archive, photos)
        with _journal(options.output, embedder.fingerprint) as journal, _progress() as progress:
            previous = _previous(options.output, embedder.fingerprint)
            contents, report = build_snapshot(
                catalog,
                embedder,
                folder=options.folder,
                previous=previous,
                journal=journal,
                extra=lambda contents: index_arrays(contents, previous),
                progress=progress,
            )
            snapshot_id = write_snapshot(options.output, contents)
        uncertain = _write_uncertain_products(archive, options.output, settings)
    summary = {
        "output": str(options.output),
        "id": snapshot_id,
        "fingerprint": embedder.fingerprint,
        **asdict(report),
        "uncertain_products": msgspec.to_builtins(uncertain),
        "seconds": round(time.perf_counter() - started, 3),
        "bytes": options.output.stat().st_size,
    }
    return summary, report


def _serve(options: argparse.Namespace) -> int:
    """Take orders until the input ends, or the archive is another one."""
    # A build that is not wanted any more is given up, and what it was made from is cleared up.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        made_of = _stamp(options.archive)
        with tempfile.TemporaryDirectory(prefix=_PREFIX) as temporary:
            archive = unpack(options.archive, Path(temporary))
            embedder_for = _embedders(archive)
            print(json.dumps({"ok": True, "ready": True}), flush=True)
            with suppress(ConfigurationError):  # each order is told
                _warm_up(embedder_for(1))
            for line in sys.stdin:
                if _stamp(options.archive) != made_of:
                    break
                print(json.dumps(_order(options, archive, embedder_for, line), ensure_ascii=False), flush=True)
    except (ConfigurationError, OSError) as error:
        print(f"build_catalog: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _warm_up(embedder: Embedder) -> None:
    """Embed a picture of no product: the first takes a second longer, which nobody who saves a photo is to wait for."""
    picture = Image.new("RGB", (384, 512), (200, 200, 200))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(40)
    for number in range(6):
        # Lines of several lengths, so that the text reader has met them.
        draw.text((30, 30 + 70 * number), "ABC 0123"[: 3 + number], fill=(0, 0, 0), font=font)
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG")
    embedder.embed(encoded.getvalue())


def _order(
    options: argparse.Namespace, archive: Path, embedder_for: Callable[[int], Embedder], line: str
) -> dict[str, object]:
    """One build; the answer to its order."""
    try:
        order = json.loads(line)
        paths = {"folder": Path(order["folder"]), "output": Path(order["output"])}
    except (ValueError, KeyError, TypeError):
        return {"ok": False, "error": f"no order: {line[:200]!r}"}
    asked = argparse.Namespace(**(vars(options) | paths | {"archive": archive}))
    try:
        summary, _ = build(asked, lambda _, photos: embedder_for(photos))
    except (ConfigurationError, OSError) as error:
        return {"ok": False, "error": str(error)}
    return {"ok": True, **summary}


def _embedders(archive: Path) -> Callable[[int], Embedder]:
    # Loads OpenVINO and the text reader: not for who has made a slip in catalog.json.
    from recognition.catalog.embedding import embedders

    return embedders(archive, threads=len(os.sched_getaffinity(0)))


def _stamp(archive: Path) -> tuple[int, int, int]:
    """Of the archive as it stands there: another one has another."""
    try:
        stat = archive.stat()
    except FileNotFoundError as error:
        raise ConfigurationError(f"{archive} is not built; `make archive` builds it") from error
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _open_embedder(archive: Path, photos: int) -> Embedder:
    return _embedders(archive)(photos)


def _write_uncertain_products(archive: Path, snapshot: Path, settings: Settings) -> Sequence[UncertainProduct]:
    """Finds and writes them; without the list a snapshot is no worse, so what fails is only logged."""
    file = snapshot.with_name(UNCERTAIN_PRODUCTS_FILE)
    try:
        uncertain = _find_uncertain_products(archive, snapshot, settings)
        _write(file, msgspec.json.encode(uncertain))
    except Exception as error:  # noqa: BLE001  the snapshot is written and whole
        _log.warning("%s is written without its uncertain products: %s", snapshot, error, exc_info=error)
        with suppress(OSError):
            # Those of the snapshot before.
            file.unlink()
        return ()
    return uncertain.products


def _find_uncertain_products(archive: Path, snapshot: Path, settings: Settings) -> UncertainProducts:
    """Of a snapshot that was just written."""
    from recognition.catalog.loaded import open_catalog
    from recognition.find.fusion import load_calibration
    from recognition.find.uncertain_products import find_uncertain_products

    info = read_info(archive)
    labels = load_labels(archive / LABELS_FILE, num_classes=info.num_classes)
    catalog = open_catalog(snapshot, fingerprint=None, labels=labels, allowed_hosts=settings.allowed_hosts)
    weights = load_calibration(info.name).weights
    return find_uncertain_products(catalog, weights, space_of(info), threshold=settings.thresholds.catalog)


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _journal(output: Path, fingerprint: str) -> Iterator[Journal]:
    """Vectors that an interrupted build of ``output`` has made; deleted once the snapshot is written."""
    journal = Journal(output.with_suffix(".partial"), fingerprint)
    done = False
    try:
        yield journal
        done = True
    finally:
        journal.close(done=done)


def _previous(path: Path, fingerprint: str) -> Snapshot | None:
    """The snapshot to take known photos from, where there is one that is of any use."""
    if not path.exists():
        return None
    try:
        return open_snapshot(path, fingerprint=fingerprint)
    except SnapshotError as error:
        print(f"build_catalog: every photo is embedded again: {error}", file=sys.stderr)
        return None


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where somebody is looking; --json keeps stdout to itself."""
    columns = (TextColumn("照片 photos"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("photos", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _advice(uncertain: Mapping[str, Any]) -> str:
    """An uncertain product in words, with what would help."""
    named = f"sku {uncertain['sku']!r} ({uncertain['name']})"
    if uncertain["kind"] == "plain":
        return f"{named} has nothing but its shape, and is seldom shown: add a photo of a side with print or text"
    other = f"sku {uncertain['other_sku']!r} ({uncertain['other_name']})"
    if uncertain.get("same_photo"):
        return f"{named} has a photo in common with {other}: replace it in one of them"
    shown = " and ".join(uncertain.get("words", ())) or "what differs"
    return f"{named} cannot be told from {other} by its photos: add one that shows {shown}"


def _sentence(summary: Mapping[str, Any], report: BuildReport) -> str:
    left_out = f", {len(report.bad)} left out" if report.bad else ""
    return (
        f"{summary['output']}: {report.products} products, {report.photos} photos ({report.embedded} embedded, "
        f"{report.reused} reused{left_out}), {int(str(summary['bytes'])) / 1e6:.1f} MB, "
        f"{float(str(summary['seconds'])):.1f} s, id {summary['id']}"
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="with catalog.json and the photos that it names")
    parser.add_argument("--output", type=Path, default=ARCHIVE.with_name(SNAPSHOT_FILE), help="default: %(default)s")
    parser.add_argument(
        "--model-config", type=Path, default=HANDLER / "model-config.yaml", help="for its allowed_hosts"
    )
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="whose network embeds the photos")
    parser.add_argument("--strict", action="store_true", help="exit status 3 where a photo had to be left out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--serve", action="store_true", help="build on request, see above")
    options = parser.parse_args(arguments)
    if options.serve == (options.folder is not None):
        parser.error("name a folder, or --serve")
    if options.output.suffix != ".snapshot":
        parser.error("--output must end in .snapshot")
    return options


if __name__ == "__main__":
    # Told to end, it leaves nothing behind: the unpacked archive goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
