"""The record of a sync: who works at it, how far it is, what it has read. All that a restart needs."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.orm import Session

from livecart.shop.database.session import given, now_s
from livecart.shop.errors import CatalogError, NotFound
from livecart.shop.models.products import ProductRow
from livecart.shop.models.service import SyncItemRow, SyncRunRow
from livecart.shop.schemas.product import ProductPatch, Seconds
from livecart.shop.sync.source import Page, Validators

#: reading, applying and removing are unfinished; the others are the end.
RunState = Literal["reading", "applying", "removing", "done", "unchanged", "refused", "failed", "dry"]
UNFINISHED: tuple[RunState, ...] = ("reading", "applying", "removing")
#: Of a worker that no longer says that it is alive.
LEASE_S = 120.0
_DETAIL_CHARS = 4000
#: In place of a patch, of an entry that is named and cannot be understood: its product stays as it is, on sale or not.
_LEFT_AS_IT_IS: dict[str, Any] = {}


class LeaseLost(CatalogError):
    """Another process works at this run: this one was silent for too long."""


class FeedRun(msgspec.Struct, frozen=True):
    """One reading of a feed."""

    id: int
    source: Annotated[str, Meta(examples=["shop"])]
    state: Annotated[RunState, Meta(examples=["done"])]
    started_at_s: Seconds
    finished_at_s: float | None
    fetched: int
    bad: int
    created: int
    changed: int
    removed: int
    detail: str | None


class Run(FeedRun, frozen=True):
    """A reading as the record has it, with the place to go on from."""

    cursor: str | None


def begin(session: Session, source: str, lease: str) -> Run | None:
    """The unfinished run of a source, taken over, or a new one; None while another process works at it."""
    at_s = now_s(session)
    query = select(SyncRunRow).where(SyncRunRow.source == source, SyncRunRow.state.in_(UNFINISHED))
    row = session.scalar(query.order_by(SyncRunRow.id.desc()).limit(1).with_for_update())
    if row is not None and row.lease_until_s > at_s and row.lease != lease:
        return None
    if row is None:
        row = _new(source, "reading", at_s)
        session.add(row)
    elif row.state == "reading" and row.cursor is None:
        # Killed when all was read, or nothing: it is read from its start.
        _begin_anew(session, row)
    row.lease, row.lease_until_s = lease, at_s + LEASE_S
    session.flush()
    return to_run(row)


def begin_dry(session: Session, source: str, lease: str) -> Run:
    """A run that will change nothing: beside any other, and never gone on with."""
    at_s = now_s(session)
    row = _new(source, "dry", at_s)
    row.lease, row.lease_until_s, row.finished_at_s = lease, at_s + LEASE_S, at_s
    session.add(row)
    session.flush()
    return to_run(row)


def get(session: Session, run_id: int) -> Run:
    row = session.get(SyncRunRow, run_id)
    if row is None:
        raise NotFound("no_run", id=run_id)
    return to_run(row)


def hold(session: Session, run_id: int, lease: str) -> SyncRunRow:
    """The run's row, locked, its lease made longer: the start of each step's transaction.

    Raises:
        LeaseLost: somebody else has it.
    """
    row = session.scalar(select(SyncRunRow).where(SyncRunRow.id == run_id).with_for_update())
    if row is None or row.lease != lease:
        raise LeaseLost("run_taken_over", id=run_id)
    row.lease_until_s = now_s(session) + LEASE_S
    return row


def keep_page(session: Session, run_id: int, lease: str, page: Page) -> None:
    """Keep what a page held, and where to go on."""
    row = hold(session, run_id, lease)
    if page.begins_anew:
        _begin_anew(session, row)
    # Last one wins, within a page and between pages: a product that moved while the feed was read comes twice.
    items: dict[str, Any] = dict.fromkeys(page.bad_skus, _LEFT_AS_IT_IS)
    items |= {patch.sku: msgspec.to_builtins(patch) for patch in page.patches}
    if items:
        known = delete(SyncItemRow).where(SyncItemRow.run_id == run_id, SyncItemRow.sku.in_(list(items)))
        session.execute(known)
        session.execute(
            insert(SyncItemRow),
            [{"run_id": run_id, "sku": sku, "patch": patch} for sku, patch in items.items()],
        )
    row.fetched += len(page.patches)
    row.bad += len(page.bad)
    row.cursor = page.next_cursor
    row.etag, row.last_modified = page.validators.etag, page.validators.last_modified
    if page.bad:
        row.detail = "; ".join(filter(None, [row.detail, *page.bad[:5]]))[:_DETAIL_CHARS]


def items_after(session: Session, run_id: int, sku: str, limit: int) -> tuple[list[ProductPatch], str | None]:
    """Patches of up to `limit` entries, in the order of skus, after `sku`; and the last one's sku, None at the end."""
    query = select(SyncItemRow.sku, SyncItemRow.patch).where(SyncItemRow.run_id == run_id, SyncItemRow.sku > sku)
    rows = session.execute(query.order_by(SyncItemRow.sku).limit(limit)).all()
    patches = [msgspec.convert(patch, ProductPatch) for _, patch in rows if patch != _LEFT_AS_IT_IS]
    return patches, rows[-1][0] if rows else None


