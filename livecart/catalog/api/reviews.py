"""Routes of the review queue: crops that staff should look at."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from livecart.catalog.api.answers.shown import ReviewAnswer, ReviewsAnswer
from livecart.catalog.api.bodies import DecisionBody
from livecart.catalog.api.operations import (
    Cursor,
    IdPath,
    Limit,
    Writer,
    Writing,
    json_reply,
    reads,
    versioned_reply,
    writes,
)
from livecart.catalog.api.photos import IMAGES, image_reply
from livecart.catalog.records import reviews
from livecart.catalog.records.photo_check import SUFFIX
from livecart.catalog.records.reviews import ReviewState
from livecart.catalog.service import CatalogService


def add_reviews(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/reviews`."""
    store = service.store

    @router.get("/reviews", response_model=ReviewsAnswer, **reads())
    def list_reviews(
        state: Annotated[ReviewState, Query(description="Only in this state.")] = "pending",
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """Crops to look at, oldest first. They are deleted after 30 days."""
        with store.read() as session:
            found = reviews.queue(session, state=state, after_id=cursor or 0, limit=limit)
            pending = reviews.pending_count(session)
        next_cursor = found[-1].id if len(found) == limit else None
        return json_reply({"reviews": found, "pending": pending, "next_cursor": next_cursor})

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

    @router.post("/reviews/{review_id}/decision", response_model=ReviewAnswer, **writes())
    def decide(review_id: IdPath, body: DecisionBody, caller: Writing) -> Response:
        """Say what it shows: approved or corrected, it becomes a photo of that product; rejected, a negative."""

        def work(session: Session) -> Response:
            decided = reviews.decide(
                session,
                service.crops,
                service.photos,
                review_id,
                body.state,
                expected_version=body.version,
                corrected_sku=body.corrected_sku,
            )
            return versioned_reply(decided, decided.version)

        return writer.run(caller, work)
