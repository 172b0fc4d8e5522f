"""Engines: what SQLite and MySQL need so that the rest need not know which one it talks to."""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from livecart.core.errors import SettingsError

#: How long a writer waits for another one.
_SQLITE_BUSY_S = 10.0
_MYSQL_CONNECT_S = 2.0
#: A statement that takes longer is given up: a bulk upsert's takes far less, a lost server must not hold a thread.
_MYSQL_STATEMENT_S = 20.0
_MYSQL_LOCK_WAIT_S = 5
#: How long a change of tables waits for transactions that have read them. Less than a statement may take: given up only
#: by us, the server would change the table behind our back when they end.
_MYSQL_TABLE_WAIT_S = 15
#: Below the 8 hours after which MySQL drops an idle connection, and below most proxies' limit.
_MYSQL_RECYCLE_S = 280
_POOL_SIZE = 5
_POOL_OVERFLOW = 15
_POOL_WAIT_S = 5.0
#: Execution option of a connection whose transaction will write.
WRITES = "livecart_writes"


def make_engine(url: str, *, statement_s: float = _MYSQL_STATEMENT_S, busy_s: float = _SQLITE_BUSY_S) -> Engine:
    """An engine for `sqlite:///file.db` or `mysql+pymysql://user:password@host/database`. Connects at the first use.

    `statement_s`: how long a statement may take on MySQL. `busy_s`: how long it waits for other writers on SQLite.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingsError("catalog URL cannot be read; give sqlite:///file.db or mysql+pymysql://…") from error
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        return _sqlite(parsed, busy_s)
    if parsed.drivername in {"mysql+pymysql", "mariadb+pymysql"}:
        return _mysql(parsed, statement_s)
    raise SettingsError(f"catalog URL {shown(parsed)}: give sqlite:///file.db or mysql+pymysql://user@host/database")


def shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _sqlite(url: URL, busy_s: float) -> Engine:
    if not url.database or url.database == ":memory:":
        raise SettingsError("catalog URL: SQLite needs a file, such as sqlite:///catalog.db; its threads share it")
    file = Path(url.database)
    file.parent.mkdir(parents=True, exist_ok=True)
    # The audit log is not for other users of the machine. SQLite gives -wal and -shm the same mode.
    with suppress(PermissionError):
        # By path: closing a descriptor of it would drop the locks that SQLite holds on it.
        if file.exists():
            file.chmod(file.stat().st_mode & 0o770)
        else:
            file.touch(mode=0o600)
    engine = create_engine(
        url,
        connect_args={"timeout": busy_s},
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_POOL_WAIT_S,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # Python's module would begin transactions at moments of its own; `_begin_sqlite` does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        _use_wal(cursor)
        # An acknowledged edit outlasts a power cut, not only a killed process.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
    finally:
        cursor.close()


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """Readers beside a writer. The file remembers it; who says it first must be alone, and SQLite does not wait."""
    give_up_s = time.monotonic() + _SQLITE_BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A reader that becomes a writer fails at once when another writer came between; so writers say so beforehand.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _mysql(url: URL, statement_s: float) -> Engine:
    if not url.database:
        raise SettingsError(f"catalog URL {shown(url)}: names no database; mysql+pymysql://user@host/database")
    try:
        return create_engine(
            url.update_query_dict({"charset": "utf8mb4"}),
            # With locking reads where an edit needs them, each statement sees what is committed, and no gap is locked.
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            pool_recycle=_MYSQL_RECYCLE_S,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_OVERFLOW,
            pool_timeout=_POOL_WAIT_S,
            connect_args={
                "connect_timeout": _MYSQL_CONNECT_S,
                "read_timeout": statement_s,
                "write_timeout": statement_s,
                "init_command": f"SET SESSION innodb_lock_wait_timeout={_MYSQL_LOCK_WAIT_S},"
                f" lock_wait_timeout={_MYSQL_TABLE_WAIT_S}, sql_mode='TRADITIONAL'",
            },
        )
    except ModuleNotFoundError as error:
        raise SettingsError("a mysql+pymysql:// catalog needs the extra: pip install 'livecart[mysql]'") from error
    except NoSuchModuleError as error:
        raise SettingsError(f"catalog URL {shown(url)}: {error}") from error
