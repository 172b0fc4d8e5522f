"""Deletes rows and files older than `settings.Keep` says: in small batches, so that nobody waits for it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from livecart.shop.database.store import Store
from livecart.shop.models.base import Base
from livecart.shop.models.events import CardRow, ReviewRow, ViewerEventRow
from livecart.shop.models.orders import OrderLineRow
from livecart.shop.models.service import AuditRow, IdempotencyRow, SyncRunRow
from livecart.shop.models.webhooks import WebhookMessageRow
from livecart.shop.repositories import image_fetches, negatives, photos
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.viewer_events import TRANSACTION_KINDS
from livecart.shop.settings import Keep

_log = logging.getLogger(__name__)
_DAY_S = 86_400.0
#: Rows of one transaction: a few milliseconds of locks.
_BATCH = 500
_WHO = "retention"
#: A clock is not believed where nothing was written for so long, until a week after that.
_MOST_GAP_S = 400 * _DAY_S
_BELIEVED_AFTER_S = 7 * _DAY_S


@dataclass(frozen=True, slots=True)
class Purged:
    """Counts of the rows and files that a purge deleted."""

    cards: int = 0
    transactions: int = 0
    orders: int = 0
    viewer_events: int = 0
    reviews: int = 0
    audit: int = 0
    sync_runs: int = 0
    webhooks: int = 0
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

    Nothing is deleted where the clock seems to have jumped: no record of the last 400 days is a week old, but older
    ones are there.
    """
    if _has_jumped(store, now_s):
        _log.error("retention: nothing was written for more than 400 days; is the clock right? Nothing is deleted")
        return Purged()
    run = _Purge(store, stop)
    transaction = ViewerEventRow.kind.in_(TRANSACTION_KINDS)
    received, event_id = ViewerEventRow.received_at_s, ViewerEventRow.id
    purged = Purged(
        cards=run.rows(CardRow, CardRow.card_id, CardRow.shown_at_s < now_s - keep.cards_s),
        transactions=run.rows(ViewerEventRow, event_id, transaction & (received < now_s - keep.transactions_s)),
        orders=run.rows(OrderLineRow, OrderLineRow.id, OrderLineRow.at_s < now_s - keep.transactions_s),
        viewer_events=run.rows(ViewerEventRow, event_id, ~transaction & (received < now_s - keep.viewer_events_s)),
        reviews=run.reviews(crops, now_s - keep.crops_s),
        audit=run.rows(AuditRow, AuditRow.id, AuditRow.at_s < now_s - keep.audit_s),
        sync_runs=run.rows(
            SyncRunRow,
            SyncRunRow.id,
            (SyncRunRow.started_at_s < now_s - keep.sync_runs_s) & SyncRunRow.finished_at_s.is_not(None),
        ),
        webhooks=run.rows(
            WebhookMessageRow, WebhookMessageRow.id, WebhookMessageRow.created_at_s < now_s - keep.webhooks_s
        ),
        idempotency=run.idempotency(now_s - keep.idempotency_s),
        files=0 if stop() else _sweep(store, crops, photo_blobs),
    )
    _log.info("retention: deleted %s", purged)
    return purged


def _has_jumped(store: Store, now_s: float) -> bool:
    written = (CardRow.shown_at_s, ViewerEventRow.received_at_s, ReviewRow.created_at_s, AuditRow.at_s)
    with store.read() as session:
        found = [session.scalar(select(func.max(at_s)).where(at_s < now_s - _BELIEVED_AFTER_S)) for at_s in written]
    newest_s = max((at_s for at_s in found if at_s is not None), default=now_s)
    return newest_s < now_s - _MOST_GAP_S


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
        used_photos = photos.digests(session) | negatives.digests(session) | image_fetches.held_digests(session)
        used_crops = set(session.scalars(select(ReviewRow.crop_digest).distinct()))
    return photo_blobs.sweep(used_photos) + crops.sweep(used_crops)
