"""Sales that came by cards: what was paid less what was refunded, of the orders that shops report."""

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta
from sqlalchemy import ColumnElement, case, distinct, func, or_, select
from sqlalchemy.orm import Session, aliased

from livecart.shop.models.orders import OrderLineRow
from livecart.shop.repositories.product_rows import in_chunks
from livecart.shop.schemas.money import digits_of, with_digits

#: Amounts are shown with as many digits behind the point, and more where there are more.
_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Sales:
    """Orders that came by cards. Quantity and amounts are what was paid less what was refunded."""

    orders: Annotated[int, Meta(description="That were paid, refunded since or not.", examples=[3])] = 0
    refunds: Annotated[int, Meta(description="That were refunded, or a part of them.", examples=[0])] = 0
    quantity: Annotated[int, Meta(examples=[4])] = 0
    amounts: Annotated[dict[str, str], Meta(description="By currency.", examples=[{"CNY": "51.60"}])] = field(
        default_factory=dict
    )


NO_SALES = Sales()


def sales_by(session: Session, by: Literal["sku", "room"], *, since_s: float) -> dict[str, Sales]:
    """Sales of each product or room that sold, of orders since then, UNIX time."""
    return _sales(session, by, OrderLineRow.at_s >= since_s)


def sales_of_cards(session: Session, card_ids: Collection[str]) -> dict[str, Sales]:
    """Sales of those of the cards that sold."""
    found: dict[str, Sales] = {}
    for part in in_chunks(card_ids):
        found |= _sales(session, "card_id", OrderLineRow.card_id.in_(part))
    return found


def _sales(session: Session, by: Literal["sku", "room", "card_id"], where: ColumnElement[bool]) -> dict[str, Sales]:
    line, paid = OrderLineRow, aliased(OrderLineRow)
    is_paid = line.status == "paid"
    # A refund may be told of before its payment.
    was_paid = select(paid.id).where(paid.order_key == line.order_key, paid.status == "paid").exists()
    column = getattr(line, by)
    query = (
        select(
            column,
            line.currency,
            func.count(distinct(case((is_paid, line.order_key)))),
            func.count(distinct(case((~is_paid, line.order_key)))),
            func.sum(case((is_paid, line.quantity), else_=-line.quantity)),
            func.sum(case((is_paid, line.amount))),
            func.sum(case((~is_paid, line.amount))),
        )
        .where(where, or_(is_paid, was_paid))
        .group_by(column, line.currency)
        .order_by(column, line.currency)
    )
    found: dict[str, Sales] = {}
    for name, currency, orders, refunds, quantity, paid_amount, refunded in session.execute(query):
        net = (paid_amount or Decimal(0)) - (refunded or Decimal(0))
        before = found.get(name, NO_SALES)
        found[name] = Sales(
            before.orders + orders,
            before.refunds + refunds,
            before.quantity + int(quantity),
            before.amounts | {currency: str(with_digits(net, max(_DIGITS, digits_of(net.normalize()))))},
        )
    return found
