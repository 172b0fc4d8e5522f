"""Alembic, run from code: the migrations lie inside the package and need no ini file; and the steps they take."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command, op
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from livecart.shop.database.engine import WRITES, make_engine, shown
from livecart.shop.errors import StoreUnavailable
from livecart.shop.models.base import options

MIGRATIONS = Path(__file__).parent / "migrations"
#: Locks are the server's: without the database's name, one shop's migration would hold up another's.
_LOCK = "CONCAT('livecart_', MD5(DATABASE()))"
_LOCK_WAIT_S = 60
_STATEMENT_S = 3600.0
#: Alembic keeps what it runs on in a global of the process.
_one_thread = threading.Lock()


def config(connection: Connection | None = None) -> Config:
    """The configuration of Alembic's commands; with a connection, they run on it."""
    # It tells of every step, and has loggers of its own.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    made = Config()
    made.set_main_option("script_location", MIGRATIONS.as_posix().replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(engine: Engine, revision: str) -> None:
    with _alone(engine) as connection:
        command.upgrade(config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    with _alone(engine) as connection:
        command.downgrade(config(connection), revision)


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that one process at a time is in: several may start at once and find old tables.

    It is begun before Alembic has the connection, which would take one for each migration otherwise: SQLite lets the
    next process in between two of them.
    """
    with _one_thread, _patient(engine) as own, own.connect().execution_options(**{WRITES: True}) as connection:
        connection.begin()
        named_lock = engine.dialect.name != "sqlite"
        if named_lock:
            _take_lock(connection)
        try:
            yield connection
            connection.commit()
        finally:
            if named_lock:
                # What failed before is what is to be told; the lock goes with the connection at the latest.
                with suppress(SQLAlchemyError):
                    connection.rollback()
                    connection.execute(text(f"SELECT RELEASE_LOCK({_LOCK})"))


def _take_lock(connection: Connection) -> None:
    asked = connection.execute(text(f"SELECT GET_LOCK({_LOCK}, :wait)"), {"wait": _LOCK_WAIT_S})
    if asked.scalar_one() != 1:
        raise StoreUnavailable("store_migrating", where=f"catalog {shown(connection.engine.url)}", wait_s=_LOCK_WAIT_S)


@contextmanager
def _patient(engine: Engine) -> Iterator[Engine]:
    """An engine that waits for long statements, and for another process's: on a large table an index takes its time."""
    url = engine.url.render_as_string(hide_password=False)
    own = make_engine(url, statement_s=_STATEMENT_S, busy_s=_LOCK_WAIT_S)
    try:
        yield own
    finally:
        own.dispose()


# Steps of the migrations, each left out where it is done already: MySQL keeps what a migration did before it was
# interrupted, but not that it was begun, so the next one goes through the same steps again.


def create_table(name: str, *parts: Any) -> None:
    """Make a table of these columns and constraints, unless there is one of this name."""
    op.create_table(name, *parts, if_not_exists=True, **options())


def drop_table(name: str) -> None:
    op.drop_table(name, if_exists=True)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column, unless the table has it."""
    if column.name not in _columns(table):
        op.add_column(table, column)


def drop_column(table: str, name: str) -> None:
    """Remove a column, if the table has it."""
    if name in _columns(table):
        op.drop_column(table, name)


def create_index(name: str, table: str, columns: Sequence[str]) -> None:
    if name not in _indexes(table):
        op.create_index(name, table, list(columns))


def drop_index(name: str, table: str) -> None:
    if name in _indexes(table):
        op.drop_index(name, table)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _indexes(table: str) -> set[str | None]:
    # Asked anew each time: an inspector remembers what it saw.
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
