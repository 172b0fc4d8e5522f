"""Webhooks: endpoints with their secrets, messages of card events, and replays. `shop.webhooks` sends them."""

import base64
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import ColumnElement, CursorResult, delete, func, insert, select, update
from sqlalchemy.orm import Session

from contract.card import CardClosed, CardEvent
from contract.links import LinkFault, https_address
from livecart.core.public_address import is_public
from livecart.shop.database.session import audit_change, now_s
from livecart.shop.errors import InvalidValue, NotFound
from livecart.shop.models.webhooks import SigningSecrets, WebhookDeliveryRow, WebhookEndpointRow, WebhookMessageRow
from livecart.shop.schemas.product import URL_CHARS

MessageType = Literal["card.shown", "card.updated", "card.withdrawn", "card.closed"]
TYPES: tuple[MessageType, ...] = get_args(MessageType)
_TYPE_OF: dict[str, MessageType] = {"card": "card.shown", "update": "card.updated", "withdraw": "card.withdrawn"}
#: A rotated secret still holds for so long.
_OLD_SECRET_S = 86_400.0
#: Viewers see a card's end later than we, and send what they did in batches.
CLOSED_AFTER_S = 60.0
#: Records that wait for one endpoint; further ones become dead letters at once.
MOST_WAITING = 1_000
_SUBJECT = "webhook"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint without its secrets. `disabled`: why nothing is sent to it."""

    id: int
    url: str
    types: list[str]
    disabled: str | None
    failing_since_s: float | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    message_id: str
    type: str
    endpoint_id: int
    attempts: int
    error: str | None


def envelope(kind: str, at_s: float, data: Any) -> str:
    """A message's body, as Standard Webhooks has it."""
    at = datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")
    return msgspec.json.encode({"type": kind, "timestamp": at, "data": data}).decode()


def check_target(url: str, internal_hosts: Sequence[str]) -> None:
    """Refuse what no message may be sent to; names are looked up when it is sent.

    Raises:
        InvalidValue: no https link, or an address that is not public, unless its host is one of `internal_hosts`.
    """
    if len(url) > URL_CHARS:
        raise InvalidValue("url", "too_long", value=url[:40], most_chars=URL_CHARS)
    if is_internal(url, internal_hosts):
        return
    fault = https_address(url)
    if isinstance(fault, LinkFault):
        raise InvalidValue("url", fault.code, value=fault.value)
    host, _ = fault
    with suppress(ValueError):  # a name
        if not is_public(host):
            raise InvalidValue("url", "address_not_public", value=host)


def is_internal(url: str, internal_hosts: Sequence[str]) -> bool:
    """True for http and https to a host, or `host:port`, of the list."""
    try:
        parts = urlsplit(url)
        named = {parts.hostname, f"{parts.hostname}:{parts.port}"}
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and not named.isdisjoint(internal_hosts)


def add(session: Session, url: str, types: Sequence[str], internal_hosts: Sequence[str]) -> tuple[int, str]:
    """Add an endpoint; its id, and its secret, which is shown this once.

    Raises:
        InvalidValue: a URL that nothing may be sent to, or that is there already; an unknown type.
    """
    check_target(url, internal_hosts)
    for kind in types:
        if kind not in TYPES:
            raise InvalidValue("type", "not_one_of", value=kind, choices=", ".join(TYPES))
    if session.scalar(select(WebhookEndpointRow.id).where(WebhookEndpointRow.url == url)) is not None:
        raise InvalidValue("url", "webhook_twice", value=url)
    secret = new_secret()
    row = WebhookEndpointRow(url=url, types=list(types or TYPES), secret=secret, created_at_s=now_s(session))
    session.add(row)
    session.flush()
    audit_change(session, "create", subject=_SUBJECT, name=url, after={"types": row.types})
    return row.id, secret


