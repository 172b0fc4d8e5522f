"""Events of viewers on cards: batched by them, kept once each, counted by product and by room."""

import hashlib
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta
from sqlalchemy import case, func, select
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from livecart.core.card_links import short_id
from livecart.shop.database.session import now_s
from livecart.shop.errors import InvalidValue
from livecart.shop.models.events import CardRow, ViewerEventRow
from livecart.shop.repositories.cards import Card
from livecart.shop.repositories.sales import NO_SALES, Sales, sales_by, sales_of_cards

ViewerEventKind = Literal["impression", "click", "close", "wrong", "dwell"]
KINDS: tuple[ViewerEventKind, ...] = get_args(ViewerEventKind)
#: What a purchase can be traced by: kept as long as the cards.
TRANSACTION_KINDS: tuple[ViewerEventKind, ...] = ("click",)
MOST_PER_BATCH = 500
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_LONGEST_DWELL_S = 24 * 3600.0


class ViewerEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that one viewer did.

    Attributes:
        event_key: made by the viewer, 8 to 64 letters and digits; the same event sent again has the same.
        kind: impression, click, close, wrong ("not this product"), dwell.
        card_id: of the card.
        viewer: a random name that the viewer's page made up; no person's.
        dwell_s: of `dwell`: seconds that the card was on screen.
    """

    event_key: str
    kind: ViewerEventKind
    card_id: str
    viewer: str
    dwell_s: float | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Counts of a batch: events kept, known already, of no card of ours; and those cards."""

    kept: int
    known: int
    unknown_card: int = 0
    unknown_cards: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of the viewers' events of one product or room. Rates are 0 where there are no impressions."""

    name: Annotated[str, Meta(description="The sku, or the room.", examples=["1001"])]
    cards: Annotated[int, Meta(description="How often its card was shown.", examples=[12])]
    impressions: int
    clicks: int
    closes: int
    wrongs: Annotated[int, Meta(description='Reports of "not this product".', examples=[0])]
    dwell_s: Annotated[float, Meta(description="Seconds on screen, of all viewers together.")]
    click_rate: Annotated[float, Meta(description="Clicks per impression.", examples=[0.08])]
    wrong_rate: Annotated[float, Meta(description="Reports per impression.", examples=[0.0])]
    sales: Sales


@dataclass(frozen=True, slots=True)
class CountedCard(Card):
    """A card as it was shown, and what came of it until now."""

    short_id: Annotated[str | None, Meta(description="Of its link.", examples=["1Jx0sZ2cYk7mQ4tB9aVw3e"])]
    clicks: Annotated[int, Meta(examples=[12])]
    sales: Sales


def record(session: Session, events: Sequence[ViewerEvent]) -> Recorded:
    """Keep a batch. Room and product come from our own card, never from the viewer.

    Each viewer counts once a card for everything but dwell.

    Raises:
        InvalidValue: more than 500 events, a key that is none, an unknown kind, a dwell out of bounds.
    """
    if len(events) > MOST_PER_BATCH:
        raise InvalidValue("events", "too_many_events", count=len(events), most=MOST_PER_BATCH)
    for event in events:
        check(event)
    cards = _cards(session, {event.card_id for event in events})
    at_s = now_s(session)
    rows: dict[str, dict[str, Any]] = {}
    for event in events:
        if event.card_id in cards:
            room, sku = cards[event.card_id]
            rows[_key(event)] = {
                "event_key": _key(event),
                "kind": event.kind,
                "card_id": event.card_id,
                "room": room,
                "sku": sku,
                "viewer": event.viewer,
                "dwell_s": event.dwell_s,
                "received_at_s": at_s,
            }
    known = set(session.scalars(select(ViewerEventRow.event_key).where(ViewerEventRow.event_key.in_(list(rows)))))
    fresh = [row for key, row in rows.items() if key not in known]
    if fresh:
        _insert_ignoring(session, fresh)
    unknown = [event.card_id for event in events if event.card_id not in cards]
    return Recorded(len(fresh), len(events) - len(unknown) - len(fresh), len(unknown), frozenset(unknown))


def by_product(session: Session, *, since_s: float, limit: int = 100) -> list[Figures]:
    """Figures of the products with the most cards since then."""
    return _figures(session, "sku", since_s, limit)


def by_room(session: Session, *, since_s: float, limit: int = 100) -> list[Figures]:
    """Figures of the rooms with the most cards since then."""
    return _figures(session, "room", since_s, limit)


