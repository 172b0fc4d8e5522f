"""A snapshot is swapped under a running server: seen by every worker, whole, and only if it is sound."""

import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
import requests
from PIL import Image

import torchserve_control as control
import torchserve_plan
from recognition.catalog.build import build_snapshot, empty_snapshot, index_arrays
from recognition.catalog.embedding import PhotoFeatures
from recognition.find.views import intersection_over_union
from recognition.product import CatalogProduct
from recognition.snapshot.catalog_folder import Catalog
from recognition.snapshot.read import Snapshot, open_snapshot
from recognition.snapshot.write import SnapshotContents, write_snapshot
from tests.e2e.served_catalog import PATIENCE_S, ServedCatalog
from tests.recognition.drawn_packages import frame, package, shown_in

CLIENTS = 4
COFFEE = CatalogProduct(sku="coffee", name="咖啡", url="https://shop.example.com/item/1", labels=("浓缩咖啡",))
BOX = CatalogProduct(sku="box", name="纸盒", url="https://shop.example.com/item/2", photos=("box.png",))


class KnownPhotos:
    """Embeds nothing: `previous` has every photo, embedded in a process of its own."""

    at_once = 1

    def __init__(self, previous: Snapshot) -> None:
        self.previous = previous
        self.fingerprint, self.dimensions = previous.fingerprint, previous.dimensions

    def embed(self, image: bytes) -> PhotoFeatures:
        raise NotImplementedError


class Shop:
    """The catalog that is published to the server, and what the server finds."""

    def __init__(self, folder: Path, known: Snapshot, server: control.Server, catalog: ServedCatalog) -> None:
        self.catalog = catalog
        self._photos = KnownPhotos(known)
        self._folder = folder
        self._url = f"{server.inference_url}/predictions/{torchserve_plan.MODEL}"

    def contents(self, *products: CatalogProduct) -> SnapshotContents:
        made, _ = build_snapshot(
            Catalog(products),
            self._photos,
            folder=self._folder,
            previous=self._photos.previous,
            extra=lambda contents: index_arrays(contents, None),
        )
        return made

    def publish(self, *products: CatalogProduct) -> str:
        return self.catalog.publish(self.contents(*products))

    def ask(self, session: requests.Session, image: bytes, **headers: str) -> requests.Response:
        headers = {"Content-Type": "image/png", "X-Text": "never", **headers}
        return session.post(self._url, data=image, headers=headers, timeout=60)

    def skus(self, image: bytes, **headers: str) -> list[str]:
        with requests.Session() as session:
            answer = self.ask(session, image, **headers)
        assert answer.status_code == 200, answer.text
        return [product["sku"] for product in answer.json()["products"]]


