"""Changes become snapshots: whole, few, the old one stays when a build fails; price and stock go beside."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

from contract.offers import NO_OFFERS, ProductOffer
from follow.offers import OffersFollower
from livecart.core.errors import SettingsError
from livecart.shop.database.session import context_of
from livecart.shop.database.store import open_store
from livecart.shop.errors import PublishError
from livecart.shop.publish.builder import BuildCommand
from livecart.shop.publish.publisher import Publisher
from livecart.shop.publish.snapshot_folder import SnapshotFolder
from livecart.shop.repositories import photos, products
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.schemas.product import ProductPatch
from tests.crash_points import killed_before_a_write
from tests.shop.catalog_stores import add, patch
from tests.shop.photo_files import photo

BUILDER = Path(__file__).with_name("snapshot_builder.py")
ROOT = Path(__file__).resolve().parents[2]


def command(mode="", **options):
    return BuildCommand([sys.executable, str(BUILDER), "{folder}", "{output}", mode], **options)


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


class PlainBuilder:
    """Writes the skus of catalog.json, in this process."""

    def warm_up(self):
        pass

    def run(self, catalog, output, *, stop):
        products = json.loads((catalog / "catalog.json").read_text())["products"]
        output.write_text(json.dumps({"skus": [each["sku"] for each in products], "photos": []}))

    def close(self):
        pass


class Shop:
    def __init__(self, store, tmp_path):
        self.store = store
        self.blobs = BlobFolder(tmp_path / "blobs")
        self.folder = SnapshotFolder(tmp_path / "snapshots")
        self.publishers = []

    def publisher(self, mode="", **options):
        options = {"debounce_s": 0.05, "patience_s": 0.1, "poll_s": 0.05, **options}
        built = options.pop("command", None) or (command(mode) if mode else PlainBuilder())
        self.publishers.append(Publisher(self.store, self.blobs, self.folder, built, **options))
        return self.publishers[-1]

    def create(self, sku, *seeds):
        with self.store.write("alice") as session:
            products.create(session, patch(sku))
            for seed in seeds:
                photos.add(session, self.blobs, sku, photo(seed))

    def change(self, sku, **values):
        with self.store.write("alice") as session:
            products.update(session, ProductPatch(sku=sku, **values), expected_version=None)

    def content(self):
        published = self.folder.current()
        return json.loads(self.folder.path(published).read_text()) if published else None


@pytest.fixture
def shop(sqlite_store, tmp_path):
    opened = Shop(sqlite_store, tmp_path)
    yield opened
    for publisher in opened.publishers:
        assert publisher.stop()


def test_a_change_is_published_and_only_new_photos_are_embedded(shop):
    shop.create("1", 1, 2)
    publisher = shop.publisher(command=command())
    first = publisher.publish_once()
    assert shop.content() == {"skus": ["1"], "photos": shop.content()["photos"], "embedded": 2}
    data = shop.folder.path(first).read_bytes()
    assert (first.version, first.products, first.size_bytes) == (1, 1, len(data))
    assert first.digest == hashlib.sha256(data).hexdigest()
    assert first.etag == f'"{first.digest[:32]}"'
    assert (shop.folder.folder / "catalog.snapshot").read_bytes() == data
    shop.create("2", 2, 3)
    second = publisher.publish_once()
    assert (shop.content()["skus"], shop.content()["embedded"]) == (["1", "2"], 1)
    assert (second.version, second.etag == first.etag) == (2, False)
    assert shop.folder.path(first).read_bytes() == data


def test_what_does_not_show_is_not_published(shop):
    shop.create("1")
    publisher = shop.publisher()
    assert publisher.publish_once()
    assert publisher.publish_once() is None
    shop.change("1", stock=5)
    assert publisher.publish_once() is None
    shop.change("1", stock=0, price=Decimal("9.90"), currency="CNY")
    assert publisher.publish_once() is None
    shop.change("1", name="新名字")
    assert publisher.publish_once().version == 2
    publisher.request()
    assert publisher.publish_once().version == 3


def edited(shop, name):
    shop.change("1", name=name)


def brought(shop, name):
    """As a feed's picture changes a product."""
    with shop.store.write("images") as session:
        context_of(session).change.can_wait = True
        products.update(session, ProductPatch(sku="1", name=name), expected_version=None)


