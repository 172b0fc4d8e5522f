"""Pictures of a feed fetched by `livecart catalog fetch-photos`, which is killed half way, resumed, and run once more.

  bench_feed_photos.py --products 5000 --pictures 4

The CDN is on this machine (tests/shop/picture_cdn.py), and every other product names one picture with an ETag. Of every
50 products one names an address that is not public: by number, by name, or by a redirect.
"""

import argparse
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from sqlalchemy import create_engine, func, select, update

from livecart.shop.database.store import open_store
from livecart.shop.models.image_fetches import ImageFetchRow
from livecart.shop.models.products import PhotoRow
from livecart.shop.repositories import bulk
from tests.shop.catalog_stores import allow_shop, patch
from tests.shop.feed_server import Answer
from tests.shop.picture_cdn import Cdn, command

ROOT = Path(__file__).resolve().parent.parent
_MIB = 1024 * 1024
_NOT_PUBLIC = ("https://169.254.169.254/latest.jpg", "https://inside.example.com/a.jpg", "https://r.example.com/inside")


@dataclass
class Pictures:
    """The CDN's answers: a picture for each number, drawn when it is asked for."""

    side_px: int

    def get(self, path: str, missing: Answer) -> Answer:
        if path == "/inside":
            return Answer(status=302, headers={"Location": "https://inside.example.com/b.jpg"})
        number = path.removeprefix("/").removesuffix(".jpg")
        if not number.isdecimal():
            return missing
        pixels = np.random.default_rng(int(number)).integers(0, 255, (12, 12, 3), dtype=np.uint8)
        file = BytesIO()
        Image.fromarray(pixels).resize((self.side_px, self.side_px)).save(file, "JPEG")
        return Answer(file.getvalue(), headers={"ETag": f'"{number}"'} if int(number) % 8 == 0 else {})


@dataclass
class Fetched:
    """One run of the command. `requests` and `bodies` as the CDN counted them; `peak_mib` of all its processes."""

    status: int
    seconds: float
    requests: int
    bodies: int
    peak_mib: float
    said: dict[str, Any] = field(default_factory=dict)


def name_pictures(url: str, products: int, pictures: int) -> int:
    """A catalog whose products name pictures; how many of these are not public."""
    store = open_store(url)
    store.upgrade()
    allow_shop(store)
    bad = 0
    patches = []
    for number in range(products):
        urls = [f"https://cdn{number % 4}.example.com/{number * pictures + each}.jpg" for each in range(pictures)]
        if number % 50 == 7:
            urls[-1] = _NOT_PUBLIC[bad % len(_NOT_PUBLIC)] + f"?{number}"
            bad += 1
        patches.append(patch(f"s{number}", image_urls=tuple(urls)))
    bulk.in_batches(lambda work: store.edit("feed", work), patches, source="feed")
    store.close()
    return bad


def fetch(cdn: Cdn, url: str, folder: Path, kill_when: Callable[[], bool] = lambda: False) -> Fetched:
    """Run the command to its end, or kill it."""
    arguments = ("catalog", "fetch-photos", "--url", url, "--folder", str(folder / "catalog"), "--json")
    program, environment = command(cdn, *arguments)
    asked, bodies, began_s, peak = len(cdn.asked), cdn.bodies, time.monotonic(), 0
    with (folder / "stdout").open("w+b") as out, (folder / "log").open("ab") as log:
        process = subprocess.Popen(program, cwd=ROOT, env=environment, stdout=out, stderr=log)
        try:
            for tick in count():
                if process.poll() is not None:
                    break
                if tick % 20 == 0:
                    peak = max(peak, _memory_bytes(process.pid))
                if kill_when():
                    process.send_signal(signal.SIGKILL)
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()
        out.seek(0)
        said = out.read()
    seconds = time.monotonic() - began_s
    status = process.returncode
    return Fetched(
        status,
        round(seconds, 1),
        len(cdn.asked) - asked,
        cdn.bodies - bodies,
        round(peak / _MIB, 1),
        json.loads(said) if said.startswith(b"{") else {},
    )


def measure(products: int, pictures: int, side_px: int, folder: Path) -> dict[str, Any]:
    url = f"sqlite:///{folder / 'catalog.db'}"
    bad = name_pictures(url, products, pictures)
    cdn = Cdn(folder)
    cdn.answers = Pictures(side_px)
    engine = create_engine(url)
    try:
        half = products * pictures // 2
        killed = fetch(cdn, url, folder, lambda: cdn.bodies >= half)
        left_over = _make_due(engine, ImageFetchRow.state == "pending")
        resumed = fetch(cdn, url, folder)
        # A day later.
        asked_again = _make_due(engine, ImageFetchRow.state == "in")
        again = fetch(cdn, url, folder)
        with engine.connect() as connection:
            states = dict(
                connection.execute(select(ImageFetchRow.state, func.count()).group_by(ImageFetchRow.state)).all()
            )
            photos = select(func.count(), func.count(PhotoRow.digest.distinct()), func.sum(PhotoRow.size_bytes))
            rows, digests, size_bytes = connection.execute(photos).one()
    finally:
        engine.dispose()
        cdn.close()
    blobs = [path for path in (folder / "catalog" / "photos").rglob("*") if path.is_file()]
    return {
        "named": products * pictures,
        "not_public": bad,
        "killed": vars(killed),
        "pending_after_the_kill": left_over,
        "resumed": vars(resumed),
        "with_etag": asked_again,
        "again": vars(again),
        "states": states,
        "photos": {"rows": rows, "digests": digests, "mib": round(size_bytes / _MIB, 1)},
        "blobs": {"whole": sum(path.suffix == ".jpg" for path in blobs), "files": len(blobs)},
        "hosts_asked": sorted({host for host, *_ in cdn.asked}),
    }


def _memory_bytes(pid: int) -> int:
    """Of a process and what it started, shared pages counted once."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:
        return total
    return total


def _make_due(engine: Any, which: Any) -> int:
    """As if the time of the next try had come; of how many pictures."""
    with engine.begin() as connection:
        due = update(ImageFetchRow).where(which, ImageFetchRow.next_try_at_s.is_not(None)).values(next_try_at_s=0.0)
        return int(connection.execute(due).rowcount)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=5000)
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--side-px", type=int, default=800)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options.products, options.pictures, options.side_px, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
