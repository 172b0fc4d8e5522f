"""The catalog's database: transactions, who makes them, and who is told of what they changed.

    store = open_store("sqlite:///catalog.db")
    store.upgrade()
    with store.write("alice") as session:
        products.update(session, ProductPatch(sku="1001", stock=0), expected_version=3)

The functions of the repositories (products, photos, rooms, ...) take such a session, so that several of them make one
transaction. All of it blocks: call it from a thread, never from the event loop.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from livecart.shop.database.engine import WRITES, make_engine, shown
from livecart.shop.database.migrate import downgrade, upgrade
from livecart.shop.database.session import Change, Context, bump_revision
from livecart.shop.errors import StoreUnavailable

_log = logging.getLogger(__name__)
T = TypeVar("T")
Listener = Callable[[Change], None]
#: Deadlock found; lock wait timeout (MySQL error numbers). The whole transaction may be run again.
_AGAIN = frozenset({1205, 1213})
_ATTEMPTS = 4


@dataclass
class StoreStats:
    """Counted since the store was opened."""

    unavailable: int = 0
    retried: int = 0
    listener_failures: int = 0


@dataclass
class Store:
    """A database that may be used by any number of threads."""

    engine: Engine
    now_s: Callable[[], float] = time.time
    stats: StoreStats = field(default_factory=StoreStats)
    _listeners: list[Listener] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def read(self, *, consistent: bool = False) -> Iterator[Session]:
        """A session that only reads.

        Args:
            consistent: every statement sees the same moment; for what takes many statements, such as an export.
        """
        isolation = {"isolation_level": "REPEATABLE READ"} if consistent and self._is_mysql else {}
        with self._translated(), self.engine.connect().execution_options(**isolation) as connection:
            session = Session(connection, info={"context": Context("", self.now_s)}, autoflush=False)
            with session:
                yield session

    @contextmanager
    def write(self, who: str) -> Iterator[Session]:
        """One transaction: committed at the end of the block, undone by an exception. Then listeners are told.

        Raises:
            StoreUnavailable: the database does not answer. Where it went away during the commit the text says that
                the change may have been saved: look before doing it again, or use an idempotency key.
        """
        context = Context(who, self.now_s)
        with (
            self._translated(),
            self.engine.connect().execution_options(**{WRITES: True}) as connection,
            Session(connection, info={"context": context}, expire_on_commit=False) as session,
        ):
            yield session
            session.flush()
            bump_revision(session)
            with self._commit_told():
                session.commit()
        self._tell(context.change)

    def edit(self, who: str, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction, and again from its start where the database took it for a deadlock's victim.

        Raises:
            StoreUnavailable: as `write`, and when it was the victim too often.
        """
        for attempt in range(_ATTEMPTS):
            try:
                with self.write(who) as session:
                    result = work(session)
            except StoreUnavailable as error:
                if attempt + 1 == _ATTEMPTS or not _was_victim(error.__cause__):
                    raise
                self.stats.retried += 1
                time.sleep(0.01 * 2**attempt)
            else:
                return result
        raise AssertionError("unreachable")  # pragma: no cover

    def on_change(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after each committed change of this process; what is returned takes it off again.

        It is called in the thread that wrote, so it must be quick; what it raises is logged and counted.
        """
        with self._lock:
            self._listeners.append(listener)

        def remove() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return remove

    def upgrade(self, revision: str = "head") -> None:
        """Bring the tables to this version of livecart; nothing happens where they are."""
        with self._translated():
            upgrade(self.engine, revision)

    def downgrade(self, revision: str) -> None:
        """Take the tables back to `revision`; "base" removes them, and everything in them."""
        with self._translated():
            downgrade(self.engine, revision)

    def ping(self) -> None:
        with self._translated(), self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()

    @property
    def _is_mysql(self) -> bool:
        return self.engine.dialect.name in {"mysql", "mariadb"}

    @property
    def _shown(self) -> str:
        return f"catalog {shown(self.engine.url)}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            self.stats.unavailable += 1
            raise StoreUnavailable("store_busy", where=self._shown) from error
        except DBAPIError as error:
            if _is_no_database(error):
                self.stats.unavailable += 1
                raise StoreUnavailable("store_not_a_database", where=self._shown, cause=str(error.orig)) from error
            if not (isinstance(error, OperationalError) or error.connection_invalidated or _is_lost(error)):
                raise
            self.stats.unavailable += 1
            if _was_victim(error):
                raise StoreUnavailable("store_locked", where=self._shown, cause=str(error.orig)) from error
            raise StoreUnavailable("store_silent", where=self._shown, cause=str(error.orig)) from error

    @contextmanager
    def _commit_told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            self.stats.unavailable += 1
            raise StoreUnavailable("store_lost_in_commit", where=self._shown, cause=str(error.orig)) from error

    def _tell(self, change: Change) -> None:
        if not change:
            return
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener(change)
            except Exception:  # noqa: BLE001  a listener is not ours; the change is committed all the same
                self.stats.listener_failures += 1
                _log.exception("a listener of catalog changes failed; what it caches may be old until its age is over")


def open_store(url: str, *, now_s: Callable[[], float] = time.time) -> Store:
    """Open `sqlite:///file.db` or `mysql+pymysql://user:password@host/database`. Connects at the first use.

    Args:
        url: MySQL 8 or MariaDB 10.6 and newer; the database itself must exist.
        now_s: the clock, UNIX time.
    """
    return Store(make_engine(url), now_s)


def _was_victim(error: BaseException | None) -> bool:
    return (
        isinstance(error, DBAPIError)
        and error.orig is not None
        and bool(error.orig.args)
        and error.orig.args[0] in _AGAIN
    )


def _is_lost(error: DBAPIError) -> bool:
    # PyMySQL: a connection that was closed while it was in use.
    return type(error.orig).__name__ == "InterfaceError"


def _is_no_database(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0)
    # The low byte is the code of https://www.sqlite.org/rescode.html without its details.
    return code & 0xFF in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
