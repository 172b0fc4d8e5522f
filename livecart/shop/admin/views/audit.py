"""The audit log: who changed what, and when."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette_admin.fields import StringField
from starlette_admin.filters import FilterGroup

from livecart.shop.admin.product_query import Wanted
from livecart.shop.admin.sign_in import may
from livecart.shop.admin.texts import TEXTS, later, local_time, t
from livecart.shop.admin.views.listing import Listing
from livecart.shop.admin.views.page import read
from livecart.shop.database.store import Store
from livecart.shop.models.service import AuditRow
from livecart.shop.repositories.audit import AuditEntry

#: Three years of it are not counted to the end: nobody turns so many pages.
_MOST_COUNTED = 10_000
_VALUE_CHARS = 300
#: Subjects for admins alone: those of `/access`, and webhooks, whose addresses may hold a secret.
_OF_ADMINS = ("token", "host", "webhook", "order_source")


class AuditView(Listing):
    """`/audit`, newest first; the search takes a name, a person or a subject. Tokens and hosts are for admins."""

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
            StringField("at_s", later("audit_at"), getter=lambda _, entry: local_time(entry.at_s)),
            StringField("who", later("audit_who")),
            StringField("action", later("audit_action"), getter=lambda _, entry: _called("action", entry.action)),
            StringField("subject", later("audit_subject"), getter=lambda _, entry: _called("subject", entry.subject)),
            StringField("name", later("audit_name")),
            StringField("before", later("audit_before"), getter=lambda _, entry: _said(entry.before)),
            StringField("after", later("audit_after"), getter=lambda _, entry: _said(entry.after)),
        ]
        super().__init__(store)

    async def page(self, request: Request, wanted: Wanted) -> Sequence[AuditEntry]:
        def work(session: Session) -> list[AuditEntry]:
            query = _matching(select(AuditRow), wanted.text, request).order_by(AuditRow.id.desc()).offset(wanted.skip)
            rows = session.scalars(query.limit(wanted.limit) if wanted.limit > 0 else query)
            return [msgspec.convert(row, AuditEntry, from_attributes=True) for row in rows]

        return await read(self.store, work)

    async def count(self, request: Request, q: str | None = None, filters: FilterGroup | None = None) -> int:
        """Counts up to ten thousand."""
        some = _matching(select(AuditRow.id), q, request).limit(_MOST_COUNTED).subquery()
        return await read(self.store, lambda session: session.scalar(select(func.count()).select_from(some)) or 0)

    async def find_by_pk(self, request: Request, pk: Any) -> AuditEntry | None:
        return None


def _matching(query: Select[Any], text: str | None, request: Request) -> Select[Any]:
    if not may(request, "admin"):
        query = query.where(AuditRow.subject.not_in(_OF_ADMINS))
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
