"""Cards that were shown, with the link and price of that moment."""

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from contract.card import CardEvent
from livecart.shop.database.session import given
from livecart.shop.models.events import CardRow
from livecart.shop.schemas.money import as_written, digits_of, parse_price
from livecart.shop.schemas.product import Link, Price, ProductName, RoomName, Seconds, Sku


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it was shown, with the price and link of that moment."""

    card_id: Annotated[str, Meta(examples=["0123456789abcdef"])]
    room: RoomName
    sku: Sku
    name: ProductName
    url: Link
    price: Price | None
    currency: str | None
    confidence: Annotated[float, Meta(examples=[0.97])]
    shown_at_s: Seconds
    withdrawn_at_s: float | None
    reason: Annotated[str | None, Meta(description="Why it was withdrawn.")]


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
    """The newest cards first, from behind `before`: `(shown_at_s, card_id)` of the last card of the page before."""
    query = select(CardRow).order_by(CardRow.shown_at_s.desc(), CardRow.card_id.desc()).limit(limit)
    query = query.filter_by(**given(room=room, sku=sku))
    if before is not None:
        at_s, card_id = before
        query = query.where((CardRow.shown_at_s < at_s) | ((CardRow.shown_at_s == at_s) & (CardRow.card_id < card_id)))
    return [_card(row) for row in session.scalars(query)]


def between(session: Session, room: str, start_s: float, end_s: float, *, limit: int) -> list[Card]:
    """Cards of a room that were on screen between two moments, in the order in which they were shown.

    One that was never withdrawn, as of a process that was killed, counts only where it was shown in between.
    """
    ended = func.coalesce(CardRow.withdrawn_at_s, CardRow.shown_at_s)
    query = (
        select(CardRow)
        .where(CardRow.room == room, CardRow.shown_at_s < end_s, ended >= start_s)
        .order_by(CardRow.shown_at_s, CardRow.card_id)
        .limit(limit)
    )
    return [_card(row) for row in session.scalars(query)]


def _add_once(session: Session, row: CardRow) -> None:
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        # Another process saw the same event a moment before.
        return


def _card(row: CardRow) -> Card:
    card = msgspec.convert(row, Card, from_attributes=True)
    return replace(card, price=as_written(row.price, row.price_digits))
