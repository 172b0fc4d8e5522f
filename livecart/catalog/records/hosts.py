"""The hosts that purchase links may lead to."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from livecart.catalog.database.session import audit_entry, context_of, now_s, write_audit
from livecart.catalog.database.tables import LinkHostRow
from livecart.catalog.links import check_host_pattern


def allowed(session: Session) -> tuple[str, ...]:
    """Every pattern, sorted: what `links.check_link` takes."""
    return tuple(session.scalars(select(LinkHostRow.pattern).order_by(LinkHostRow.pattern)))


def allow(session: Session, pattern: str) -> str:
    """Add a pattern; returns it as stored. One that is there already changes nothing.

    Raises:
        InvalidValue: it is no host, `host:port` or `*.example.com`.
    """
    stored = check_host_pattern(pattern)
    if session.get(LinkHostRow, stored) is None:
        session.add(LinkHostRow(pattern=stored, added_at_s=now_s(session)))
        session.flush()
        _note(session, "create", stored)
    return stored


def forbid(session: Session, pattern: str) -> bool:
    """Take a pattern away: cards with such links are shown no more. False where it was not there."""
    row = session.get(LinkHostRow, check_host_pattern(pattern))
    if row is None:
        return False
    session.delete(row)
    session.flush()
    _note(session, "delete", row.pattern)
    return True


def _note(session: Session, action: str, pattern: str) -> None:
    context = context_of(session)
    context.link_hosts = True
    # A snapshot leaves out what may not be linked to.
    context.shows_in_snapshot = True
    write_audit(session, [audit_entry(session, action, subject="host", name=pattern)])
