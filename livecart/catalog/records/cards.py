"""Cards that were shown, with the link and price of that moment."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from livecart.catalog.database.tables_events import CardRow
from livecart.catalog.money import digits_of, parse_price, with_digits
from livecart.types import CardEvent


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it was shown."""

    card_id: str
    room: str
    sku: str
    name: str
    url: str
    price: Decimal | None
    currency: str | None
    confidence: float
    shown_at_s: float
    withdrawn_at_s: float | None
    reason: str | None


def record(session: Session, event: CardEvent) -> None:
    """Keep what an event of the bus says: a `card` is kept once, a `withdraw` ends it, an `update` changes nothing.

    Events may come twice, and a withdrawal for a card that was never seen is dropped.

    Raises:
        InvalidValue: its price is no price.
    """
    if event.event == "card":
        price = None if event.price is None else parse_price(event.price)
        row = CardRow(
            card_id=event.card_id,
            room=event.room,
            sku=event.sku,
            name=event.name,
            url=event.url,
            price=price,
            price_digits=0 if price is None else digits_of(price),
            currency=event.currency,
            confidence=event.confidence,
            shown_at_s=event.emitted_at_s,
        )
        if session.get(CardRow, event.card_id) is None:
            _add_once(session, row)
    elif event.event == "withdraw":
        session.execute(
            sql_update(CardRow)
            .where(CardRow.card_id == event.card_id, CardRow.withdrawn_at_s.is_(None))
            .values(withdrawn_at_s=event.emitted_at_s, reason=event.reason)
        )


def find(session: Session, card_id: str) -> Card | None:
    """A card, or None."""
    row = session.get(CardRow, card_id)
    return None if row is None else _card(row)


def latest(
    session: Session,
    *,
    room: str | None = None,
    sku: str | None = None,
    before: tuple[float, str] | None = None,
    limit: int = 50,
) -> list[Card]:
    """The newest cards first.

    Args:
        session: of `Store.read`.
        room: only of this room.
        sku: only of this product.
        before: `(shown_at_s, card_id)` of the last card of the page before.
        limit: how many.
    """
    query = select(CardRow).order_by(CardRow.shown_at_s.desc(), CardRow.card_id.desc()).limit(limit)
    if room is not None:
        query = query.where(CardRow.room == room)
    if sku is not None:
        query = query.where(CardRow.sku == sku)
    if before is not None:
        at_s, card_id = before
        query = query.where((CardRow.shown_at_s < at_s) | ((CardRow.shown_at_s == at_s) & (CardRow.card_id < card_id)))
    return [_card(row) for row in session.scalars(query)]


def _add_once(session: Session, row: CardRow) -> None:
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        # Another process saw the same event a moment before.
        return


def _card(row: CardRow) -> Card:
    return Card(
        card_id=row.card_id,
        room=row.room,
        sku=row.sku,
        name=row.name,
        url=row.url,
        price=None if row.price is None else with_digits(row.price, row.price_digits),
        currency=row.currency,
        confidence=row.confidence,
        shown_at_s=row.shown_at_s,
        withdrawn_at_s=row.withdrawn_at_s,
        reason=row.reason,
    )
