"""A clip, streamed in real time through nginx, watched by `livecart watch`, recognised by a real TorchServe.

Its products came by a feed alone: their photos were fetched, a snapshot was published, the archive follows it.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import pytest
from PIL import Image

import make_clip
import torchserve_control as control
from livecart.cli.clip_score import read_truth
from livecart.core.overlay_position import share_box
from livecart.core.settings import RoomSettings
from livecart.live.decide import DecisionSettings
from livecart.live.gate.settings import GateSettings
from livecart.live.plan import plan_room
from livecart.live.recognise.settings import RecognizerSettings
from livecart.live.video import IngestSettings
from livecart.server.app import open_engine
from livecart.shop.publish.builder import DEFAULT_COMMAND, BuildCommand
from livecart.shop.publish.publisher import Publisher
from livecart.shop.publish.snapshot_folder import SnapshotFolder
from livecart.shop.repositories import hosts, image_fetches
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.sync.http_json import HttpJsonSettings
from livecart.shop.sync.images import ImageFetcher, fetch_all
from livecart.shop.sync.syncer import Syncer
from tests.e2e.served_catalog import ServedCatalog
from tests.live.video.nginx_rtmp import rtmp_server
from tests.shop.catalog_stores import open_upgraded
from tests.shop.feed_server import Answer, FeedServer, as_json
from tests.shop.picture_cdn import Cdn

ROOT = Path(__file__).resolve().parents[2]
DURATION_S = 14
#: Of the clip, before anything is held.
_LEAD_S = 0.8


@dataclass(frozen=True)
class Shop:
    """A clip of drawn products with its truth, and a server that knows their catalog."""

    clip: Path
    truth: Path
    catalog: Path
    url: str


@pytest.fixture(scope="module")
def shop(
    archive: Path, server: control.Server, catalog: ServedCatalog, tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    pytest.importorskip("pylopdf_fonts_zh_cn", reason="drawn packages need its font")
    folder = tmp_path_factory.mktemp("live")
    clip, truth, products = folder / "clip.mp4", folder / "truth.json", folder / "shop"
    asked = ["--out", str(clip), "--truth", str(truth), "--seed", "5", "--duration", str(DURATION_S)]
    drawn = ["--catalog-out", str(products), "--catalog-products", "8", "--shots", "2", "--shows", "2", "--fps", "15"]
    assert make_clip.main([*asked, *drawn, "--keyframe-distance", "1"]) == 0
    catalog.follow(_published(products, archive, folder))
    return Shop(clip, truth, products, server.inference_url)


def _published(products: Path, archive: Path, folder: Path) -> Path:
    """The snapshot of a catalog that reads a feed of `products`, which names their photos by URL."""
    entries = json.loads((products / "catalog.json").read_text(encoding="utf-8"))["products"]
    for entry in entries:
        entry["photos"] = [f"https://cdn.example.com/{name}" for name in entry["photos"]]
    feed, cdn = FeedServer(), Cdn(folder)
    feed.answer = lambda _: as_json(entries)
    cdn.answers = {f"/{path.relative_to(products)}": Answer(path.read_bytes()) for path in products.rglob("*.*")}
    fields = {"sku": "sku", "name": "name", "url": "url", "price": "price", "image_urls": "photos"}
    settings = HttpJsonSettings(name="shop", url=feed.url, fields=fields, constants={"currency": "CNY"})
    store, blobs = open_upgraded(f"sqlite:///{folder}/catalog.db"), BlobFolder(folder / "blobs")
    snapshots = SnapshotFolder(folder / "published")
    try:
        with store.write("setup") as session:
            hosts.allow(session, urlsplit(entries[0]["url"]).netloc)
        assert Syncer(store, settings.source()).sync_once().outcome == "done"
        fetcher = ImageFetcher(store, blobs, connector=cdn.connector)
        asyncio.run(fetch_all(fetcher, lambda _: None))
        assert fetcher.stats.kept + fetcher.stats.held == sum(len(entry["photos"]) for entry in entries)
        # A drawn box has edges as straight as a collage's.
        with store.write("staff") as session:
            for entry in entries:
                images = image_fetches.of_product(session, entry["sku"])
                for digest in {image.digest for image in images if image.state == "held"}:
                    image_fetches.use_held(session, blobs, entry["sku"], str(digest))
        command = BuildCommand((*DEFAULT_COMMAND, "--archive", str(archive)))
        published = Publisher(store, blobs, snapshots, command).publish_once()
    finally:
        store.close()
        feed.close()
        cdn.close()
    assert published is not None
    return snapshots.path(published)


def _wait_for(done: Callable[[], bool], patience_s: float, what: str) -> None:
    give_up_s = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"{what}: not after {patience_s:.0f} s")
        time.sleep(0.1)


class Broadcast(threading.Thread):
    """Sends a clip's packets as they are, each when it is due."""

    def __init__(self, clip: Path, url: str) -> None:
        super().__init__()
        self._clip, self._url = clip, url

    def run(self) -> None:
        with av.open(str(self._clip)) as source, av.open(self._url, "w", format="flv", timeout=10.0) as sent:
            stream = sent.add_stream_from_template(source.streams.video[0])
            began_s = time.monotonic()
            for packet in source.demux(video=0):
                if packet.dts is None:
                    continue
                due_s = began_s + float(packet.dts * packet.time_base)
                time.sleep(max(0.0, due_s - time.monotonic()))
                packet.stream = stream
                sent.mux(packet)


