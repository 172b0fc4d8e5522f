"""Who changed what, and when. Written by every repository in its own transaction; nothing here changes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from livecart.catalog.database.tables_service import AuditRow


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change. `before` and `after` are JSON values: of an update only the fields that differ."""

    id: int
    at_s: float
    who: str
    action: str
    subject: str
    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def latest(
    session: Session,
    *,
    subject: str | None = None,
    name: str | None = None,
    who: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[AuditEntry]:
    """The newest entries first.

    Args:
        session: of `Store.read`.
        subject: product, photo, room, host, token, review, sync.
        name: whose: a sku, a room's name, ...
        who: by whom.
        before_id: the last id of the page before.
        limit: how many.
    """
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(AuditRow.subject == subject)
    if name is not None:
        query = query.where(AuditRow.name == name)
    if who is not None:
        query = query.where(AuditRow.who == who)
    if before_id is not None:
        query = query.where(AuditRow.id < before_id)
    return [
        AuditEntry(row.id, row.at_s, row.who, row.action, row.subject, row.name, row.before, row.after)
        for row in session.scalars(query)
    ]
