"""Product crops that staff should look at: reported as wrong, or decided by a narrow margin.

A crop holds the product and nothing else: never the frame, never a face. Who makes crops sees to that.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, cast, get_args

import msgspec
from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from livecart.shop.database.session import audit_change, context_of, now_s
from livecart.shop.errors import Conflict, InvalidValue, NotFound
from livecart.shop.models.events import ReviewRow
from livecart.shop.repositories import negatives, photos, products
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.photo_check import SUFFIX, read_photo
from livecart.shop.schemas.product import Digest, PhotoKind, RoomName, Seconds, Sku, check_room, check_sku, to_json

ReviewState = Literal["pending", "approved", "corrected", "rejected"]
ReviewReason = Literal["wrong_report", "low_margin"]
REASONS: tuple[ReviewReason, ...] = get_args(ReviewReason)
#: Waiting crops beyond this are not taken: a broken recogniser must not fill the disk.
MOST_PENDING = 5000
#: Of a product that another was taken for: so many of its photos tell the two apart.
_TWIN_PHOTOS = 2
#: Rows that are read at once.
_PART = 500


@dataclass(frozen=True, slots=True)
class Review:
    """A product crop that staff should look at. `sku`: what the recogniser took it for."""

    id: Annotated[int, Meta(examples=[7])]
    state: ReviewState
    reason: ReviewReason
    room: RoomName
    sku: Sku
    card_id: str | None
    confidence: float | None
    crop_digest: Digest
    crop_kind: PhotoKind
    reports: int
    created_at_s: Seconds
    decided_at_s: float | None
    decided_by: str | None
    corrected_sku: str | None
    version: int


def submit(
    session: Session,
    crops: BlobFolder,
    crop: bytes,
    *,
    reason: ReviewReason,
    room: str,
    sku: str,
    card_id: str | None = None,
    confidence: float | None = None,
    reports: int = 1,
) -> Review | None:
    """Put a crop into the queue; the same crop for the same product, or a card that waits there, only counts more.

    Returns:
        The entry, or None where the queue is full.
    """
    if reason not in REASONS:
        raise InvalidValue("reason", "not_one_of", value=reason, choices=", ".join(REASONS))
    checked = read_photo(crop)
    digest = hashlib.sha256(checked.data).hexdigest()
    known = _known(session, digest, sku, card_id)
    if known is not None:
        known.reports += reports
        session.flush()
        return _review(known)
    if pending_count(session) >= MOST_PENDING:
        return None
    crops.put(checked.data, SUFFIX[checked.kind])
    row = ReviewRow(
        state="pending",
        reason=reason,
        room=check_room(room),
        sku=check_sku(sku),
        card_id=card_id,
        confidence=confidence,
        crop_digest=digest,
        crop_kind=checked.kind,
        reports=reports,
        created_at_s=now_s(session),
        version=1,
    )
    session.add(row)
    session.flush()
    return _review(row)


def decide(
    session: Session,
    crops: BlobFolder,
    photo_blobs: BlobFolder,
    review_id: int,
    state: ReviewState,
    *,
    expected_version: int,
    corrected_sku: str | None = None,
) -> Review:
    """Say what a crop shows. Approved, it becomes a photo of its product; corrected, of the other one.

    Corrected or rejected, it becomes a negative of the product that it was taken for, as long as that is there. The two
    products of a correction are twins: photos of the one become negatives of the other as well.

    Raises:
        NotFound: no such entry, or no such product, or the crop's file is gone.
        Conflict: somebody else decided it.
        InvalidValue: `corrected` without another product's sku, or a sku where none belongs.
    """
    row = session.scalar(select(ReviewRow).where(ReviewRow.id == review_id).with_for_update())
    if row is None:
        raise NotFound("no_review", id=review_id)
    if row.version != expected_version or row.state != "pending":
        yours = {"state": state, "corrected_sku": corrected_sku}
        raise Conflict(
            "review_decided", theirs=to_json(_review(row)), yours=yours, id=review_id, who=str(row.decided_by)
        )
    if state not in {"approved", "corrected", "rejected"}:
        raise InvalidValue("state", "not_one_of", value=state, choices="approved, corrected, rejected")
    if (state == "corrected") != (corrected_sku is not None) or corrected_sku == row.sku:
        raise InvalidValue("corrected_sku", "corrected_sku_wrong")
    shown = corrected_sku or row.sku
    suffix = SUFFIX[cast(PhotoKind, row.crop_kind)]
    crop = crops.read(row.crop_digest, suffix)
    if state != "rejected":
        photos.add(session, photo_blobs, shown, crop, name=f"review-{row.crop_digest[:16]}.{suffix}")
    taken_for = None if state == "approved" else products.find(session, row.sku)
    if taken_for is not None:
        negatives.add(session, photo_blobs, row.sku, crop)
        if corrected_sku is not None:
            # Else the crop, which was cut out of a stream, would be taken for either of them in a stream.
            for photo in taken_for.photos[:_TWIN_PHOTOS]:
                negatives.add(session, photo_blobs, corrected_sku, photo_blobs.read(photo.digest, SUFFIX[photo.kind]))
    row.state, row.corrected_sku, row.version = state, corrected_sku, row.version + 1
    row.decided_at_s, row.decided_by = now_s(session), context_of(session).who
    session.flush()
    after = {"id": review_id, "state": state, "sku": shown}
    audit_change(session, "decide", subject="review", name=row.sku, after=after)
    return _review(row)


def get(session: Session, review_id: int) -> Review:
    row = session.get(ReviewRow, review_id)
    if row is None:
        raise NotFound("no_review", id=review_id)
    return _review(row)


def queue(session: Session, *, state: ReviewState = "pending", after_id: int = 0, limit: int = 50) -> list[Review]:
    """Entries of a state, oldest first, from behind `after_id`."""
    query = select(ReviewRow).where(ReviewRow.state == state, ReviewRow.id > after_id)
    return [_review(row) for row in session.scalars(query.order_by(ReviewRow.id).limit(limit))]


def every(session: Session) -> Iterator[Review]:
    """All entries, oldest first."""
    for row in session.scalars(select(ReviewRow).order_by(ReviewRow.id).execution_options(yield_per=_PART)):
        yield _review(row)


def pending_count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(ReviewRow).where(ReviewRow.state == "pending")) or 0


def _known(session: Session, digest: str, sku: str, card_id: str | None) -> ReviewRow | None:
    same = (ReviewRow.crop_digest == digest) & (ReviewRow.sku == sku)
    if card_id is not None:
        same |= (ReviewRow.card_id == card_id) & (ReviewRow.state == "pending")
    return session.scalar(select(ReviewRow).where(same).order_by(ReviewRow.id).limit(1).with_for_update())


def _review(row: ReviewRow) -> Review:
    return msgspec.convert(row, Review, from_attributes=True)
