"""The context of a session: who writes, the clock, the changes so far, the audit log."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from livecart.shop.models.products import RevisionRow
from livecart.shop.models.service import AuditRow

#: Rows of the revision table: changes that a snapshot shows, and those that the offers beside it show.
_SNAPSHOT, _OFFERS = 1, 2


@dataclass
class Change:
    """The changes of one transaction."""

    #: Products whose link, price, stock or anything else is another now, or that are gone.
    skus: set[str] = field(default_factory=set)
    #: The allowed link hosts are others.
    link_hosts: bool = False
    #: A snapshot built now would differ.
    shows_in_snapshot: bool = False
    #: Price, currency, or whether any is left, is another.
    shows_in_offers: bool = False
    #: A token is void now that was not before.
    tokens_revoked: bool = False
    #: More of its kind is on the way, as pictures of a feed are: the snapshot may wait for it.
    can_wait: bool = False

    def __bool__(self) -> bool:
        return self != Change()


@dataclass
class Context:
    """Of one transaction."""

    who: str
    now_s: Callable[[], float]
    change: Change = field(default_factory=Change)


def context_of(session: Session) -> Context:
    """The context that `Store.read` or `Store.write` gave the session."""
    context = session.info["context"]
    if not isinstance(context, Context):
        raise TypeError("the session was not opened by Store.read or Store.write")
    return context


def now_s(session: Session) -> float:
    return context_of(session).now_s()


def changed(session: Session, skus: Iterable[str], *, shows_in_snapshot: bool, shows_in_offers: bool = False) -> None:
    change = context_of(session).change
    change.skus.update(skus)
    change.shows_in_snapshot |= shows_in_snapshot
    change.shows_in_offers |= shows_in_offers


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


def audit_change(
    session: Session,
    action: str,
    *,
    subject: str,
    name: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write one entry of the audit log in this transaction."""
    write_audit(session, [audit_entry(session, action, subject=subject, name=name, before=before, after=after)])


def write_audit(session: Session, entries: list[dict[str, Any]]) -> None:
    if entries:
        session.execute(insert(AuditRow), entries)


def given(**values: Any) -> dict[str, Any]:
    """The values that are not None, for `Select.filter_by`."""
    return {name: value for name, value in values.items() if value is not None}


def bump_revision(session: Session) -> None:
    """Count this transaction. Its last statement, since all writers meet at these rows."""
    change = context_of(session).change
    rows = [_SNAPSHOT] * change.shows_in_snapshot + [_OFFERS] * change.shows_in_offers
    if rows:
        session.execute(update(RevisionRow).where(RevisionRow.id.in_(rows)).values(revision=RevisionRow.revision + 1))


def revision(session: Session) -> int:
    """The revision that a snapshot shows: 0 of an empty catalog."""
    return session.scalar(select(RevisionRow.revision).where(RevisionRow.id == _SNAPSHOT)) or 0


def offers_revision(session: Session) -> int:
    """The revision that the offers beside a snapshot show; it grows with each change of the snapshot too."""
    return int(session.scalar(select(func.sum(RevisionRow.revision))) or 0)
