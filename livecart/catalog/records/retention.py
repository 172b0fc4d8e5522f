"""What is kept for how long, and the deletion of the rest: in small batches, so that nobody waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from livecart.catalog.database.store import Store
from livecart.catalog.database.tables_base import Base
from livecart.catalog.database.tables_events import CardRow, ReviewRow, ViewerEventRow
from livecart.catalog.database.tables_service import AuditRow, IdempotencyRow, SyncRunRow
from livecart.catalog.records import negatives, photos
from livecart.catalog.records.blobs import BlobFolder
from livecart.catalog.records.viewer_events import TRANSACTION_KINDS
from livecart.errors import SettingsError

_log = logging.getLogger(__name__)
_DAY_S = 86_400.0
#: Rows of one transaction: a few milliseconds of locks.
_BATCH = 500
_WHO = "retention"


class Keep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds that each kind of record is kept.

    Three years for what belongs to transactions: the least that Article 31 of the E-Commerce Law of the People's
    Republic of China asks of platforms, counted from the transaction.
    """

    cards_s: float = 3 * 365.25 * _DAY_S
    transactions_s: float = 3 * 365.25 * _DAY_S
    audit_s: float = 3 * 365.25 * _DAY_S
    viewer_events_s: float = 180 * _DAY_S
    crops_s: float = 30 * _DAY_S
    sync_runs_s: float = 90 * _DAY_S
    idempotency_s: float = 2 * _DAY_S

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not getattr(self, name) > 0:
                raise SettingsError(f"retention: {name} must be more than 0 seconds")


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows and files a purge deleted."""

    cards: int = 0
    transactions: int = 0
    viewer_events: int = 0
    reviews: int = 0
    audit: int = 0
    sync_runs: int = 0
    idempotency: int = 0
    files: int = 0


def purge(
    store: Store,
    *,
    keep: Keep,
    crops: BlobFolder,
    photo_blobs: BlobFolder,
    now_s: float,
    stop: Callable[[], bool] = lambda: False,
) -> Purged:
    """Delete what is older than `keep` says. What a stopped or killed purge left, the next one deletes.

    Args:
        store: the catalog.
        keep: how long what is kept.
        crops: of the review queue; its old files go first, then their rows.
        photo_blobs: of the products; files that nobody has any more go.
        now_s: UNIX time.
        stop: asked between two batches.

    Raises:
        StoreUnavailable: the database does not answer; what was deleted is deleted.
    """
    run = _Purge(store, stop)
    transaction = ViewerEventRow.kind.in_(TRANSACTION_KINDS)
    received, event_id = ViewerEventRow.received_at_s, ViewerEventRow.id
    purged = Purged(
        cards=run.rows(CardRow, CardRow.card_id, CardRow.shown_at_s < now_s - keep.cards_s),
        transactions=run.rows(ViewerEventRow, event_id, transaction & (received < now_s - keep.transactions_s)),
        viewer_events=run.rows(ViewerEventRow, event_id, ~transaction & (received < now_s - keep.viewer_events_s)),
        reviews=run.reviews(crops, now_s - keep.crops_s),
        audit=run.rows(AuditRow, AuditRow.id, AuditRow.at_s < now_s - keep.audit_s),
        sync_runs=run.rows(
            SyncRunRow,
            SyncRunRow.id,
            (SyncRunRow.started_at_s < now_s - keep.sync_runs_s) & SyncRunRow.finished_at_s.is_not(None),
        ),
        idempotency=run.idempotency(now_s - keep.idempotency_s),
        files=0 if stop() else _sweep(store, crops, photo_blobs),
    )
    _log.info("retention: deleted %s", purged)
    return purged


class _Purge:
    """Deletes in batches, each in a transaction of its own."""

    def __init__(self, store: Store, stop: Callable[[], bool]) -> None:
        self._store = store
        self._stop = stop

    def rows(self, table: type[Base], key: InstrumentedAttribute[Any], old: Any) -> int:
        def batch(session: Session) -> int:
            keys = list(session.scalars(select(key).where(old).limit(_BATCH)))
            if keys:
                session.execute(delete(table).where(key.in_(keys)))
            return len(keys)

        return self._until_empty(batch)

    def reviews(self, crops: BlobFolder, before_s: float) -> int:
        old = ReviewRow.created_at_s < before_s

        def batch(session: Session) -> int:
            rows = session.execute(select(ReviewRow.id, ReviewRow.crop_digest).where(old).limit(_BATCH)).all()
            ids, digests = [row_id for row_id, _ in rows], {digest for _, digest in rows}
            young = set(session.scalars(select(ReviewRow.crop_digest).where(ReviewRow.crop_digest.in_(digests), ~old)))
            for digest in digests - young:
                for suffix in ("jpg", "png", "webp"):
                    crops.remove(digest, suffix)
            if ids:
                session.execute(delete(ReviewRow).where(ReviewRow.id.in_(ids)))
            return len(ids)

        return self._until_empty(batch)

    def idempotency(self, before_s: float) -> int:
        def batch(session: Session) -> int:
            query = select(IdempotencyRow).where(IdempotencyRow.created_at_s < before_s).limit(_BATCH)
            rows = session.scalars(query).all()
            for row in rows:
                session.delete(row)
            return len(rows)

        return self._until_empty(batch)

    def _until_empty(self, batch: Callable[[Session], int]) -> int:
        total = 0
        while not self._stop():
            deleted = self._store.edit(_WHO, batch)
            total += deleted
            if deleted < _BATCH:
                break
        return total


def _sweep(store: Store, crops: BlobFolder, photo_blobs: BlobFolder) -> int:
    with store.read() as session:
        used_photos = photos.digests(session) | negatives.digests(session)
        used_crops = set(session.scalars(select(ReviewRow.crop_digest).distinct()))
    return photo_blobs.sweep(used_photos) + crops.sweep(used_crops)
