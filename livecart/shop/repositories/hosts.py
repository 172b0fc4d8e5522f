"""The hosts that purchase links may lead to."""

from publicsuffixlist import PublicSuffixList
from sqlalchemy import select
from sqlalchemy.orm import Session

from contract.links import host_pattern
from livecart.shop.database.session import audit_change, context_of, now_s
from livecart.shop.errors import InvalidValue
from livecart.shop.models.products import LinkHostRow


def allowed(session: Session) -> tuple[str, ...]:
    """Every pattern, sorted: what `contract.links.check_link` takes."""
    return tuple(session.scalars(select(LinkHostRow.pattern).order_by(LinkHostRow.pattern)))


def allow(session: Session, pattern: str) -> str:
    """Add a pattern; returns it as stored. One that is there already changes nothing.

    Raises:
        InvalidValue: it is no host, `host:port` or `*.example.com`; or a wildcard for hosts that anybody can register.
    """
    stored = _checked(pattern)
    parent = stored.partition(":")[0].removeprefix("*.")
    if stored.startswith("*.") and PublicSuffixList().is_public(parent):
        raise InvalidValue("host", "host_too_wide", host=pattern)
    if session.get(LinkHostRow, stored) is None:
        session.add(LinkHostRow(pattern=stored, added_at_s=now_s(session)))
        session.flush()
        _note(session, "create", stored)
    return stored


def forbid(session: Session, pattern: str) -> bool:
    """Take a pattern away: cards with such links are shown no more. False where it was not there."""
    row = session.get(LinkHostRow, _checked(pattern))
    if row is None:
        return False
    session.delete(row)
    session.flush()
    _note(session, "delete", row.pattern)
    return True


def _checked(pattern: str) -> str:
    try:
        return host_pattern(pattern)
    except ValueError as error:
        raise InvalidValue("host", "host_malformed", host=pattern) from error


def _note(session: Session, action: str, pattern: str) -> None:
    change = context_of(session).change
    # A snapshot leaves out what may not be linked to.
    change.link_hosts = change.shows_in_snapshot = True
    audit_change(session, action, subject="host", name=pattern)
