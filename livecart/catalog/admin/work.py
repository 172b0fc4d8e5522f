"""Between a page, which runs in the event loop, and the catalog, whose calls block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread
from sqlalchemy.orm import Session
from starlette.requests import Request

from livecart.catalog.admin.sign_in import staff
from livecart.catalog.database.store import Store

T = TypeVar("T")


async def read(store: Store, work: Callable[[Session], T]) -> T:
    """What `work` reads, in a thread.

    Raises:
        StoreUnavailable: the database does not answer.
    """

    def run() -> T:
        with store.read() as session:
            return work(session)

    return await to_thread.run_sync(run)


async def write(store: Store, request: Request, work: Callable[[Session], T]) -> T:
    """What `work` does in one transaction, in a thread, in the name of who asks.

    Raises:
        StoreUnavailable: the database does not answer.
        CatalogError: what `work` raises; nothing is changed.
    """
    who = staff(request).who
    return await to_thread.run_sync(lambda: store.edit(who, work))
