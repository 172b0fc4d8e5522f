"""Routes of cards that were shown, what viewers did with them, figures, and crops that staff should look at."""

import re
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Response
from msgspec import Meta
from sqlalchemy.orm import Session

from livecart.shop import chapters
from livecart.shop.api.openapi import Json
from livecart.shop.api.operations import KIB, Cursor, IdPath, Limit, Room, RoomPath, Writer, Writing, reads, writes
from livecart.shop.api.photos import IMAGES
from livecart.shop.api.request_schemas import DecisionBody, EventsBody
from livecart.shop.chapters import ChapterFormat
from livecart.shop.errors import InvalidValue, NotFound
from livecart.shop.files import image_reply
from livecart.shop.repositories import cards, reviews, viewer_events
from livecart.shop.repositories.photo_check import SUFFIX
from livecart.shop.repositories.reviews import Review, ReviewState
from livecart.shop.repositories.viewer_events import CountedCard, Figures, ViewerEvent
from livecart.shop.schemas.product import Seconds
from livecart.shop.service import CatalogService

_CURSOR = re.compile(r"(\d{1,12}(?:\.\d{1,12})?):([!-~]{1,32})")
_DAY_S = 86_400.0
_CHAPTERS_CONTENT: dict[str, dict[str, str]] = {media_type: {} for media_type, _ in chapters.FORMATS.values()}
_EVENTS_BYTES = 512 * KIB
Since = Annotated[
    float | None,
    Query(ge=0, le=1e11, allow_inf_nan=False, description="UNIX time; without it the last 24 hours."),
]


class CardPage(msgspec.Struct):
    """The newest cards first."""

    cards: list[CountedCard]
    next_cursor: Annotated[str | None, Meta(examples=["1760000000.5:0123456789abcdef"])]


class RecordedEvents(msgspec.Struct):
    """Counts of the events that were kept, were known already, and named no card of ours."""

    kept: Annotated[int, Meta(examples=[1])]
    known: int
    unknown_card: int


class FigureList(msgspec.Struct):
    """Those with the most cards first."""

    since_s: Seconds
    figures: list[Figures]


class ReviewPage(msgspec.Struct):
    """Oldest first. `pending`: how many wait in all."""

    reviews: list[Review]
    pending: Annotated[int, Meta(examples=[1])]
    next_cursor: Annotated[int | None, Meta(examples=[7])]


def add_shown(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/cards`, `/rooms/{room}/chapters`, `/viewer-events`, `/figures`."""
    store = service.store

    @router.get("/cards", **reads())
    def list_cards(
        room: Room = None,
        sku: Annotated[str | None, Query(max_length=128, description="Only of this product.")] = None,
        cursor: Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")] = None,
        limit: Limit = 50,
    ) -> Json[CardPage]:
        """Cards that were shown, newest first, with the link and price of that moment, and their clicks and sales."""
        with store.read() as session:
            shown = cards.latest(session, room=room, sku=sku, before=_before(cursor), limit=limit)
            found = viewer_events.counted(session, shown)
        last = found[-1] if len(found) == limit else None
        return Json(CardPage(found, f"{last.shown_at_s!r}:{last.card_id}" if last else None))

    @router.get("/cards/{card_id}", **reads())
    def read_card(card_id: Annotated[str, Path(max_length=32, examples=["0123456789abcdef"])]) -> Json[CountedCard]:
        """A card as it was shown, with its clicks and sales until now."""
        with store.read() as session:
            card = cards.find(session, card_id)
            if card is None:
                raise NotFound("no_card", id=card_id)
            return Json(viewer_events.counted(session, [card])[0])

    @router.get(
        "/rooms/{room}/chapters",
        response_class=Response,
        **reads(responses={200: {"content": _CHAPTERS_CONTENT, "description": "Chapters of the recording"}}),
    )
    def read_chapters(
        room: RoomPath,
        start_s: Annotated[float, Query(ge=0, le=1e11, allow_inf_nan=False, description="UNIX time of its beginning.")],
        end_s: Annotated[
            float | None, Query(ge=0, le=1e11, allow_inf_nan=False, description="Of its end; without it now.")
        ] = None,
        form: Annotated[ChapterFormat, Query(alias="format")] = "csv",
    ) -> Response:
        """Products explained in a recording of the room: a row or chapter for each, with its times and clicks."""
        with store.read() as session:
            found = chapters.of_room(session, room, start_s=start_s, end_s=store.now_s() if end_s is None else end_s)
        media_type, write = chapters.FORMATS[form]
        return Response(write(found), media_type=media_type)

    @router.post("/viewer-events", **writes(most_bytes=_EVENTS_BYTES))
    def record_events(body: EventsBody, caller: Writing) -> Json[RecordedEvents]:
        """Keep what viewers did, for shops that collect it themselves. Each counts once, however often it is sent."""
        events = [ViewerEvent(**event.model_dump()) for event in body.events]

        def record(session: Session) -> Json[RecordedEvents]:
            done = viewer_events.record(session, events)
            return Json(RecordedEvents(done.kept, done.known, done.unknown_card))

        return writer.run(caller, record)

    @router.get("/figures/products", **reads())
    def product_figures(since_s: Since = None, limit: Limit = 50) -> Json[FigureList]:
        """Shows, clicks, sales, reports and rates of products, those with the most cards first."""
        from_s = store.now_s() - _DAY_S if since_s is None else since_s
        with store.read() as session:
            return Json(FigureList(from_s, viewer_events.by_product(session, since_s=from_s, limit=limit)))

    @router.get("/figures/rooms", **reads())
    def room_figures(since_s: Since = None, limit: Limit = 50) -> Json[FigureList]:
        """The same of rooms."""
        from_s = store.now_s() - _DAY_S if since_s is None else since_s
        with store.read() as session:
            return Json(FigureList(from_s, viewer_events.by_room(session, since_s=from_s, limit=limit)))


def add_reviews(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/reviews`."""
    store = service.store

    @router.get("/reviews", **reads())
    def list_reviews(
        state: Annotated[ReviewState, Query(description="Only in this state.")] = "pending",
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Json[ReviewPage]:
        """Crops to look at, oldest first. They are deleted after 30 days."""
        with store.read() as session:
            found = reviews.queue(session, state=state, after_id=cursor or 0, limit=limit)
            pending = reviews.pending_count(session)
        next_cursor = found[-1].id if len(found) == limit else None
        return Json(ReviewPage(found, pending, next_cursor))

    @router.get(
        "/reviews/{review_id}/crop",
        response_class=Response,
        **reads(responses={200: {"content": IMAGES, "description": "The crop"}}),
    )
    def read_crop(review_id: IdPath) -> Response:
        """The crop: the product and nothing else, never the frame, never a face."""
        with store.read() as session:
            review = reviews.get(session, review_id)
        data = service.crops.read(review.crop_digest, SUFFIX[review.crop_kind])
        return image_reply(data, review.crop_kind, review.crop_digest)

    @router.post("/reviews/{review_id}/decision", **writes())
    def decide(review_id: IdPath, body: DecisionBody, caller: Writing) -> Json[Review]:
        """Say what it shows: approved or corrected, it becomes a photo of that product; rejected, a negative."""

        def work(session: Session) -> Json[Review]:
            decided = reviews.decide(
                session,
                service.crops,
                service.photos,
                review_id,
                body.state,
                expected_version=body.version,
                corrected_sku=body.corrected_sku,
            )
            return Json.versioned(decided, decided.version)

        return writer.run(caller, work)


def _before(cursor: str | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidValue("cursor", "cursor_unknown")
    return float(found[1]), found[2]
