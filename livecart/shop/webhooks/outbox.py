"""The outbox in the database: what came of deliveries goes in, what is to be sent next comes out.

A delivery is claimed before it is sent and deleted after it was taken. Whoever dies in between leaves the claim, and
somebody sends it again once that has run out: at least once, and by one process at a time.
"""

import random
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from contract.card import CardClosed
from livecart.shop.database.session import now_s
from livecart.shop.models.events import CardRow, ViewerEventRow
from livecart.shop.models.webhooks import ERROR_CHARS, WebhookDeliveryRow, WebhookEndpointRow, WebhookMessageRow
from livecart.shop.repositories.product_rows import in_chunks
from livecart.shop.repositories.webhooks import envelope, secrets_of

#: Waits after each failure. Live: tries at 0, 1, 3, 10 and 30 s. Record: those of the Standard Webhooks specification.
LIVE_WAITS_S = (1.0, 2.0, 7.0, 20.0)
RECORD_WAITS_S = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
LIVE_FOR_S = 120.0
LIVE_TIMEOUT_S, RECORD_TIMEOUT_S = 3.0, 15.0
#: Longer than any try, and than its result waits for the next transaction.
CLAIM_S = 25.0
#: Of one endpoint at once; of one that fails, a single one.
MOST_AT_ONCE = 4
#: An endpoint that took nothing for so long is sent nothing more.
FAILING_FOR_S = 5 * 86_400.0
_LONGEST_RETRY_AFTER_S = 3_600.0
_GONE = 410


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one endpoint, to be sent now."""

    id: int
    endpoint_id: int
    live: bool
    attempts: int
    message_id: str
    body: str
    url: str
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a try. `status` is 0 where there was no answer; `error` is "" where it was taken."""

    status: int
    error: str
    retry_after_s: float = 0.0


@dataclass(slots=True)
class Round:
    """`counts`: of `SenderStats`, by name."""

    deliveries: list[Delivery] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def next_round(
    session: Session, results: Sequence[tuple[Delivery, Answer]], *, room: int, in_flight: Mapping[int, int]
) -> Round:
    """Note what came of earlier deliveries; claim and give at most `room` to send now.

    Args:
        session: of a transaction that may be run again.
        results: of deliveries that have ended.
        room: places that are free.
        in_flight: deliveries under way by endpoint.
    """
    done = Round()
    if results:
        _settle(session, results, done.counts)
    if room > 0 and session.scalar(select(exists().where(_is_open(now_s(session))))):
        _give_up(session, done.counts)
        done.deliveries = _claim(session, room, in_flight)
    return done


def figures(session: Session) -> tuple[dict[str, int], bool]:
    """Gauges for metrics, and True where any endpoint is sent to."""
    waiting = WebhookDeliveryRow.next_at_s.is_not(None)
    kinds = select(WebhookDeliveryRow.live, waiting, func.count()).group_by(WebhookDeliveryRow.live, waiting)
    gauges = dict.fromkeys(("live", "record", "dead"), 0)
    for live, waits, count in session.execute(kinds):
        gauges["dead" if not waits else "live" if live else "record"] += count
    is_disabled = WebhookEndpointRow.disabled.is_not(None)
    states = dict(session.execute(select(is_disabled, func.count()).group_by(is_disabled)).all())
    return gauges | {"disabled": states.get(True, 0)}, bool(states.get(False))


def _is_open(at_s: float) -> ColumnElement[bool]:
    """Waits, and nobody is sending it."""
    return and_(WebhookDeliveryRow.next_at_s.is_not(None), WebhookDeliveryRow.claimed_until_s <= at_s)


# What came of them


