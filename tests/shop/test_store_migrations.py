"""The migrations make exactly the tables that the code works with, and take them away again."""

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from livecart.core.errors import SettingsError
from livecart.shop.database import engine, migrate
from livecart.shop.database.store import Store, open_store
from livecart.shop.errors import StoreUnavailable
from livecart.shop.models.base import Base
from tests.shop.catalog_stores import mysql_database
from tests.shop.conftest import DATABASES


@pytest.fixture(params=DATABASES)
def bare(request, tmp_path):
    if request.param == "sqlite":
        with closing(open_store(f"sqlite:///{tmp_path / 'new' / 'catalog.db'}")) as store:
            yield store
    else:
        with mysql_database() as url, closing(open_store(url)) as store:
            yield store


def differences(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return compare_metadata(context, Base.metadata)


def test_up_twice_then_down_then_up(bare):
    bare.upgrade()
    assert differences(bare) == []
    bare.upgrade()
    bare.downgrade("base")
    assert set(inspect(bare.engine).get_table_names()) <= {"alembic_version"}
    bare.upgrade()
    assert differences(bare) == []


def test_processes_that_start_together_migrate_once(bare):
    url = bare.engine.url.render_as_string(hide_password=False)
    code = "import sys; from livecart.shop.database.store import open_store; open_store(sys.argv[1]).upgrade()"
    started = [subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.PIPE) for _ in range(2)]
    told = [process.communicate(timeout=120)[1].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    assert differences(bare) == []


def test_a_migration_waits_longer_for_another_writer_than_edits_do(tmp_path):
    """SQLite: another process may be bringing large tables to a new version."""
    impatient = engine.make_engine(f"sqlite:///{tmp_path / 'catalog.db'}", busy_s=0.1)
    with closing(Store(impatient)) as store, ThreadPoolExecutor(1) as pool:
        other = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(store.upgrade)
        time.sleep(0.5)
        assert not waiting.done()
        other.execute("COMMIT")
        other.close()
        waiting.result(30)
        assert differences(store) == []


@pytest.mark.services
def test_who_waits_too_long_for_another_s_migration_says_so(monkeypatch):
    monkeypatch.setattr(migrate, "_LOCK_WAIT_S", 0)
    with mysql_database() as url, closing(open_store(url)) as store:
        with store.engine.connect() as other:
            assert other.execute(text(f"SELECT GET_LOCK({migrate._LOCK}, 0)")).scalar_one() == 1
            with pytest.raises(StoreUnavailable, match="another process"):
                store.upgrade()
            other.execute(text(f"SELECT RELEASE_LOCK({migrate._LOCK})"))
        store.upgrade()
        assert differences(store) == []


#: What was made, or removed, before a migration was interrupted.
@pytest.mark.parametrize(
    ("at", "done"),
    [
        (
            "base",
            "CREATE TABLE audit (id INTEGER PRIMARY KEY, at_s DOUBLE, subject VARCHAR(9), name VARCHAR(9), "
            "`before` TEXT, `after` TEXT)",
        ),
        ("0001", "CREATE INDEX ix_reviews_card_id ON reviews (card_id)"),
        ("0002", "CREATE INDEX ix_products_name ON products (name)"),
    ],
)
def test_a_migration_that_was_interrupted_is_gone_through_again(bare, at, done):
    if at == "base":
        bare.upgrade()
        bare.downgrade("base")
    else:
        bare.upgrade(at)
    with bare.engine.begin() as connection:
        connection.exec_driver_sql(done)
    bare.upgrade()
    assert at == "base" or differences(bare) == []
    with bare.engine.begin() as connection:
        of_table = "" if connection.dialect.name == "sqlite" else " ON products"
        connection.exec_driver_sql(f"DROP INDEX ix_products_price{of_table}")
    bare.downgrade("0002")
    bare.upgrade()
    assert at == "base" or differences(bare) == []


@pytest.mark.services
def test_a_table_that_others_read_is_changed_once_they_let_it_go(monkeypatch):
    monkeypatch.setattr(engine, "_MYSQL_TABLE_WAIT_S", 1)
    with mysql_database() as url:
        store, other = open_store(url), open_store(url)
        store.upgrade("0002")
        with other.read() as session:
            session.execute(text("SELECT * FROM products"))
            with pytest.raises(StoreUnavailable, match="others hold what is to be changed"):
                store.upgrade()
        assert "ix_products_name" not in {index["name"] for index in inspect(store.engine).get_indexes("products")}
        store.upgrade()
        assert differences(store) == []
        store.close()
        other.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "cannot be read"),
        ("postgresql://host/db", "give sqlite"),
        ("sqlite://", "needs a file"),
        ("mysql+pymysql://root:secret@host", "no database"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_its_password(url, told):
    with pytest.raises(SettingsError, match=told) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_unavailable():
    store = open_store("mysql+pymysql://root:secret@127.0.0.1:1/catalog")
    with pytest.raises(StoreUnavailable, match="is the database up") as caught:
        store.ping()
    assert "secret" not in str(caught.value)
    assert store.stats.unavailable == 1
    store.close()


def test_a_file_that_is_no_database_is_told_by_its_name(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("these are notes, and no database\n" * 200, encoding="utf-8")
    store = open_store(f"sqlite:///{file}")
    for ask in (store.ping, store.upgrade):
        with pytest.raises(StoreUnavailable, match=r"notes\.txt: file is not a database; name another file"):
            ask()
    assert file.read_text(encoding="utf-8").startswith("these are notes")
    store.close()
