"""An uploaded table into the catalog, or what it would change. Rows that are no products are left out and listed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy.orm import Session

from livecart.shop.database.store import Store
from livecart.shop.errors import InvalidValue
from livecart.shop.repositories import bulk, hosts
from livecart.shop.repositories.bulk import edit_of
from livecart.shop.repositories.product_rows import in_chunks, load_by_sku
from livecart.shop.schemas.product import Product, ProductChange, ProductPatch, check_patch

_MOST_SHOWN = 100
Row = tuple[str, ProductPatch | InvalidValue]


class TableResult(msgspec.Struct):
    """Result of an import, or of a dry run: what it would be. Lists end at 100 entries, the counts do not."""

    dry_run: bool = False
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    bad: int = 0
    changes: list[ProductChange] = []
    bad_rows: Annotated[list[str], Meta(examples=[["products.csv: row 3: price: 'x' is no decimal number"]])] = []

    def add(self, judged: _Judged) -> None:
        self.created += judged.created
        self.changed += len(judged.changes)
        self.unchanged += len(judged.good) - judged.created - len(judged.changes)
        self.bad += len(judged.bad_rows)
        self.changes += judged.changes[: _MOST_SHOWN - len(self.changes)]
        self.bad_rows += judged.bad_rows[: _MOST_SHOWN - len(self.bad_rows)]


def import_table(store: Store, rows: Iterable[Row], *, who: str, dry_run: bool = False) -> TableResult:
    """Create and change what the rows say, in transactions of 500; what they do not name stays.

    Run it again after a failure: what came in already is found unchanged.
    """
    result = TableResult(dry_run)
    seen: set[str] = set()
    for batch in in_chunks(rows):
        if dry_run:
            with store.read() as session:
                judged = _judge(session, batch, seen)
        else:
            # Judged in the transaction that writes: anew, when that is run again as a deadlock's victim.
            judged = store.edit(who, partial(_take_in, batch=batch, seen=seen))
        seen |= judged.good.keys()
        result.add(judged)
    return result


@dataclass
class _Judged:
    """One batch: the products of it that can be taken, by sku, and what that would change."""

    good: dict[str, ProductPatch] = field(default_factory=dict)
    created: int = 0
    changes: list[ProductChange] = field(default_factory=list)
    bad_rows: list[str] = field(default_factory=list)


def _take_in(session: Session, *, batch: list[Row], seen: set[str]) -> _Judged:
    judged = _judge(session, batch, seen)
    bulk.upsert(session, judged.good.values())
    return judged


def _judge(session: Session, batch: list[Row], seen: set[str]) -> _Judged:
    """`seen`: skus of the batches before."""
    judged = _Judged()
    allowed = hosts.allowed(session)
    named = [row.sku for _, row in batch if isinstance(row, ProductPatch)]
    known = load_by_sku(session, named)
    for where, row in batch:
        if isinstance(row, InvalidValue):
            judged.bad_rows.append(str(row))
            continue
        before = known.get(row.sku)
        try:
            patch = _as_written(check_patch(row, allowed_hosts=allowed, where=where), before)
            change = edit_of(patch, before, where).change
        except InvalidValue as error:
            judged.bad_rows.append(str(error))
            continue
        if patch.sku in seen or patch.sku in judged.good:
            judged.bad_rows.append(str(InvalidValue("sku", "sku_twice", where=where, sku=patch.sku)))
            continue
        judged.created += before is None
        if change is not None and change.after:
            judged.changes.append(change)
        judged.good[patch.sku] = patch
    return judged


def _as_written(patch: ProductPatch, before: Product | None) -> ProductPatch:
    """A spreadsheet makes 12.9 of 12.90: a price of the same amount keeps the digits that it has."""
    prices = ("price", "sale_price")
    kept = {name: getattr(before, name) for name in prices if before is not None and getattr(before, name) is not None}
    return msgspec.structs.replace(
        patch, **{name: price for name, price in kept.items() if getattr(patch, name) == price}
    )