def _settle(session: Session, results: Sequence[tuple[Delivery, Answer]], counts: Counter[str]) -> None:
    at_s = now_s(session)
    taken = [delivery for delivery, answer in results if not answer.error]
    failed = [(delivery, answer) for delivery, answer in results if answer.error]
    _remove(session, [delivery.id for delivery in taken])
    counts["delivered"] += len(taken)
    counts["failed"] += len(failed)
    _clear_failures(session, {delivery.endpoint_id for delivery in taken})
    retries: list[dict[str, Any]] = []
    spent: list[int] = []
    for delivery, answer in failed:
        wait_s = _wait_s(delivery, answer)
        if wait_s is None and delivery.live:
            spent.append(delivery.id)
        else:
            next_at_s = None if wait_s is None else at_s + wait_s
            retries.append({"of_id": delivery.id, "at_s": next_at_s, "error_text": answer.error[:ERROR_CHARS]})
            counts["dead"] += wait_s is None
    counts["given_up"] += len(spent)
    _remove(session, spent)
    if retries:
        table = WebhookDeliveryRow.__table__
        again = update(table).where(table.c.id == bindparam("of_id"))  # type: ignore[arg-type]
        session.connection().execute(
            again.values(
                attempts=table.c.attempts + 1,
                next_at_s=bindparam("at_s"),
                claimed_until_s=0.0,
                error=bindparam("error_text"),
            ),
            retries,
        )
    for endpoint_id, answer in {delivery.endpoint_id: answer for delivery, answer in failed}.items():
        _note_failure(session, endpoint_id, answer, counts)


def _wait_s(delivery: Delivery, answer: Answer) -> float | None:
    """Seconds to the next try; None: there is none."""
    waits = LIVE_WAITS_S if delivery.live else RECORD_WAITS_S
    if delivery.attempts >= len(waits) or answer.status == _GONE:
        return None
    wait_s = max(waits[delivery.attempts], min(answer.retry_after_s, _LONGEST_RETRY_AFTER_S))
    # So that those who lost the same server do not come back at once.
    return wait_s if delivery.live else wait_s * random.uniform(1.0, 1.1)  # noqa: S311  jitter, no secret


def _clear_failures(session: Session, endpoint_ids: Iterable[int]) -> None:
    for part in in_chunks(sorted(endpoint_ids)):
        session.execute(
            update(WebhookEndpointRow)
            .where(WebhookEndpointRow.id.in_(part), WebhookEndpointRow.failing_since_s.is_not(None))
            .values(failing_since_s=None, last_error=None),
            execution_options={"synchronize_session": False},
        )


def _note_failure(session: Session, endpoint_id: int, answer: Answer, counts: Counter[str]) -> None:
    row = session.get(WebhookEndpointRow, endpoint_id, populate_existing=True)
    if row is None or row.disabled is not None:
        return
    at_s = now_s(session)
    row.failing_since_s = row.failing_since_s or at_s
    row.last_error = answer.error[:ERROR_CHARS]
    if answer.status == _GONE:
        row.disabled = "gone"
    elif row.failing_since_s < at_s - FAILING_FOR_S:
        row.disabled = "failing"
    else:
        return
    counts["disabled"] += 1
    waiting = and_(WebhookDeliveryRow.endpoint_id == endpoint_id, WebhookDeliveryRow.next_at_s.is_not(None))
    live = list(session.scalars(select(WebhookDeliveryRow.id).where(waiting, WebhookDeliveryRow.live)))
    records = list(session.scalars(select(WebhookDeliveryRow.id).where(waiting, ~WebhookDeliveryRow.live)))
    _remove(session, live)
    for part in in_chunks(records):
        session.execute(
            update(WebhookDeliveryRow)
            .where(WebhookDeliveryRow.id.in_(part))
            .values(next_at_s=None, error=f"the endpoint is disabled: {row.disabled}"),
            execution_options={"synchronize_session": False},
        )
    counts["given_up"] += len(live)
    counts["dead"] += len(records)


# What is next


def _give_up(session: Session, counts: Counter[str]) -> None:
    """Take out of the live class what nobody needs any more."""
    at_s = now_s(session)
    message, later = WebhookMessageRow, aliased(WebhookMessageRow)
    is_withdrawn = exists().where(later.card_id == message.card_id, later.type == "card.withdrawn")
    is_replaced = exists().where(
        later.card_id == message.card_id, later.type == "card.updated", later.created_at_s > message.created_at_s
    )
    is_update = message.type == "card.updated"
    useless = or_(
        message.created_at_s < at_s - LIVE_FOR_S,
        and_(message.type != "card.withdrawn", is_withdrawn),
        and_(is_update, is_replaced),
    )
    query = select(WebhookDeliveryRow.id, is_update).join(message).where(WebhookDeliveryRow.live, _is_open(at_s))
    found = session.execute(query.where(useless)).all()
    _remove(session, [delivery_id for delivery_id, _ in found])
    collapsed = sum(bool(collapses) for _, collapses in found)
    counts["collapsed"] += collapsed
    counts["given_up"] += len(found) - collapsed


