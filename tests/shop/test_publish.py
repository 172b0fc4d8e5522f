"""Changes become snapshots: whole, one for many changes, and the old one stays when a build fails."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

from livecart.core.errors import SettingsError
from livecart.shop.database.store import open_store
from livecart.shop.errors import PublishError
from livecart.shop.publish.builder import BuildCommand
from livecart.shop.publish.publisher import Publisher
from livecart.shop.publish.snapshot_folder import SnapshotFolder
from livecart.shop.repositories import photos, products
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.schemas.product import ProductPatch
from tests.crash_points import killed_before_a_write
from tests.shop.catalog_stores import patch
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


class Shop:
    def __init__(self, store, tmp_path):
        self.store = store
        self.blobs = BlobFolder(tmp_path / "blobs")
        self.folder = SnapshotFolder(tmp_path / "snapshots")
        self.publishers = []

    def publisher(self, mode="", **options):
        options = {"debounce_s": 0.05, "poll_s": 0.05, **options}
        built = options.pop("command", None) or command(mode)
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
    publisher = shop.publisher()
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


def test_a_change_of_a_running_shop_is_published_by_itself(shop):
    publisher = shop.publisher()
    publisher.start()
    wait_for(lambda: shop.content() is not None)
    shop.create("1")
    wait_for(lambda: shop.content()["skus"] == ["1"])
    assert publisher.stats.last_error is None


def test_a_change_by_another_process_is_found_by_its_revision(shop):
    publisher = shop.publisher()
    publisher.start()
    wait_for(lambda: shop.content() is not None)
    code = (
        "import sys; from livecart.shop.database.store import open_store\n"
        "from livecart.shop.repositories import products; from tests.shop.catalog_stores import patch\n"
        "with open_store(sys.argv[1]).write('other') as session: products.create(session, patch('other'))"
    )
    subprocess.run([sys.executable, "-c", code, str(shop.store.engine.url)], cwd=ROOT, check=True)
    wait_for(lambda: shop.content()["skus"] == ["other"])


def test_many_changes_make_few_builds(shop):
    publisher = shop.publisher(debounce_s=0.3)
    publisher.start()
    wait_for(lambda: publisher.stats.published == 1)
    for number in range(20):
        shop.create(f"{number:02}")
    wait_for(lambda: len(shop.content()["skus"]) == 20)
    assert publisher.stats.published <= 3


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


def test_a_build_that_takes_too_long_is_killed(shop):
    with pytest.raises(PublishError, match=r"more than 0.5 s"):
        shop.publisher(command=command("hang", limit_s=0.5)).publish_once()
    assert shop.content() is None


def test_a_build_that_cannot_start_is_told(shop):
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


def test_failures_are_counted_and_tried_again_until_they_end(shop, tmp_path):
    flag = tmp_path / "works"
    script = tmp_path / "flaky.py"
    script.write_text(
        f"import runpy, sys, pathlib\nif not pathlib.Path({str(flag)!r}).exists(): sys.exit('not yet')\n"
        f"sys.argv = ['b', *sys.argv[1:]]\nrunpy.run_path({str(BUILDER)!r}, run_name='__main__')\n"
    )
    publisher = shop.publisher(command=BuildCommand([sys.executable, str(script), "{folder}", "{output}"]))
    publisher.start()
    wait_for(lambda: publisher.stats.failures >= 1)
    assert "not yet" in publisher.stats.last_error
    flag.touch()
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


class PlainBuilder:
    """Writes the skus of catalog.json, in this process."""

    def run(self, catalog, output, *, stop):
        products = json.loads((catalog / "catalog.json").read_text())["products"]
        output.write_text(json.dumps({"skus": [each["sku"] for each in products]}))

    def close(self):
        pass


def publish_once(url, folder):
    """What the next test kills."""
    Shop(open_store(url), Path(folder)).publisher(command=PlainBuilder()).publish_once()


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
    shop.publisher(command=PlainBuilder()).publish_once()
    assert len(shop.content()["skus"]) == 1 + number
    assert list(shop.folder.folder.glob("build-*")) == []


def test_the_projects_own_builder_makes_a_snapshot_of_it(shop, archive):
    shop.create("1", 1)
    built = BuildCommand(
        [
            sys.executable,
            str(ROOT / "scripts" / "build_catalog.py"),
            "{folder}",
            "--output",
            "{output}",
            "--archive",
            str(archive),
            "--json",
        ]
    )
    publisher = shop.publisher(command=built)
    first = publisher.publish_once()
    assert first.products == 1
    assert first.size_bytes > 1000
    shop.create("2", 2)
    assert publisher.publish_once().version == 2
    assert shop.folder.doubts() is not None
