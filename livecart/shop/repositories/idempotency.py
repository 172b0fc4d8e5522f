"""Requests that were answered: the same key again gets the same answer and does nothing twice.

    with store.write(token.name) as session:
        answered = idempotency.begin(session, key, request_body)
        if answered is None:
            ...                                           # do it
            idempotency.finish(session, key, request_body, status=201, body=reply)

Both in the transaction of what is done, so that there is no moment at which one is saved without the other.
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from livecart.shop.database.session import context_of, now_s
from livecart.shop.errors import Conflict, InvalidValue
from livecart.shop.models.service import IdempotencyRow

_KEY_CHARS = 128


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer of the first time."""

    status: int
    body: bytes


def begin(session: Session, key: str, request: bytes) -> Answered | None:
    """The answer that this key's request got, or None: it is new.

    Args:
        session: of `Store.write`; keys of different people do not meet.
        key: of the client's making, 1 to 128 printable characters.
        request: method, path and body: whatever makes it another request.
    """
    if not key or len(key) > _KEY_CHARS or not key.isprintable():
        raise InvalidValue("Idempotency-Key", "not_printable", most_chars=_KEY_CHARS)
    row = session.scalar(
        select(IdempotencyRow).where(IdempotencyRow.who == context_of(session).who, IdempotencyRow.key == key)
    )
    if row is None:
        return None
    if row.request_digest != _digest(request):
        raise Conflict("key_used", theirs=None, yours={"key": key}, key=key)
    return Answered(row.status, row.body)


def finish(session: Session, key: str, request: bytes, *, status: int, body: bytes) -> None:
    """Keep the answer.

    Raises:
        Conflict: the same key came twice at the same time, and the other one was first: this transaction must be
            undone, and asked again it gets the other one's answer.
    """
    row = IdempotencyRow(
        who=context_of(session).who,
        key=key,
        request_digest=_digest(request),
        status=status,
        body=body,
        created_at_s=now_s(session),
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("key_in_use", theirs=None, yours={"key": key}, key=key) from error


def _digest(request: bytes) -> str:
    return hashlib.sha256(request).hexdigest()
