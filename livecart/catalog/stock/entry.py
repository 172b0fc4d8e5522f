"""What the stock cache keeps of a product, and what it says of one."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, Protocol

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from livecart.catalog.database.tables import ProductRow
from livecart.catalog.money import with_digits

#: Why no card may be shown: no such product, off sale, none left, its link not allowed, nothing young enough known.
Refusal = Literal["unknown", "off_sale", "sold_out", "link", "not_known"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A product as the database had it at `read_at_s`. `version` 0: there is no such product."""

    sku: str
    #: UNIX time just before the database was asked, so that the age is never taken for less than it is.
    read_at_s: float
    version: int = 0
    name: str = ""
    url: str = ""
    price: Decimal | None = None
    currency: str | None = None
    stock: int | None = None
    on_sale: bool = False


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """A product that may be shown now, with its link and price as they were at `confirmed_at_s` (UNIX time)."""

    sku: str
    name: str
    url: str
    price: Decimal | None
    currency: str | None
    stock: int | None
    version: int
    confirmed_at_s: float


class EntryCache(Protocol):
    """Where entries lie between two readings of the database. What fails raises `CacheUnavailable`."""

    def get(self, sku: str) -> Entry | None:
        """What is kept, however old."""

    def put(self, entry: Entry, generation: int) -> None:
        """Keep it, unless the sku was dropped since `generation` was asked for."""

    def generation(self, sku: str) -> int:
        """Ask before the database is read; `put` takes it."""

    def drop(self, skus: frozenset[str]) -> None:
        """Forget them, and what readers that are under way are about to put."""

    def try_lock(self, sku: str) -> bool:
        """Whether this process is the one to read the database; the others wait a moment for what it puts."""

    def unlock(self, sku: str) -> None:
        """After `try_lock` was granted."""

    def close(self) -> None:
        """Give back connections."""


class CacheUnavailable(Exception):
    """The cache does not answer now; the database is asked instead."""


def read_entry(session: Session, sku: str, read_at_s: float) -> Entry:
    """What the database has; one index look-up."""
    columns = (
        ProductRow.version,
        ProductRow.name,
        ProductRow.url,
        ProductRow.price,
        ProductRow.price_digits,
        ProductRow.currency,
        ProductRow.stock,
        ProductRow.on_sale,
    )
    row = session.execute(select(*columns).where(ProductRow.sku == sku)).first()
    if row is None:
        return Entry(sku=sku, read_at_s=read_at_s)
    version, name, url, price, digits, currency, stock, on_sale = row
    return Entry(
        sku=sku,
        read_at_s=read_at_s,
        version=version,
        name=name,
        url=url,
        price=None if price is None else with_digits(price, digits),
        currency=currency,
        stock=stock,
        on_sale=on_sale,
    )
