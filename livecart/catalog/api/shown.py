"""Routes of what was shown: cards, what viewers did with them, figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Response

from livecart.catalog.api.answers.shown import CardAnswer, CardPage, FiguresAnswer, RecordedAnswer
from livecart.catalog.api.bodies import EventsBody
from livecart.catalog.api.operations import KIB, Limit, Room, Writer, Writing, json_reply, reads, writes
from livecart.catalog.records import cards, viewer_events
from livecart.catalog.records.viewer_events import Figures, ViewerEvent
from livecart.catalog.service import CatalogService
from livecart.errors import InvalidValue, NotFound

_CURSOR = re.compile(r"(\d{1,12}(?:\.\d{1,12})?):([!-~]{1,32})")
_DAY_S = 86_400.0
_EVENTS_BYTES = 512 * KIB
Since = Annotated[
    float | None,
    Query(ge=0, le=1e11, allow_inf_nan=False, description="UNIX time; without it the last 24 hours."),
]


def add_shown(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/cards`, `/viewer-events`, `/figures`."""
    store = service.store

    @router.get("/cards", response_model=CardPage, **reads())
    def list_cards(
        room: Room = None,
        sku: Annotated[str | None, Query(max_length=128, description="Only of this product.")] = None,
        cursor: Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")] = None,
        limit: Limit = 50,
    ) -> Response:
        """Cards that were shown, newest first, with the link and price of that moment."""
        with store.read() as session:
            found = cards.latest(session, room=room, sku=sku, before=_before(cursor), limit=limit)
        last = found[-1] if len(found) == limit else None
        return json_reply({"cards": found, "next_cursor": last and f"{last.shown_at_s!r}:{last.card_id}"})

    @router.get("/cards/{card_id}", response_model=CardAnswer, **reads())
    def read_card(card_id: Annotated[str, Path(max_length=32, examples=["0123456789abcdef"])]) -> Response:
        """A card as it was shown."""
        with store.read() as session:
            card = cards.find(session, card_id)
        if card is None:
            raise NotFound(f"no card has id {card_id!r}")
        return json_reply(card)

    @router.post("/viewer-events", response_model=RecordedAnswer, **writes(most_bytes=_EVENTS_BYTES))
    def record_events(body: EventsBody, caller: Writing) -> Response:
        """Keep what viewers did, for shops that collect it themselves. Each counts once, however often it is sent."""
        events = [ViewerEvent(**event.model_dump()) for event in body.events]

        def record(session: Any) -> Response:
            done = viewer_events.record(session, events)
            return json_reply({"kept": done.kept, "known": done.known, "unknown_card": done.unknown_card})

        return writer.run(caller, record)

    @router.get("/figures/products", response_model=FiguresAnswer, **reads())
    def product_figures(since_s: Since = None, limit: Limit = 50) -> Response:
        """Shows, clicks, reports and rates of products, those with the most cards first."""
        from_s = store.now_s() - _DAY_S if since_s is None else since_s
        with store.read() as session:
            return _figures(from_s, viewer_events.by_product(session, since_s=from_s, limit=limit))

    @router.get("/figures/rooms", response_model=FiguresAnswer, **reads())
    def room_figures(since_s: Since = None, limit: Limit = 50) -> Response:
        """The same of rooms."""
        from_s = store.now_s() - _DAY_S if since_s is None else since_s
        with store.read() as session:
            return _figures(from_s, viewer_events.by_room(session, since_s=from_s, limit=limit))


def _figures(since_s: float, found: Sequence[Figures]) -> Response:
    figures = [
        {**msgspec.to_builtins(figure), "click_rate": figure.click_rate, "wrong_rate": figure.wrong_rate}
        for figure in found
    ]
    return json_reply({"since_s": since_s, "figures": figures})


def _before(cursor: str | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidValue("cursor", "is no `next_cursor` of a page of cards")
    return float(found[1]), found[2]
