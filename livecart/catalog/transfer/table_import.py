"""An uploaded table into the catalog, or what it would change. Rows that are no products are left out, and told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from livecart.catalog.database.store import Store
from livecart.catalog.records import bulk, hosts, products
from livecart.catalog.records.product_rows import differences, merged
from livecart.catalog.values import Product, ProductPatch, check_patch
from livecart.errors import InvalidValue

_BATCH = bulk.BATCH
_MOST_SHOWN = 100
Row = tuple[str, ProductPatch | InvalidValue]


@dataclass
class TableResult:
    """What a table did, or would do. Lists end at 100 entries, the counts do not. Changes are (sku, before, after)."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    bad: int = 0
    changes: list[tuple[str, dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    bad_rows: list[str] = field(default_factory=list)


def import_table(store: Store, rows: Iterable[Row], *, who: str, dry_run: bool = False) -> TableResult:
    """Create and change what the rows say, in transactions of 500; what they do not name stays.

    Run it again after a failure: what came in already is found unchanged.

    Args:
        store: the catalog.
        rows: of `spreadsheet.read_table`.
        who: for the audit log.
        dry_run: change nothing; say what would change.

    Raises:
        FeedError: the table is damaged further down; what stood above has been taken in.
        StoreUnavailable: the database does not answer.
    """
    result = TableResult()
    seen: set[str] = set()
    for batch in _batches(rows):
        if dry_run:
            with store.read() as session:
                judged = _judge(session, batch, seen)
        else:
            # Judged in the transaction that writes: anew, when that is run again as a deadlock's victim.
            judged = store.edit(who, partial(_take_in, batch=batch, seen=seen))
        seen |= judged.skus
        _add(result, judged.result)
    return result


def _take_in(session: Session, *, batch: list[Row], seen: set[str]) -> _Judged:
    judged = _judge(session, batch, seen)
    bulk.upsert(session, judged.good)
    return judged


def _judge(session: Session, batch: list[Row], seen: set[str]) -> _Judged:
    judged = _Judged(seen)
    allowed = hosts.allowed(session)
    named = [row.sku for _, row in batch if isinstance(row, ProductPatch)]
    known = {product.sku: product for product in products.find_many(session, named)}
    for where, row in batch:
        if isinstance(row, InvalidValue):
            judged.refuse(row)
            continue
        try:
            patch = check_patch(row, allowed_hosts=allowed, where=where)
            judged.take(patch, known.get(patch.sku), where)
        except InvalidValue as error:
            judged.refuse(error)
    return judged


@dataclass
class _Judged:
    """One batch: what of it can be taken, and what that would change. `seen`: skus of the batches before."""

    seen: set[str]
    result: TableResult = field(default_factory=TableResult)
    good: list[ProductPatch] = field(default_factory=list)
    skus: set[str] = field(default_factory=set)

    def refuse(self, error: InvalidValue) -> None:
        self.result.bad += 1
        if len(self.result.bad_rows) < _MOST_SHOWN:
            self.result.bad_rows.append(str(error))

    def take(self, patch: ProductPatch, before: Product | None, where: str) -> None:
        if patch.sku in self.skus or patch.sku in self.seen:
            raise InvalidValue("sku", f"{patch.sku!r} stands twice", where=where)
        if before is None:
            products.new_product(patch, where)
            self.result.created += 1
        else:
            self._compare(patch, before)
        self.skus.add(patch.sku)
        self.good.append(patch)

    def _compare(self, patch: ProductPatch, before: Product) -> None:
        old, new = differences(before, merged(patch, before))
        if not new:
            self.result.unchanged += 1
            return
        self.result.changed += 1
        if len(self.result.changes) < _MOST_SHOWN:
            self.result.changes.append((patch.sku, old, new))


def _add(result: TableResult, part: TableResult) -> None:
    result.created += part.created
    result.changed += part.changed
    result.unchanged += part.unchanged
    result.bad += part.bad
    result.changes += part.changes[: _MOST_SHOWN - len(result.changes)]
    result.bad_rows += part.bad_rows[: _MOST_SHOWN - len(result.bad_rows)]


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rest = iter(rows)
    while batch := list(islice(rest, _BATCH)):
        yield batch