def _claim(session: Session, room: int, in_flight: Mapping[int, int]) -> list[Delivery]:
    at_s = now_s(session)
    delivery, earlier = WebhookDeliveryRow, aliased(WebhookDeliveryRow)
    is_behind = exists().where(
        earlier.endpoint_id == delivery.endpoint_id,
        earlier.lane == delivery.lane,
        earlier.id < delivery.id,
        earlier.next_at_s.is_not(None),
    )
    full = [endpoint_id for endpoint_id, count in in_flight.items() if count >= MOST_AT_ONCE]
    place = func.row_number().over(partition_by=delivery.endpoint_id, order_by=(delivery.live.desc(), delivery.id))
    due = (
        select(delivery.id, delivery.endpoint_id, delivery.live, place.label("place"))
        # Both values of the index's first column.
        .where(delivery.live.in_([True, False]), delivery.next_at_s <= at_s, _is_open(at_s), ~is_behind)
        .where(delivery.endpoint_id.not_in(full))
        .subquery()
    )
    # Live ones first; every endpoint's first one before any's second.
    query = (
        select(due.c.id, due.c.endpoint_id, due.c.place, WebhookEndpointRow.failing_since_s)
        .join(WebhookEndpointRow, WebhookEndpointRow.id == due.c.endpoint_id)
        .where(due.c.place <= MOST_AT_ONCE)
        .order_by(due.c.live.desc(), due.c.place, due.c.id)
        .limit(room)
    )
    chosen = [
        delivery_id
        for delivery_id, endpoint_id, nth, failing_since_s in session.execute(query)
        if nth + in_flight.get(endpoint_id, 0) <= (MOST_AT_ONCE if failing_since_s is None else 1)
    ]
    claim = uuid.uuid4().hex
    for part in in_chunks(chosen):
        session.execute(
            update(delivery)
            .where(delivery.id.in_(part), delivery.claimed_until_s <= at_s)
            .values(claim=claim, claimed_until_s=at_s + CLAIM_S),
            execution_options={"synchronize_session": False},
        )
    rows = select(delivery, WebhookMessageRow, WebhookEndpointRow).join(WebhookMessageRow).join(WebhookEndpointRow)
    rows = rows.where(delivery.claim == claim).order_by(delivery.id).execution_options(populate_existing=True)
    return [
        Delivery(
            id=row.id,
            endpoint_id=endpoint.id,
            live=row.live,
            attempts=row.attempts,
            message_id=message.id,
            body=_complete(session, message),
            url=endpoint.url,
            secrets=secrets_of(endpoint, at_s),
        )
        for row, message, endpoint in (session.execute(rows) if chosen else ())
    ]


def _complete(session: Session, message: WebhookMessageRow) -> str:
    """The body; of `card.closed` with its figures, which stay as they are at its first try."""
    if message.type == "card.closed":
        kept = msgspec.json.decode(message.body, type=_Closed)
        card = session.get(CardRow, message.card_id)
        if kept.data.shown_at_s is None and card is not None:
            event = ViewerEventRow
            # The index has all but the card.
            counted = select(event.kind, func.count()).where(
                event.received_at_s >= card.shown_at_s,
                event.sku == card.sku,
                event.room == card.room,
                event.card_id == card.card_id,
            )
            counts = dict(session.execute(counted.group_by(event.kind)).all())
            closed = msgspec.structs.replace(
                kept.data,
                shown_at_s=card.shown_at_s,
                impressions=counts.get("impression", 0),
                clicks=counts.get("click", 0),
            )
            message.body = envelope(message.type, message.created_at_s, closed)
            session.flush()
    return message.body


class _Closed(msgspec.Struct, frozen=True):
    data: CardClosed


def _remove(session: Session, ids: Sequence[int]) -> None:
    for part in in_chunks(ids):
        session.execute(
            delete(WebhookDeliveryRow).where(WebhookDeliveryRow.id.in_(part)),
            execution_options={"synchronize_session": False},
        )
