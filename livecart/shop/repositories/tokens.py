"""API tokens: given out once, kept only as SHA-256.

A token is 256 random bits, so a plain fast hash is as good as a slow one: there is nothing to guess.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.orm import Session

from livecart.shop.database.session import audit_change, context_of, now_s
from livecart.shop.errors import InvalidValue, NotFound
from livecart.shop.models.service import TokenRow
from livecart.shop.schemas.product import Seconds

Role = Literal["read", "edit", "admin"]
#: Each may do what those before it may.
ROLES: tuple[Role, ...] = get_args(Role)
_PREFIX = "lc_"
_RANDOM_BYTES = 32
_NAME_CHARS = 128
#: Of the name in the audit log, whose column is 128 wide; the token's number follows it.
_WHO_CHARS = 100


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A token without what it is."""

    id: Annotated[int, Meta(examples=[3])]
    name: Annotated[str, Meta(examples=["till"])]
    role: Role
    created_at_s: Seconds
    expires_at_s: float | None
    revoked_at_s: float | None

    @property
    def who(self) -> str:
        """For the audit log: names are not unique, names with numbers are."""
        return f"{self.name[:_WHO_CHARS]}#{self.id}"

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


def issue(session: Session, name: str, role: Role, *, lifetime_s: float | None = None) -> tuple[str, TokenInfo]:
    """Make a token; its text is in nobody's hands but the caller's. `lifetime_s` None: valid until it is revoked."""
    if role not in ROLES:
        raise InvalidValue("role", "not_one_of", value=role, choices=", ".join(ROLES))
    if not name.strip() or len(name) > _NAME_CHARS or not name.isprintable():
        raise InvalidValue("name", "not_printable", most_chars=_NAME_CHARS)
    token = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    at_s = now_s(session)
    row = TokenRow(
        name=name,
        role=role,
        token_hash=_hash(token),
        created_at_s=at_s,
        expires_at_s=None if lifetime_s is None else at_s + lifetime_s,
    )
    session.add(row)
    session.flush()
    audit_change(session, "create", subject="token", name=name, after={"id": row.id, "role": role})
    return token, _info(row)


def check(session: Session, token: str) -> TokenInfo | None:
    """Whose token it is; None where it is unknown, expired or revoked."""
    return _if_valid(session, session.scalar(select(TokenRow).where(TokenRow.token_hash == _hash(token))))


def valid(session: Session, token_id: int) -> TokenInfo | None:
    """The token of that id, for a session that was opened with it; None where it is void by now."""
    return _if_valid(session, session.get(TokenRow, token_id))


def revoke(session: Session, token_id: int) -> None:
    """Make a token void, now."""
    row = session.get(TokenRow, token_id)
    if row is None:
        raise NotFound("no_token", id=token_id)
    if row.revoked_at_s is None:
        row.revoked_at_s = now_s(session)
        session.flush()
        context_of(session).change.tokens_revoked = True
        audit_change(session, "delete", subject="token", name=row.name, before={"id": row.id})


def every(session: Session) -> list[TokenInfo]:
    """All tokens ever issued, oldest first."""
    return [_info(row) for row in session.scalars(select(TokenRow).order_by(TokenRow.id))]


def _if_valid(session: Session, row: TokenRow | None) -> TokenInfo | None:
    if row is None or row.revoked_at_s is not None:
        return None
    if row.expires_at_s is not None and row.expires_at_s <= now_s(session):
        return None
    return _info(row)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _info(row: TokenRow) -> TokenInfo:
    return msgspec.convert(row, TokenInfo, from_attributes=True)