def every(session: Session) -> list[Endpoint]:
    """All endpoints, oldest first."""
    rows = session.scalars(select(WebhookEndpointRow).order_by(WebhookEndpointRow.id))
    return [msgspec.convert(row, Endpoint, from_attributes=True) for row in rows]


def remove(session: Session, endpoint_id: int) -> None:
    """Remove an endpoint, with what waits for it."""
    row = _row(session, endpoint_id)
    session.execute(delete(WebhookEndpointRow).where(WebhookEndpointRow.id == endpoint_id))
    audit_change(session, "delete", subject=_SUBJECT, name=row.url)


def rotate(session: Session, endpoint_id: int) -> str:
    """A new secret; for a day messages are signed with the old one too."""
    row = _row(session, endpoint_id)
    rotate_secret(session, row)
    audit_change(session, "rotate", subject=_SUBJECT, name=row.url)
    return row.secret


def enable(session: Session, endpoint_id: int) -> None:
    """Send to an endpoint again."""
    row = _row(session, endpoint_id)
    if row.disabled is not None:
        audit_change(session, "update", subject=_SUBJECT, name=row.url, before={"disabled": row.disabled})
    row.disabled = row.failing_since_s = row.last_error = None


def new_secret() -> str:
    """A secret of Standard Webhooks."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def rotate_secret(session: Session, row: SigningSecrets) -> None:
    """Give a new secret; the old one holds for a day more."""
    row.old_secret, row.old_until_s, row.secret = row.secret, now_s(session) + _OLD_SECRET_S, new_secret()


def secrets_of(row: SigningSecrets, at_s: float) -> tuple[str, ...]:
    """Secrets that hold at a moment, UNIX time."""
    if row.old_secret is not None and row.old_until_s is not None and at_s < row.old_until_s:
        return row.secret, row.old_secret
    return (row.secret,)


def by_url(session: Session, url: str) -> WebhookEndpointRow:
    """The endpoint of a URL."""
    row = session.scalar(select(WebhookEndpointRow).where(WebhookEndpointRow.url == url))
    if row is None:
        raise NotFound("no_webhook", name=url)
    return row


def enqueue(session: Session, event: CardEvent) -> int:
    """Put an event of the bus into the outbox of every endpoint that wants it; the number of deliveries.

    The same event again adds nothing. A withdrawal also brings `card.closed`, a minute later.
    """
    endpoints = session.scalars(select(WebhookEndpointRow).where(WebhookEndpointRow.disabled.is_(None))).all()
    if not endpoints:
        return 0
    at_s = event.emitted_at_s
    kind = _TYPE_OF[event.event]
    if kind == "card.updated":
        _forget_updates(session, event.card_id)
    message = _message(f"{event.card_id}-{event.event_id}", kind, event.card_id, at_s, event)
    count = _send_to(session, message, endpoints, event.room, at_s)
    if kind == "card.withdrawn":
        closed = CardClosed(
            shown_at_s=None,
            withdrawn_at_s=at_s,
            impressions=0,
            clicks=0,
            **{name: getattr(event, name) for name in CardClosed.__struct_fields__ if hasattr(event, name)},
        )
        message = _message(f"{event.card_id}-closed", "card.closed", event.card_id, at_s, closed)
        count += _send_to(session, message, endpoints, None, at_s + CLOSED_AFTER_S)
    return count


def replay(session: Session, message_id: str | None) -> int:
    """Send a message once more to the endpoints that want its type; None: every dead letter. Number of deliveries."""
    at_s = now_s(session)
    enabled = select(WebhookEndpointRow.id).where(WebhookEndpointRow.disabled.is_(None))
    if message_id is None:
        return _updated(
            session,
            WebhookDeliveryRow.next_at_s.is_(None) & WebhookDeliveryRow.endpoint_id.in_(enabled),
            next_at_s=at_s,
            attempts=0,
        )
    message = session.get(WebhookMessageRow, message_id)
    if message is None:
        raise NotFound("no_webhook_message", name=message_id)
    session.execute(delete(WebhookDeliveryRow).where(WebhookDeliveryRow.message_id == message_id))
    endpoints = session.scalars(select(WebhookEndpointRow).where(WebhookEndpointRow.id.in_(enabled))).all()
    return _deliver(session, message.id, message.type, endpoints, room=None, at_s=at_s)


def dead_letters(session: Session, limit: int = 100) -> list[DeadLetter]:
    """Those that were given up last."""
    query = (
        select(WebhookDeliveryRow, WebhookMessageRow.type)
        .join(WebhookMessageRow)
        .where(WebhookDeliveryRow.next_at_s.is_(None))
        .order_by(WebhookDeliveryRow.id.desc())
        .limit(limit)
    )
    return [
        DeadLetter(row.message_id, kind, row.endpoint_id, row.attempts, row.error)
        for row, kind in session.execute(query)
    ]


def _row(session: Session, endpoint_id: int) -> WebhookEndpointRow:
    row = session.get(WebhookEndpointRow, endpoint_id)
    if row is None:
        raise NotFound("no_webhook", name=str(endpoint_id))
    return row


def _message(message_id: str, kind: MessageType, card_id: str, at_s: float, data: Any) -> dict[str, Any]:
    body = envelope(kind, at_s, data)
    return {"id": message_id, "type": kind, "card_id": card_id, "body": body, "created_at_s": at_s}


def _send_to(
    session: Session, message: dict[str, Any], endpoints: Sequence[WebhookEndpointRow], room: str | None, at_s: float
) -> int:
    if not any(message["type"] in row.types for row in endpoints):
        return 0
    if session.get(WebhookMessageRow, message["id"]) is not None:
        return 0
    session.execute(insert(WebhookMessageRow), [message])
    return _deliver(session, message["id"], message["type"], endpoints, room=room, at_s=at_s)


def _deliver(
    session: Session,
    message_id: str,
    kind: str,
    endpoints: Sequence[WebhookEndpointRow],
    *,
    room: str | None,
    at_s: float,
) -> int:
    """Deliveries of the live class in the lane of the room; without one, of the record class."""
    waiting = _waiting(session) if room is None else {}
    rows: list[dict[str, Any]] = []
    for endpoint in endpoints:
        if kind in endpoint.types:
            is_full = waiting.get(endpoint.id, 0) >= MOST_WAITING
            rows.append(
                {
                    "message_id": message_id,
                    "endpoint_id": endpoint.id,
                    "lane": message_id if room is None else room,
                    "live": room is not None,
                    "attempts": 0,
                    "next_at_s": None if is_full else at_s,
                    "claimed_until_s": 0.0,
                    "error": "too many wait for this endpoint" if is_full else None,
                }
            )
    if rows:
        session.execute(insert(WebhookDeliveryRow), rows)
    return len(rows)


def _waiting(session: Session) -> dict[int, int]:
    query = select(WebhookDeliveryRow.endpoint_id, func.count()).where(
        WebhookDeliveryRow.live.is_(False), WebhookDeliveryRow.next_at_s.is_not(None)
    )
    return dict(session.execute(query.group_by(WebhookDeliveryRow.endpoint_id)).all())


def _forget_updates(session: Session, card_id: str) -> None:
    """Earlier updates of the card that nobody waits for any more: they would be most of the table."""
    waits = select(WebhookDeliveryRow.id).where(WebhookDeliveryRow.message_id == WebhookMessageRow.id)
    session.execute(
        delete(WebhookMessageRow).where(
            WebhookMessageRow.card_id == card_id, WebhookMessageRow.type == "card.updated", ~waits.exists()
        ),
        execution_options={"synchronize_session": False},
    )


def _updated(session: Session, where: ColumnElement[bool], **values: Any) -> int:
    done: CursorResult[Any] = session.execute(  # type: ignore[assignment]
        update(WebhookDeliveryRow).where(where).values(**values), execution_options={"synchronize_session": False}
    )
    return done.rowcount
