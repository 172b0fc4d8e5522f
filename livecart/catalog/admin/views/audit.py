"""Who changed what, and when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette_admin.fields import StringField
from starlette_admin.filters import FilterGroup

from livecart.catalog.admin.moments import moment
from livecart.catalog.admin.texts import TEXTS, later, t
from livecart.catalog.admin.views.listing import MOST_PASSED, Listing
from livecart.catalog.admin.work import read
from livecart.catalog.database.store import Store
from livecart.catalog.database.tables_service import AuditRow
from livecart.catalog.records.audit import AuditEntry

#: Three years of it are not counted to the end: nobody turns so many pages.
_MOST_COUNTED = 10_000
_VALUE_CHARS = 300


class AuditView(Listing):
    """`/audit`, newest first; the search takes a name, a person or a subject."""

    key = "audit"
    menu_label = later("audit")
    display_name = later("entry")
    icon = "fa-solid fa-clock-rotate-left"
    pk_attr = "id"
    sortable_fields = ("id",)
    exclude_fields_from_list: ClassVar[Sequence[str]] = ("id",)  # type: ignore[misc]
    fields_default_sort = (("id", True),)

    def __init__(self, store: Store) -> None:
        self.fields = [
            StringField("id", "id"),
            StringField("at_s", later("audit_at"), getter=lambda _, entry: moment(entry.at_s)),
            StringField("who", later("audit_who")),
            StringField("action", later("audit_action"), getter=lambda _, entry: _called("action", entry.action)),
            StringField("subject", later("audit_subject"), getter=lambda _, entry: _called("subject", entry.subject)),
            StringField("name", later("audit_name")),
            StringField("before", later("audit_before"), getter=lambda _, entry: _said(entry.before)),
            StringField("after", later("audit_after"), getter=lambda _, entry: _said(entry.after)),
        ]
        super().__init__(store)

    async def find_all(  # noqa: PLR0917  the library calls it so
        self,
        request: Request,
        skip: int = 0,
        limit: int = 100,
        q: str | None = None,
        sorts: Sequence[tuple[str, str]] | None = None,
        filters: FilterGroup | None = None,
    ) -> Sequence[AuditEntry]:
        """One page."""

        def work(session: Session) -> list[AuditEntry]:
            query = _matching(select(AuditRow), q).order_by(AuditRow.id.desc()).offset(min(skip, MOST_PASSED))
            rows = session.scalars(query.limit(limit) if limit > 0 else query)
            return [
                AuditEntry(row.id, row.at_s, row.who, row.action, row.subject, row.name, row.before, row.after)
                for row in rows
            ]

        return await read(self.store, work)

    async def count(self, request: Request, q: str | None = None, filters: FilterGroup | None = None) -> int:
        """How many there are, up to ten thousand."""
        some = _matching(select(AuditRow.id), q).limit(_MOST_COUNTED).subquery()
        return await read(self.store, lambda session: session.scalar(select(func.count()).select_from(some)) or 0)

    async def find_by_pk(self, request: Request, pk: Any) -> AuditEntry | None:
        """Entries are seen in the list only."""
        return None


def _matching(query: Select[Any], text: str | None) -> Select[Any]:
    if not text:
        return query
    return query.where(or_(AuditRow.name == text, AuditRow.who == text, AuditRow.subject == text))


def _called(kind: str, name: str) -> str:
    key = f"{kind}_{name}"
    return t(key) if key in TEXTS else name


def _said(values: dict[str, Any] | None) -> str | None:
    if not values:
        return None
    text = "；".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return text if len(text) <= _VALUE_CHARS else f"{text[:_VALUE_CHARS]}…"