def written_elsewhere(shop, name):
    """By another process: nobody here is told."""
    other = open_store(str(shop.store.engine.url))
    with other.write("other") as session:
        products.update(session, ProductPatch(sku="1", name=name), expected_version=None)
    other.close()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([(10.0, edited)], [10.3]),
        ([(10.0 + number / 5, edited) for number in range(20)], [12.0, 14.1]),
        ([(10.0, brought), (10.7, brought)], [13.0]),
        ([(10.0 + number, brought) for number in range(150)], [70.0, 131.0, 161.0]),
        ([*((10.0 + number, brought) for number in range(30)), (39.5, edited)], [39.8]),
        ([(10.5, written_elsewhere), (11.5, written_elsewhere)], [14.0]),
        ([(10.5 + number, written_elsewhere) for number in range(70)], [71.0, 82.0]),
    ],
)
def test_changes_that_keep_coming_make_few_builds(shop, changes, expected):
    shop.create("1")
    now_s, built_at_s = [0.0], []
    publisher = shop.publisher(debounce_s=0.3, patience_s=2.0, poll_s=1.0, monotonic_s=lambda: now_s[0])
    unsubscribe = shop.store.on_change(publisher._on_change)
    schedule = publisher.schedule()
    for number, (at_s, change) in enumerate([*changes, (300.0, edited)]):
        while now_s[0] < at_s:
            before = publisher.stats.published
            wait_s = schedule.step()
            built_at_s += [round(now_s[0], 1)] * (publisher.stats.published - before)
            # What is heard wakes the loop of the thread; here the next step comes when it is due.
            now_s[0] = min(at_s, now_s[0] + wait_s)
        change(shop, f"{number}")
    unsubscribe()
    assert built_at_s == [0.0, *expected]


@pytest.mark.parametrize(("mode", "told"), [("fail", "status 1.*product 3"), ("nothing", "wrote nothing")])
def test_a_failed_build_leaves_the_old_snapshot(shop, mode, told):
    shop.create("1")
    first = shop.publisher().publish_once()
    before = shop.content()
    shop.create("2")
    with pytest.raises(PublishError, match=told):
        shop.publisher(mode).publish_once()
    assert (shop.folder.current(), shop.content()) == (first, before)
    assert list(shop.folder.folder.glob("build-*")) == []
    assert shop.publisher().publish_once().version == 2


def test_a_build_that_takes_too_long_or_cannot_start_is_told(shop):
    with pytest.raises(PublishError, match=r"more than 0.5 s"):
        shop.publisher(command=command("hang", limit_s=0.5)).publish_once()
    assert shop.content() is None
    with pytest.raises(PublishError, match="cannot be started"):
        shop.publisher(command=BuildCommand(["/nowhere/at/all", "{folder}", "{output}"])).publish_once()
    with pytest.raises(SettingsError, match="must name"):
        BuildCommand(["true"])


def test_stopping_kills_a_build_that_runs(shop):
    publisher = shop.publisher("hang")
    publisher.start()
    wait_for(lambda: list(shop.folder.folder.glob("build-*/*.snapshot")))
    started = time.monotonic()
    assert publisher.stop()
    assert time.monotonic() - started < 9
    assert shop.content() is None


def test_failures_are_counted_and_tried_again_until_they_end(shop, monkeypatch):
    works, run = threading.Event(), PlainBuilder.run

    def flaky(*given, **options):
        if not works.is_set():
            raise PublishError("build_failed", cause="not yet")
        run(*given, **options)

    monkeypatch.setattr(PlainBuilder, "run", flaky)
    publisher = shop.publisher()
    publisher.start()
    wait_for(lambda: publisher.stats.failures >= 1)
    assert "not yet" in publisher.stats.last_error
    works.set()
    shop.create("1")
    wait_for(lambda: shop.content() and shop.content()["skus"] == ["1"])
    wait_for(lambda: publisher.stats.last_error is None)


def test_of_two_publishers_one_works_and_the_other_takes_over(shop):
    first, second = shop.publisher(), shop.publisher()
    first.start()
    wait_for(lambda: first.stats.published == 1)
    second.start()
    shop.create("1")
    wait_for(lambda: shop.content()["skus"] == ["1"])
    assert second.stats.published == 0
    assert first.stop()
    shop.create("2")
    wait_for(lambda: shop.content()["skus"] == ["1", "2"])
    wait_for(lambda: second.stats.published == 1)


def test_a_reader_never_sees_half_a_snapshot(shop):
    publisher = shop.publisher()
    publisher.publish_once()
    stop, faults, seen = threading.Event(), [], set()

    def read():
        while not stop.is_set():
            published = shop.folder.current()
            data = shop.folder.path(published).read_bytes()
            followed = (shop.folder.folder / "catalog.snapshot").read_bytes()
            json.loads(followed)
            seen.add(published.version)
            if hashlib.sha256(data).hexdigest() != published.digest:
                faults.append(published.version)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(8):
        shop.create(f"{number}")
        publisher.publish_once()
    stop.set()
    reader.join()
    assert faults == []
    assert len(seen) > 2
    assert len(list(shop.folder.folder.glob("catalog-*.snapshot"))) == 3


def publish_once(url, folder):
    """What the next test kills."""
    Shop(open_store(url), Path(folder)).publisher().publish_once()


