"""The log of changes: who, when, what. Written by every repository in its own transaction; nothing here changes it."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.orm import Session

from livecart.shop.database.session import given
from livecart.shop.models.service import AuditRow
from livecart.shop.schemas.product import Seconds


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change: who, when, and as JSON values the fields that differ."""

    id: Annotated[int, Meta(examples=[12])]
    at_s: Seconds
    who: Annotated[str, Meta(examples=["till#3"])]
    action: Annotated[str, Meta(examples=["update"])]
    subject: Annotated[str, Meta(examples=["product"])]
    name: Annotated[str, Meta(examples=["1001"])]
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
    """The newest entries first, from below `before_id`; `name` is a sku, a room's name, ..."""
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
    query = query.filter_by(**given(subject=subject, name=name, who=who))
    if before_id is not None:
        query = query.where(AuditRow.id < before_id)
    return [msgspec.convert(row, AuditEntry, from_attributes=True) for row in session.scalars(query)]
