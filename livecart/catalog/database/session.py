"""What a session carries beside its transaction: who writes, what time it is, what has been changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from livecart.catalog.database.tables import RevisionRow
from livecart.catalog.database.tables_service import AuditRow

_REVISION_ID = 1


@dataclass(frozen=True, slots=True)
class Change:
    """What one committed transaction changed."""

    #: Products whose link, price, stock or anything else is another now, or that are gone.
    skus: frozenset[str]
    #: The allowed link hosts are others.
    link_hosts: bool
    #: A snapshot built now would differ.
    shows_in_snapshot: bool
    #: A token is void now that was not before.
    tokens_revoked: bool = False

    def __bool__(self) -> bool:
        return bool(self.skus or self.link_hosts or self.shows_in_snapshot or self.tokens_revoked)


@dataclass
class Context:
    """Of one transaction."""

    who: str
    now_s: Callable[[], float]
    skus: set[str] = field(default_factory=set)
    link_hosts: bool = False
    shows_in_snapshot: bool = False
    tokens_revoked: bool = False

    def change(self) -> Change:
        """What listeners are told."""
        return Change(frozenset(self.skus), self.link_hosts, self.shows_in_snapshot, self.tokens_revoked)


def context_of(session: Session) -> Context:
    """The context that `Store.read` or `Store.write` gave the session."""
    context = session.info["context"]
    if not isinstance(context, Context):
        raise TypeError("the session was not opened by Store.read or Store.write")
    return context


def now_s(session: Session) -> float:
    """UNIX time by the store's clock."""
    return context_of(session).now_s()


def changed(session: Session, skus: Iterable[str], *, shows_in_snapshot: bool) -> None:
    """Note which products this transaction changes."""
    context = context_of(session)
    context.skus.update(skus)
    context.shows_in_snapshot |= shows_in_snapshot


def audit_entry(
    session: Session,
    action: str,
    *,
    subject: str,
    name: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A row of the audit log, for those who write many at once."""
    context = context_of(session)
    return {
        "at_s": context.now_s(),
        "who": context.who,
        "action": action,
        "subject": subject,
        "name": name[:255],
        "before": before,
        "after": after,
    }


def write_audit(session: Session, entries: list[dict[str, Any]]) -> None:
    """Write rows of `audit_entry` in this transaction."""
    if entries:
        session.execute(insert(AuditRow), entries)


def bump_revision(session: Session) -> None:
    """Count one change more. The last statement of its transaction, since all writers meet at this row."""
    session.execute(update(RevisionRow).where(RevisionRow.id == _REVISION_ID).values(revision=RevisionRow.revision + 1))


def revision(session: Session) -> int:
    """The catalog's revision: 0 of an empty one."""
    return session.scalar(select(RevisionRow.revision).where(RevisionRow.id == _REVISION_ID)) or 0
