"""Every database there is: the store's suite holds for each."""

from __future__ import annotations

import pytest

from livecart.catalog.database.store import Store
from tests.catalog.catalog_stores import allow_shop, empty_tables, mysql_database, open_upgraded

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


@pytest.fixture(params=DATABASES)
def store_url(request, tmp_path) -> str:
    """An upgraded, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.db'}"
    return request.getfixturevalue("_mysql_url")


@pytest.fixture
def store(store_url, clock):
    """A store with nothing but shop.example.com as an allowed host."""
    opened = open_upgraded(store_url, now_s=clock)
    empty_tables(opened)
    allow_shop(opened)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path, clock) -> Store:
    """For what does not depend on the database."""
    opened = open_upgraded(f"sqlite:///{tmp_path / 'catalog.db'}", now_s=clock)
    allow_shop(opened)
    yield opened
    opened.close()