def missing(session: Session, run_id: int, source: str, limit: int) -> list[str]:
    """Skus of the source's products on sale that the feed did not name."""
    return list(session.scalars(_missing(run_id, source).order_by(ProductRow.sku).limit(limit)))


def count_missing(session: Session, run_id: int, source: str) -> int:
    """Count of `missing` without a limit."""
    return session.scalar(_missing(run_id, source).with_only_columns(func.count())) or 0


def count_owned(session: Session, source: str) -> int:
    """Products on sale that the source owns."""
    query = select(func.count()).select_from(ProductRow).where(ProductRow.source == source, ProductRow.on_sale)
    return session.scalar(query) or 0


def finish(session: Session, run_id: int, lease: str, state: RunState, detail: str | None = None) -> Run:
    """End a run, and let go of what it had read."""
    row = hold(session, run_id, lease)
    row.state, row.finished_at_s, row.cursor, row.lease, row.lease_until_s = state, now_s(session), None, None, 0.0
    row.detail = "; ".join(filter(None, [detail, row.detail]))[:_DETAIL_CHARS] or None
    session.execute(delete(SyncItemRow).where(SyncItemRow.run_id == run_id))
    session.flush()
    return to_run(row)


def last_validators(session: Session, source: str) -> Validators:
    """Validators of the latest reading that was taken in to its end."""
    query = select(SyncRunRow.etag, SyncRunRow.last_modified).where(
        SyncRunRow.source == source, SyncRunRow.state == "done"
    )
    row = session.execute(query.order_by(SyncRunRow.id.desc()).limit(1)).first()
    return Validators(row[0], row[1]) if row else Validators()


def latest(session: Session, source: str | None = None, *, limit: int = 20) -> list[Run]:
    """The newest runs first."""
    query = select(SyncRunRow).order_by(SyncRunRow.id.desc()).limit(limit).filter_by(**given(source=source))
    return [to_run(row) for row in session.scalars(query)]


def to_run(row: SyncRunRow) -> Run:
    return msgspec.convert(row, Run, from_attributes=True)


def _begin_anew(session: Session, row: SyncRunRow) -> None:
    session.execute(delete(SyncItemRow).where(SyncItemRow.run_id == row.id))
    row.fetched, row.bad, row.detail = 0, 0, None


def _missing(run_id: int, source: str) -> Select[str]:
    named = select(SyncItemRow.sku).where(SyncItemRow.run_id == run_id, SyncItemRow.sku == ProductRow.sku).exists()
    return select(ProductRow.sku).where(ProductRow.source == source, ProductRow.on_sale, ~named)


def _new(source: str, state: RunState, at_s: float) -> SyncRunRow:
    return SyncRunRow(source=source, state=state, started_at_s=at_s, fetched=0, bad=0, created=0, changed=0, removed=0)