@contextmanager
def watching(shop: Shop, address: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    """`livecart watch`: the process, the file that its events are written to, and its log."""
    events, log = folder / "events.jsonl", folder / "watch.log"
    command = [sys.executable, "-m", "livecart", "watch", address, "--room", "room-1", "--json"]
    command += ["--catalog", str(shop.catalog), "--recognizer", shop.url, "--rate", "2"]
    with events.open("wb") as out, log.open("wb") as err:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
    try:
        yield process, events, log
    finally:
        process.terminate()
        process.wait(20)


def _events(path: Path, kind: str) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    told = [json.loads(line) for line in lines if line.endswith("\n")]
    return [event for event in told if event["event"] == kind]


def _all_withdrawn(path: Path) -> bool:
    cards = {event["card_id"] for event in _events(path, "card")}
    return bool(cards) and cards <= {event["card_id"] for event in _events(path, "withdraw")}


def test_a_streamed_clip_brings_the_right_cards(shop: Shop, tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as url, watching(shop, url, tmp_path) as (watcher, written, log):
        broadcast = Broadcast(shop.clip, url)
        broadcast.start()
        broadcast.join(DURATION_S + 20)
        assert not broadcast.is_alive()
        with suppress(TimeoutError):
            _wait_for(lambda: _all_withdrawn(written), 10, "the last withdrawal")
        assert watcher.poll() is None, log.read_text(encoding="utf-8")

    told = log.read_text(encoding="utf-8")
    assert watcher.returncode == 0, told
    cards = _events(written, "card")
    shown = {show.sku for show in read_truth(shop.truth).shows}
    assert {card["sku"] for card in cards} <= shown, (cards, told)
    assert cards, told
    assert len(cards) == len({card["sku"] for card in cards}), "a card twice in one show"
    assert all(card["emitted_at_s"] >= card["captured_at_s"] for card in cards)
    assert _all_withdrawn(written), told


def test_a_file_brings_all_its_shows(shop: Shop) -> None:
    command = [sys.executable, "-m", "livecart", "evaluate-clip", str(shop.clip), str(shop.truth), "--json"]
    command += ["--recognizer", shop.url, "--rate", "2"]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"precision", "recall", "wrong", "duplicates", "appear_to_card_s", "skipped_share", "calls_per_min"} <= set(
        found
    )
    assert (found["precision"], found["recall"], found["wrong"], found["duplicates"]) == (1.0, 1.0, 0, 0), found


async def test_an_overlays_card_in_the_stream_is_no_product_where_its_place_is_ignored(
    shop: Shop, tmp_path: Path
) -> None:
    """One product is held, another one's card drawn over the picture; two rooms watch, one looks past the card."""
    truth, clip = read_truth(shop.truth), tmp_path / "overlay.mp4"
    held = truth.shows[0]
    in_clip = {each.sku for each in (*truth.shows, *truth.bystanders)}
    products = json.loads((shop.catalog / "catalog.json").read_text(encoding="utf-8"))["products"]
    # The last one's photo stands out from the scene even as small as a card shows it.
    other = [each for each in products if each["sku"] not in in_clip][-1]
    _draw_card(shop.clip, clip, shop.catalog / other["photos"][0], until_s=min(held.from_s + 4, held.to_s))
    cards: dict[str, set[str]] = {"sees": set(), "ignores": set()}
    async with open_engine(RecognizerSettings(base_url=shop.url, timeout_s=20.0)) as engine:
        engine.outbox.listen(lambda event: cards[event.room].add(event.sku))
        running = []
        for name, regions in (("sees", ()), ("ignores", ("upper-right",))):
            room = RoomSettings(id=name, source=str(clip), rate_hz=2, ignore_regions=regions)
            decision = DecisionSettings(max_cards=2)
            plan = plan_room(room, ingest=IngestSettings(), gate=GateSettings(), decision=decision)
            running.append(await engine.rooms.put(plan))
        await asyncio.wait_for(asyncio.gather(*(runner.finished.wait() for runner in running)), 120)
        await engine.outbox.flush(5)
    assert cards == {"sees": {held.sku, other["sku"]}, "ignores": {held.sku}}


def _draw_card(clip: Path, to: Path, photo: Path, *, until_s: float) -> None:
    """The clip's beginning with a white card and the photo on it, where the overlay at the upper right has its own.

    What comes before the show is played forth, back and forth again: long enough for two looks at the card alone.
    """
    with av.open(str(clip)) as source, av.open(str(to), "w") as made, Image.open(photo) as opened:
        video = source.streams.video[0]
        stream = made.add_stream("libx264", rate=video.average_rate, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        size = video.width, video.height
        box = share_box("upper-right", *size)
        x1, y1, x2, y2 = (round(share * side) for share, side in zip(box, size * 2, strict=True))
        side_px = y2 - y1 - 8
        picture = opened.convert("RGB").resize((round(side_px * opened.width / opened.height), side_px))
        frames = list(takewhile(lambda frame: frame.time <= until_s, source.decode(video)))
        lead = [frame for frame in frames if frame.time < _LEAD_S]
        for frame in [*lead, *reversed(lead), *frames]:
            image = frame.to_image()
            image.paste((255, 255, 255), (x1, y1, x2, y2))
            image.paste(picture, (x1 + 4, y1 + 4))
            made.mux(stream.encode(av.VideoFrame.from_image(image)))
        made.mux(stream.encode(None))