def test_a_publisher_killed_before_any_of_its_writes_leaves_a_whole_snapshot(shop, tmp_path):
    shop.create("1", 1)
    versions, number, ended = set(), 0, False
    arguments = ("tests.shop.test_publish:publish_once", shop.store.engine.url, tmp_path)
    with killed_before_a_write(tmp_path, *arguments) as publish:
        while not ended:
            number += 1
            ended = publish(number)
            published = shop.folder.current()
            if published:
                versions.add(published.version)
                assert hashlib.sha256(shop.folder.path(published).read_bytes()).hexdigest() == published.digest
                assert shop.content()["skus"][0] == "1"
            shop.create(f"after-{number}")
    assert number > 10
    assert len(versions) >= 2
    shop.publisher().publish_once()
    assert len(shop.content()["skus"]) == 1 + number
    assert list(shop.folder.folder.glob("build-*")) == []


class Archive:
    """Follows the folder of a shop as the archive does."""

    def __init__(self, shop, tmp_path):
        self.offers = NO_OFFERS
        self.follower = OffersFollower(
            str(shop.folder.folder / "catalog.snapshot"),
            cache_folder=tmp_path / "cache",
            on_offers=self._take,
            on_event=lambda outcome, message: None,
            poll_s=0.05,
        )
        self.follower.start()

    def _take(self, offers):
        self.offers = offers

    def knows(self, sku, *offer):
        return self.offers.products.get(sku) == ProductOffer(*offer)


@pytest.fixture
def priced(shop):
    add(shop.store, patch("1", price=Decimal("12.90"), currency="CNY", stock=3), patch("2"))
    return shop


@pytest.fixture
def archive(priced, tmp_path):
    opened = Archive(priced, tmp_path)
    yield opened
    opened.follower.close()


def written(priced):
    return json.loads(priced.folder.offers.read_bytes())


def test_an_edit_of_price_or_stock_reaches_the_archive_and_builds_nothing(priced, archive):
    publisher = priced.publisher()
    publisher.start()
    wait_for(lambda: archive.knows("1", "12.90", "CNY", False) and publisher.stats.published == 1)
    assert archive.knows("2", None, None, False)
    priced.change("1", price=Decimal("9.90"))
    wait_for(lambda: archive.knows("1", "9.90", "CNY", False), 3)
    priced.change("1", stock=0)
    wait_for(lambda: archive.knows("1", "9.90", "CNY", True), 3)
    priced.change("1", stock=5, on_sale=False)
    priced.change("2", on_sale=False)
    wait_for(lambda: archive.knows("2", None, None, True), 3)
    assert archive.knows("1", "9.90", "CNY", True)
    assert (publisher.stats.published, priced.folder.current().version) == (1, 1)


def test_a_build_that_runs_holds_no_price_up(priced, archive):
    publisher = priced.publisher("hang")
    publisher.start()
    wait_for(lambda: list(priced.folder.folder.glob("build-*/*.snapshot")))
    priced.change("1", price=Decimal("1.00"))
    wait_for(lambda: archive.knows("1", "1.00", "CNY", False), 3)
    assert priced.folder.current() is None


def test_they_are_written_when_they_differ_and_not_else(priced):
    publisher = priced.publisher()
    assert publisher.publish_offers_once()
    first = priced.folder.offers.stat()
    priced.change("1", stock=2, threshold=None)
    assert not publisher.publish_offers_once()
    assert not priced.publisher().publish_offers_once()
    assert priced.folder.offers.stat().st_mtime_ns == first.st_mtime_ns
    priced.change("1", stock=None, price=Decimal("12.9"))
    assert publisher.publish_offers_once()
    assert written(priced)["products"] == {"1": ["12.9", "CNY", False, False], "2": [None, None, False, False]}
    for damaged in (b"", b"{", b"[1]"):
        priced.folder.offers.write_bytes(damaged)
        assert priced.publisher().publish_offers_once()
    priced.folder.offers.unlink()
    assert publisher.publish_offers_once()


def test_what_another_process_changed_is_found_by_its_revision(priced):
    publisher = priced.publisher()
    publisher.start()
    wait_for(priced.folder.offers.exists)
    code = (
        "import sys; from decimal import Decimal; from livecart.shop.database.store import open_store\n"
        "from livecart.shop.repositories import products; from livecart.shop.schemas.product import ProductPatch\n"
        "with open_store(sys.argv[1]).write('other') as session:\n"
        "    products.update(session, ProductPatch(sku='1', price=Decimal('5'), name='新名字'), expected_version=None)"
    )
    subprocess.run([sys.executable, "-c", code, str(priced.store.engine.url)], cwd=ROOT, check=True)
    wait_for(lambda: written(priced)["products"]["1"][0] == "5")
    wait_for(lambda: priced.folder.current().version == 2)


def test_a_disk_that_is_full_is_told_and_tried_again(priced, monkeypatch):
    real, full = priced.folder.publish_offers, [True]

    def publish(*given):
        if full:
            raise OSError(28, "No space left on device")
        real(*given)

    monkeypatch.setattr(priced.folder, "publish_offers", publish)
    publisher = priced.publisher()
    publisher.start()
    wait_for(lambda: publisher.stats.offers_error)
    assert "No space left" in publisher.stats.offers_error
    full.clear()
    wait_for(lambda: publisher.stats.offers_error is None)
    assert priced.folder.offers.exists()
