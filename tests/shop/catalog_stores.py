"""Databases for the catalog's tests: a SQLite file, and a MySQL database of the run's own."""

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql
import pytest

from livecart.shop.database.store import Store, open_store
from livecart.shop.repositories import hosts, photo_check, products
from livecart.shop.schemas.product import Product, ProductPatch

MYSQL_HOST, MYSQL_PORT = "127.0.0.1", 3306
REDIS_URL = "redis://127.0.0.1:6379/10"
SHOP = "shop.example.com"


def missing(reason: str) -> None:
    """Skip, or fail where the run asked for the servers."""
    if os.environ.get("LIVECART_TEST_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def mysql_database() -> Iterator[str]:
    """The URL of a new, empty database; dropped afterwards."""
    try:
        server = pymysql.connect(host=MYSQL_HOST, port=MYSQL_PORT, user="root", connect_timeout=2, autocommit=True)
    except (pymysql.Error, OSError) as error:
        missing(f"no MySQL for root at {MYSQL_HOST}:{MYSQL_PORT}: {error}")
    name = f"livecart_test_{uuid.uuid4().hex[:12]}"
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield f"mysql+pymysql://root@{MYSQL_HOST}:{MYSQL_PORT}/{name}"
        finally:
            cursor.execute(f"DROP DATABASE {name}")


def empty_tables(store: Store) -> None:
    """Back to what `upgrade` made."""
    from livecart.shop.models.base import Base

    with store.engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            if table.name != "catalog_revision":
                connection.execute(table.delete())


def link(sku: str, host: str = SHOP) -> str:
    return f"https://{host}/item/{sku}"


def patch(sku: str = "1001", **values) -> ProductPatch:
    return ProductPatch(sku=sku, **{"name": f"好欢螺螺蛳粉 {sku}", "url": link(sku), **values})


def add(store: Store, *patches: ProductPatch) -> None:
    with store.write("setup") as session:
        for each in patches:
            products.create(session, each)


def change(store: Store, sku: str, **values) -> Product:
    with store.write("bob") as session:
        return products.update(session, ProductPatch(sku=sku, **values), expected_version=None)


def get(store: Store, sku: str) -> Product:
    with store.read() as session:
        return products.get(session, sku)


def allow_shop(store: Store) -> None:
    with store.write("setup") as session:
        hosts.allow(session, SHOP)


def others_write_while_decoding(store: Store, monkeypatch) -> list[bool]:
    """Has somebody else write (SQLite) whenever a photo would be decoded; the list grows by each time."""
    decoded = []

    def decode(*_args, **_options):
        connection = sqlite3.connect(store.engine.url.database, timeout=0.1)
        connection.execute("BEGIN IMMEDIATE")
        connection.close()
        decoded.append(True)
        return {"problem": "", "width_px": 64, "height_px": 64, "jpeg": b"", "layout": ""}

    monkeypatch.setattr(photo_check, "run_untrusted", decode)
    return decoded


def open_upgraded(url: str, **options) -> Store:
    store = open_store(url, **options)
    store.upgrade()
    return store