@pytest.fixture(scope="module")
def shop(
    archive: Path, server: control.Server, catalog: ServedCatalog, tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    folder, known = tmp_path_factory.mktemp("catalog-shop"), tmp_path_factory.mktemp("known") / "known.snapshot"
    package(1, (190, 30, 40)).save(folder / "box.png")
    (folder / "catalog.json").write_text(json.dumps({"schema": 1, "products": [msgspec.to_builtins(BOX)]}))
    catalog.build(archive, folder)
    shutil.copyfile(catalog.path, known)
    return Shop(folder, open_snapshot(known, fingerprint=None), server, catalog)


@pytest.fixture
def photo(coffee: Path) -> bytes:
    return coffee.read_bytes()


class Asked(NamedTuple):
    """One request of the load; ``status`` is 0 where no sound answer came."""

    sent_s: float
    answered_s: float
    status: int
    catalog: str | None


@contextmanager
def load(send: Callable[[requests.Session], requests.Response]) -> Iterator[list[Asked]]:
    """``CLIENTS`` clients at once, and what they saw."""
    seen: list[Asked] = []
    stop = threading.Event()

    def client() -> None:
        with requests.Session() as session:
            while not stop.is_set():
                sent = time.monotonic()
                try:
                    answer = send(session)
                    body: dict[str, Any] = answer.json()
                    catalog = body.get("model", {}).get("catalog")
                    seen.append(Asked(sent, time.monotonic(), answer.status_code, catalog))
                except (requests.RequestException, ValueError):
                    seen.append(Asked(sent, time.monotonic(), 0, None))

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in clients:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in clients:
            thread.join(timeout=60)


def test_a_swapped_snapshot_is_seen_by_every_worker_in_time_and_no_request_fails(shop: Shop, photo: bytes) -> None:
    swaps = [shop.contents(COFFEE, BOX), shop.contents(BOX)]
    published: list[tuple[float, float, str]] = []
    took: list[float] = []
    before = shop.catalog.events("loaded")
    with load(lambda session: shop.ask(session, photo)) as seen:
        time.sleep(1)
        for number, made in enumerate(swaps, 1):
            identity = write_snapshot(shop.catalog.path, made)
            written = time.monotonic()
            # How long it takes is for the machine to say, and is printed; that it arrives everywhere is for this test.
            while (
                shop.catalog.events("loaded") - before < number * shop.catalog.workers
                and time.monotonic() < written + PATIENCE_S
            ):
                time.sleep(0.1)
            took.append(time.monotonic() - written)
            visible = time.monotonic()
            # Every client is done with what it asked before, and has asked anew.
            while len([each for each in seen if each.sent_s >= visible]) < 2 * CLIENTS:
                assert time.monotonic() < visible + PATIENCE_S
                time.sleep(0.1)
            published.append((visible, time.monotonic(), identity))
    assert {asked.status for asked in seen} == {200}
    assert shop.catalog.events("loaded") - before == len(swaps) * shop.catalog.workers
    for since, until, identity in published:
        # One that was sent before the next swap may have waited until after it.
        within = [asked.catalog for asked in seen if since <= asked.sent_s and asked.answered_s < until]
        assert len(within) >= CLIENTS
        assert set(within) == {identity}
    print("seconds until every worker served the new snapshot:", [round(seconds, 1) for seconds in took])
    print(f"{len(seen)} requests during {len(swaps)} swaps")


def test_a_product_that_is_added_sold_out_or_removed_is_so_in_the_replies(shop: Shop, photo: bytes) -> None:
    shop.publish()
    # A catalog of no products leaves the archive's own links.
    assert shop.skus(photo) == ["2001"]
    shop.publish(COFFEE)
    assert shop.skus(photo) == ["coffee"]
    shop.publish(_changed(COFFEE, stock=0))
    assert shop.skus(photo) == []
    shop.publish(_changed(COFFEE, stock=2))
    assert shop.skus(photo) == ["coffee"]
    shop.publish(_changed(COFFEE, sku="other", labels=()))
    assert shop.skus(photo) == []


def test_a_product_is_found_by_its_photo_and_has_a_box(shop: Shop) -> None:
    shop.publish(BOX, COFFEE)
    picture, box = shown_in(frame(), package(1, (190, 30, 40)), at=(330, 450), scale=1.1, turned_deg=10)
    with requests.Session() as session:
        [product] = shop.ask(session, _png(picture)).json()["products"]
    assert (product["sku"], product["evidence"]["text"]) == ("box", None)
    assert intersection_over_union(np.array(product["box"]), np.array([box]))[0] > 0.4
    assert shop.skus(_png(frame(seed=3))) == []


def test_a_room_sees_its_own_products_and_those_for_all(shop: Shop, photo: bytes) -> None:
    shop.publish(_changed(COFFEE, rooms=("9",)), BOX)
    picture, _ = shown_in(frame(), package(1, (190, 30, 40)), at=(330, 450), scale=1.1, turned_deg=10)
    assert [shop.skus(photo, **{"X-Room": room}) for room in ("9", "10")] == [["coffee"], []]
    assert [shop.skus(_png(picture), **{"X-Room": room}) for room in ("9", "10")] == [["box"], ["box"]]
    shop.publish(COFFEE, _changed(BOX, rooms=("9", "11")))
    assert [shop.skus(_png(picture), **{"X-Room": room}) for room in ("9", "10", "11")] == [["box"], [], ["box"]]


@pytest.mark.parametrize("kind", ["damaged", "of another model"])
def test_a_snapshot_that_must_not_be_used_is_refused_and_the_old_one_goes_on(
    shop: Shop, photo: bytes, tmp_path: Path, kind: str
) -> None:
    good = shop.publish(COFFEE)
    before, whole = shop.catalog.events("refused"), bytearray(shop.catalog.path.read_bytes())
    if kind == "damaged":
        whole[-20] ^= 0xFF
    else:
        write_snapshot(tmp_path / "foreign", empty_snapshot("another network", dimensions=8))
        whole = bytearray((tmp_path / "foreign").read_bytes())
    shop.catalog.put(bytes(whole))
    shop.catalog.wait_for("refused", before + shop.catalog.workers)
    with requests.Session() as session:
        for _ in range(2 * shop.catalog.workers):
            body = shop.ask(session, photo).json()
            assert (body["model"]["catalog"], body["products"][0]["sku"]) == (good, "coffee")
    assert shop.catalog.events("refused") == before + shop.catalog.workers
    shop.publish(COFFEE, BOX)


def _changed(product: CatalogProduct, **changes: object) -> CatalogProduct:
    return msgspec.structs.replace(product, **changes)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
