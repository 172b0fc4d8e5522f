"""Price and stock reach the archive in a file beside the snapshot: within a second, and without a build."""

import json
import subprocess
import sys
from decimal import Decimal

import pytest

from contract.offers import NO_OFFERS, ProductOffer
from follow.offers import OffersFollower
from livecart.shop.repositories import products
from tests.shop.catalog_stores import patch
from tests.shop.test_publish import ROOT, Shop, wait_for


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
def shop(sqlite_store, tmp_path):
    opened = Shop(sqlite_store, tmp_path)
    with opened.store.write("alice") as session:
        products.create(session, patch("1", price=Decimal("12.90"), currency="CNY", stock=3))
        products.create(session, patch("2"))
    yield opened
    for publisher in opened.publishers:
        assert publisher.stop()


@pytest.fixture
def archive(shop, tmp_path):
    opened = Archive(shop, tmp_path)
    yield opened
    opened.follower.close()


def written(shop):
    return json.loads(shop.folder.offers.read_bytes())


def test_an_edit_of_price_or_stock_reaches_the_archive_and_builds_nothing(shop, archive):
    publisher = shop.publisher()
    publisher.start()
    wait_for(lambda: archive.knows("1", "12.90", "CNY", False) and publisher.stats.published == 1)
    assert archive.knows("2", None, None, False)
    shop.change("1", price=Decimal("9.90"))
    wait_for(lambda: archive.knows("1", "9.90", "CNY", False), 3)
    shop.change("1", stock=0)
    wait_for(lambda: archive.knows("1", "9.90", "CNY", True), 3)
    shop.change("1", stock=5, on_sale=False)
    shop.change("2", on_sale=False)
    wait_for(lambda: archive.knows("2", None, None, True), 3)
    assert archive.knows("1", "9.90", "CNY", True)
    assert (publisher.stats.published, shop.folder.current().version) == (1, 1)


def test_an_edit_of_a_name_or_a_photo_is_published_as_a_snapshot(shop):
    publisher = shop.publisher()
    publisher.start()
    wait_for(lambda: publisher.stats.published == 1)
    shop.change("1", name="新名字")
    wait_for(lambda: shop.folder.current().version == 2)
    shop.create("3", 1)
    wait_for(lambda: shop.content()["skus"] == ["1", "2", "3"] and "3" in written(shop)["products"])


def test_a_build_that_runs_holds_no_price_up(shop, archive):
    publisher = shop.publisher("hang")
    publisher.start()
    wait_for(lambda: list(shop.folder.folder.glob("build-*/*.snapshot")))
    shop.change("1", price=Decimal("1.00"))
    wait_for(lambda: archive.knows("1", "1.00", "CNY", False), 3)
    assert shop.folder.current() is None


def test_they_are_written_when_they_differ_and_not_else(shop):
    publisher = shop.publisher()
    assert publisher.publish_offers_once()
    first = shop.folder.offers.stat()
    shop.change("1", stock=2, threshold=None)
    assert not publisher.publish_offers_once()
    assert not shop.publisher().publish_offers_once()
    assert shop.folder.offers.stat().st_mtime_ns == first.st_mtime_ns
    shop.change("1", stock=None, price=Decimal("12.9"))
    assert publisher.publish_offers_once()
    assert written(shop)["products"] == {"1": ["12.9", "CNY", False], "2": [None, None, False]}
    for damaged in (b"", b"{", b"[1]"):
        shop.folder.offers.write_bytes(damaged)
        assert shop.publisher().publish_offers_once()
    shop.folder.offers.unlink()
    assert publisher.publish_offers_once()


def test_a_price_set_by_another_process_is_found_by_its_revision(shop):
    publisher = shop.publisher()
    publisher.start()
    wait_for(shop.folder.offers.exists)
    code = (
        "import sys; from decimal import Decimal; from livecart.shop.database.store import open_store\n"
        "from livecart.shop.repositories import products; from livecart.shop.schemas.product import ProductPatch\n"
        "with open_store(sys.argv[1]).write('other') as session:\n"
        "    products.update(session, ProductPatch(sku='1', price=Decimal('5')), expected_version=None)"
    )
    subprocess.run([sys.executable, "-c", code, str(shop.store.engine.url)], cwd=ROOT, check=True)
    wait_for(lambda: written(shop)["products"]["1"][0] == "5")
    assert shop.folder.current().version == 1


def test_a_disk_that_is_full_is_told_and_tried_again(shop, monkeypatch):
    real, full = shop.folder.publish_offers, [True]

    def publish(*given):
        if full:
            raise OSError(28, "No space left on device")
        real(*given)

    monkeypatch.setattr(shop.folder, "publish_offers", publish)
    publisher = shop.publisher()
    publisher.start()
    wait_for(lambda: publisher.stats.offers_error)
    assert "No space left" in publisher.stats.offers_error
    full.clear()
    wait_for(lambda: publisher.stats.offers_error is None)
    assert shop.folder.offers.exists()