def clicks_by_card(
    session: Session,
    *,
    since_s: float,
    until_s: float = math.inf,
    room: str | None = None,
    card_ids: Collection[str] | None = None,
) -> dict[str, int]:
    """Clicks that came in between, of each card that was clicked: of a room, or of those named."""
    event = ViewerEventRow
    query = select(event.card_id, func.count()).where(event.received_at_s >= since_s, event.kind == "click")
    if until_s < math.inf:
        query = query.where(event.received_at_s < until_s)
    if room is not None:
        query = query.where(event.room == room)
    if card_ids is not None:
        query = query.where(event.card_id.in_(card_ids))
    return dict(session.execute(query.group_by(event.card_id)).all())


def counted(session: Session, shown: Sequence[Card]) -> list[CountedCard]:
    """The cards, with what came of them."""
    if not shown:
        return []
    ids = [card.card_id for card in shown]
    since_s = min(card.shown_at_s for card in shown)
    clicks = clicks_by_card(session, since_s=since_s, card_ids=ids)
    sold = sales_of_cards(session, ids)
    return [
        CountedCard(
            **{name: getattr(card, name) for name in Card.__dataclass_fields__},
            short_id=short_id(card.card_id),
            clicks=clicks.get(card.card_id, 0),
            sales=sold.get(card.card_id, NO_SALES),
        )
        for card in shown
    ]


def _figures(session: Session, by: Literal["sku", "room"], since_s: float, limit: int) -> list[Figures]:
    card_column = CardRow.sku if by == "sku" else CardRow.room
    event_column = ViewerEventRow.sku if by == "sku" else ViewerEventRow.room
    shown = dict(
        session.execute(
            select(card_column, func.count())
            .where(CardRow.shown_at_s >= since_s)
            .group_by(card_column)
            .order_by(func.count().desc(), card_column)
            .limit(limit)
        ).all()
    )
    counts = [func.sum(case((ViewerEventRow.kind == kind, 1), else_=0)) for kind in KINDS if kind != "dwell"]
    # Not narrowed to `shown`: databases would then go by names, row by row, and not by the index that holds it all.
    query = (
        select(event_column, *counts, func.sum(ViewerEventRow.dwell_s))
        .where(ViewerEventRow.received_at_s >= since_s)
        .group_by(event_column)
    )
    seen = {
        name: (int(impressions), int(clicks), int(closes), int(wrongs), float(dwell_s or 0.0))
        for name, impressions, clicks, closes, wrongs, dwell_s in session.execute(query)
    }
    sold = sales_by(session, by, since_s=since_s)
    figures = []
    for name, cards in shown.items():
        impressions, clicks, closes, wrongs, dwell_s = seen.get(name, (0, 0, 0, 0, 0.0))
        rates = (clicks / impressions, wrongs / impressions) if impressions else (0.0, 0.0)
        sales = sold.get(name, NO_SALES)
        figures.append(Figures(name, cards, impressions, clicks, closes, wrongs, dwell_s, *rates, sales))
    return figures


def check(event: ViewerEvent) -> None:
    """Refuse what no viewer may send."""
    if event.kind not in KINDS:
        raise InvalidValue("kind", "not_one_of", value=event.kind, choices=", ".join(KINDS))
    for name, value in (("event_key", event.event_key), ("viewer", event.viewer)):
        if not _KEY.fullmatch(value):
            raise InvalidValue(name, "id_malformed")
    if (event.kind == "dwell") != (event.dwell_s is not None):
        raise InvalidValue("dwell_s", "dwell_misplaced")
    if event.dwell_s is not None and not 0.0 <= event.dwell_s <= _LONGEST_DWELL_S:
        raise InvalidValue("dwell_s", "out_of_range", value=event.dwell_s, least=0, most=int(_LONGEST_DWELL_S))


def _key(event: ViewerEvent) -> str:
    """The key under which an event counts once: a page that is reloaded makes new keys, but is no second viewer."""
    if event.kind == "dwell":
        return event.event_key
    return f"{event.kind[:1]}{_short(f'{event.card_id} {event.viewer} {event.kind}')}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:62]


def _cards(session: Session, card_ids: set[str]) -> dict[str, tuple[str, str]]:
    query = select(CardRow.card_id, CardRow.room, CardRow.sku).where(CardRow.card_id.in_(sorted(card_ids)))
    return {card_id: (room, sku) for card_id, room, sku in session.execute(query)}


def _insert_ignoring(session: Session, rows: list[dict[str, Any]]) -> None:
    """Insert what is not there: another process may have been given the same batch."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(sqlite.insert(ViewerEventRow).on_conflict_do_nothing(), rows)
    else:
        session.execute(mysql.insert(ViewerEventRow).prefix_with("IGNORE"), rows)
