"""Every database there is: the store's suite holds for each."""

import shutil
from collections.abc import Iterator
from decimal import Decimal

import pytest

from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.database.store import Store, open_store
from livecart.shop.errors import StoreUnavailable
from livecart.shop.repositories import products
from tests.shop.admin_pages import Pages, pages
from tests.shop.api_clients import service_of
from tests.shop.availability_caches import MAX_AGE_S, Switch
from tests.shop.catalog_stores import add, allow_shop, empty_tables, mysql_database, open_upgraded, patch

DATABASES = ["sqlite", pytest.param("mysql", marks=pytest.mark.services)]


class Clock:
    """UNIX time that a test sets."""

    def __init__(self, at_s: float = 1_760_000_000.0) -> None:
        self.at_s = at_s

    def __call__(self) -> float:
        return self.at_s

    def pass_s(self, seconds: float) -> None:
        self.at_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def _mysql_url():
    with mysql_database() as url:
        open_upgraded(url).close()
        yield url


@pytest.fixture(scope="session")
def _sqlite_file(tmp_path_factory):
    """An upgraded, empty database to copy: making its tables takes the disk a second."""
    path = tmp_path_factory.mktemp("upgraded") / "catalog.db"
    open_upgraded(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_url(_sqlite_file, tmp_path) -> str:
    """An upgraded, empty SQLite file of the test's own."""
    return f"sqlite:///{shutil.copy(_sqlite_file, tmp_path / 'catalog.db')}"


@pytest.fixture(params=DATABASES)
def store_url(request) -> str:
    """An upgraded, empty database."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url")
    return request.getfixturevalue("_mysql_url")


@pytest.fixture
def store(store_url, clock):
    """A store with nothing but shop.example.com as an allowed host."""
    opened = open_store(store_url, now_s=clock)
    empty_tables(opened)
    allow_shop(opened)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(sqlite_url, clock) -> Store:
    """For what does not depend on the database."""
    opened = open_store(sqlite_url, now_s=clock)
    allow_shop(opened)
    yield opened
    opened.close()


@pytest.fixture
def service(store, tmp_path):
    """The catalog over the store, as the API has it."""
    made = service_of(store, tmp_path / "files")
    yield made
    made.cache.close()


@pytest.fixture
def shop(sqlite_store) -> Store:
    """A store with three of product 1001."""
    add(sqlite_store, patch("1001", price=Decimal("12.90"), currency="CNY", stock=3))
    return sqlite_store


@pytest.fixture
def database(shop) -> Switch:
    """The same, which a test can take away."""
    return Switch(shop, StoreUnavailable("store_silent", cause="gone"))


@pytest.fixture
def cache(database, entries, clock):
    """A cache over it; `entries` is each module's own."""
    opened = AvailabilityCache(database, entries, max_age_s=MAX_AGE_S, now_s=clock, monotonic_s=clock)
    yield opened
    opened.close()


@pytest.fixture
def fresh_site(sqlite_url, tmp_path) -> Iterator[Pages]:
    """The staff's pages with nothing in them, for one test."""
    with pages(tmp_path, url=sqlite_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def site(_sqlite_file, tmp_path_factory) -> Iterator[Pages]:
    """The staff's pages with two products, for what changes nothing."""
    folder = tmp_path_factory.mktemp("admin")
    with pages(folder, url=f"sqlite:///{shutil.copy(_sqlite_file, folder / 'catalog.db')}") as opened:
        with opened.service.store.write("setup") as session:
            for sku in ("1001", "1002"):
                products.create(session, patch(sku))
        yield opened
