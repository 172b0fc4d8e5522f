"""Orders that came by cards, as shops report them, and the secrets by which they do.

Of an order and a status the newest report counts, whenever it comes: reports may come twice, late, or out of order.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from livecart.core.card_links import card_id_of
from livecart.shop.database.session import audit_change, now_s
from livecart.shop.errors import InvalidValue, NotFound
from livecart.shop.models.events import CardRow
from livecart.shop.models.orders import OrderLineRow, OrderSourceRow
from livecart.shop.repositories import products
from livecart.shop.repositories.webhooks import new_secret, rotate_secret, secrets_of
from livecart.shop.schemas.money import check_price
from livecart.shop.schemas.product import check_sku

Outcome = Literal["kept", "known", "no_card"]
#: A shop's clock may be ahead of ours by as much as signatures may.
_MOST_AHEAD_S = 300.0
_MOST_QUANTITY = 10**6
_MOST_LINES = 200
#: So that the sum of thousands of lines is a number of SQLite.
_MOST_AMOUNT = 10**11
_SHOP = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_SUBJECT = "order_source"


class OrderLine(msgspec.Struct, frozen=True):
    """A product of an order. `amount`: for all of them together."""

    sku: str
    qty: Annotated[int, Meta(ge=1, le=_MOST_QUANTITY)]
    amount: Decimal


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A shop's report: what was paid, or what of it has been refunded until now. What else it holds is not looked at.

    `card_id` or `sub_id` is the card's id, long or short, as the link had it.
    """

    order_id: Annotated[str, Meta(pattern=r"^[!-~]{1,64}\Z")]
    lines: Annotated[list[OrderLine], Meta(min_length=1, max_length=_MOST_LINES)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
    at: Annotated[datetime, Meta(tz=True)]
    status: Literal["paid", "refunded"]
    card_id: Annotated[str, Meta(max_length=64)] | None = None
    sub_id: Annotated[str, Meta(max_length=64)] | None = None


# Who reports


def add_source(session: Session, shop: str) -> str:
    """Let a shop report orders; its secret, which is shown this once."""
    if not _SHOP.fullmatch(shop):
        raise InvalidValue("shop", "shop_malformed", value=shop[:40])
    if session.get(OrderSourceRow, shop) is not None:
        raise InvalidValue("shop", "shop_twice", value=shop)
    row = OrderSourceRow(name=shop, secret=new_secret(), created_at_s=now_s(session))
    session.add(row)
    session.flush()
    audit_change(session, "create", subject=_SUBJECT, name=shop)
    return row.secret


def rotate_source(session: Session, shop: str) -> str:
    """A new secret; for a day the old one is taken too."""
    row = _source(session, shop)
    rotate_secret(session, row)
    audit_change(session, "rotate", subject=_SUBJECT, name=shop)
    return row.secret


def remove_source(session: Session, shop: str) -> None:
    """Take no more reports of a shop; its orders stay."""
    session.delete(_source(session, shop))
    audit_change(session, "delete", subject=_SUBJECT, name=shop)


def sources(session: Session) -> list[str]:
    return list(session.scalars(select(OrderSourceRow.name).order_by(OrderSourceRow.name)))


def secrets_now(session: Session, shop: str) -> tuple[str, ...]:
    """Secrets that a shop may sign with now; none of a shop that is unknown."""
    row = session.get(OrderSourceRow, shop)
    return () if row is None else secrets_of(row, now_s(session))


# Reports


def record(session: Session, shop: str, order: Order) -> Outcome:
    """Keep a report. One that is not newer than what is kept changes nothing; one of no card of ours is not kept.

    Raises:
        NotFound: the shop is removed.
        InvalidValue: a sku or an amount that cannot be, or a time ahead of ours.
    """
    at_s = order.at.timestamp()
    if at_s > now_s(session) + _MOST_AHEAD_S:
        raise InvalidValue("at", "ahead_of_our_clock", value=order.at.isoformat())
    # Reports of one shop one after the other: of two of one order the newer one counts.
    _source(session, shop, lock=True)
    card = _card(session, order)
    if card is None:
        return "no_card"
    product = products.find(session, card.sku)
    sums = _by_product(order, {} if product is None else {variant.sku: card.sku for variant in product.variants})
    key = f"{shop}/{order.order_id}"
    same = (OrderLineRow.order_key == key) & (OrderLineRow.status == order.status)
    kept_at_s = session.scalar(select(func.max(OrderLineRow.at_s)).where(same))
    if kept_at_s is not None and kept_at_s >= at_s:
        return "known"
    session.execute(delete(OrderLineRow).where(same))
    shared = {"order_key": key, "status": order.status, "currency": order.currency, "at_s": at_s}
    shared |= {"card_id": card.card_id, "room": card.room}
    rows = [shared | {"sku": sku, "quantity": qty, "amount": amount} for sku, (qty, amount) in sums.items()]
    session.execute(insert(OrderLineRow), rows)
    return "kept"


def _by_product(order: Order, variants: Mapping[str, str]) -> dict[str, tuple[int, Decimal]]:
    """Quantity and amount of each product; `variants` are of the card's."""
    sums: dict[str, tuple[int, Decimal]] = {}
    for number, line in enumerate(order.lines):
        try:
            sku, amount = check_sku(line.sku), _amount(line.amount)
            sku = variants.get(sku, sku)
            quantity, before = sums.get(sku, (0, Decimal(0)))
            sums[sku] = (quantity + line.qty, _amount(before + amount))
        except InvalidValue as error:
            error.where = f"lines[{number}]"
            error.field = "amount" if error.field == "price" else error.field
            raise
    return sums


def _amount(value: Decimal) -> Decimal:
    if check_price(value) >= _MOST_AMOUNT:
        raise InvalidValue("amount", "out_of_range", value=str(value)[:40], least=0, most=_MOST_AMOUNT)
    return value


def _card(session: Session, order: Order) -> CardRow | None:
    for named in (order.card_id, order.sub_id):
        card = None if named is None else session.get(CardRow, card_id_of(named) or named)
        if card is not None:
            return card
    return None


def _source(session: Session, shop: str, *, lock: bool = False) -> OrderSourceRow:
    query = select(OrderSourceRow).where(OrderSourceRow.name == shop)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("no_order_source", name=shop[:40])
    return row
