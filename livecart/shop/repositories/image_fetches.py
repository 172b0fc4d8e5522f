"""Pictures that a product names by URL, on their way to become its photos. The feed's stay apart from the staff's."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from livecart.shop.database.session import now_s
from livecart.shop.errors import InvalidValue, NotFound
from livecart.shop.models.image_fetches import REASON_CHARS, ImageFetchRow
from livecart.shop.models.products import PhotoRow, ProductRow
from livecart.shop.repositories import photos, products
from livecart.shop.repositories.blobs import BlobFolder

ImageState = Literal["pending", "in", "refused"]
#: Who takes a picture has it for so long; what a killed process took is taken by the next one then.
_LEASE_S = 120.0
#: With an ETag a picture is asked for again after so long, which costs its server a header.
_AGAIN_AFTER_S = 86_400.0
#: Waits between the tries of what may come yet; after the last one it is refused.
_RETRY_S = (60.0, 300.0, 1800.0, 7200.0, 21_600.0, 86_400.0)


@dataclass(frozen=True, slots=True)
class Due:
    """A picture to fetch now. `etag`: of the photo that is there already."""

    id: int
    sku: str
    url: str
    etag: str | None


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that a product names, and how far it is."""

    url: Annotated[str, Meta(examples=["https://cdn.example.com/1001.jpg"])]
    state: ImageState
    reason: Annotated[str | None, Meta(description="Why it is refused, or was not there yet.")]


def take(session: Session, limit: int) -> list[Due]:
    """Pictures that are due, oldest first; nobody else takes them for two minutes."""
    at_s = now_s(session)
    query = (
        select(ImageFetchRow, ProductRow.sku)
        .join(ProductRow, ProductRow.id == ImageFetchRow.product_id)
        .where(ImageFetchRow.next_try_at_s <= at_s, ImageFetchRow.state != "replaced")
        .order_by(ImageFetchRow.next_try_at_s, ImageFetchRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=ImageFetchRow)
    )
    due = []
    for row, sku in session.execute(query):
        row.next_try_at_s = at_s + _LEASE_S
        due.append(Due(row.id, sku, row.url, row.etag))
    return due


def keep(session: Session, blobs: BlobFolder, due: Due, data: bytes, etag: str | None) -> None:
    """The picture, of `check_photo`, becomes a photo of its product; one that it had before goes."""
    row = session.get(ImageFetchRow, due.id)
    if row is None or row.state == "replaced":
        return  # meanwhile the feed named others
    before = row.digest
    try:
        had = {photo.digest for photo in products.get(session, due.sku).photos}
        now = {photo.digest for photo in photos.add(session, blobs, due.sku, data, name=_name_of(due.url)).photos}
    except NotFound:
        return
    except InvalidValue as error:
        _end(row, "refused", str(error))
        return
    new = now - had
    if new:
        row.digest = new.pop()
        if before:
            _drop_photo(session, row, due.sku, before)
    _end(row, "in", None, etag, now_s(session) + _AGAIN_AFTER_S if etag else None)


def unchanged(session: Session, due: Due) -> None:
    """The picture is as it was."""
    if (row := session.get(ImageFetchRow, due.id)) is not None and row.state == "in":
        row.next_try_at_s, row.tries = now_s(session) + _AGAIN_AFTER_S, 0


def refuse(session: Session, due: Due, reason: str, *, may_come: bool = False, after_s: float = 0.0) -> None:
    """The picture did not come. `may_come`: it is tried again, after `after_s` at the soonest."""
    row = session.get(ImageFetchRow, due.id)
    if row is None or row.state == "replaced":
        return
    if row.state == "in":
        # What was fetched once stays, whatever has become of it there.
        row.next_try_at_s = now_s(session) + _AGAIN_AFTER_S
    elif may_come and row.tries < len(_RETRY_S):
        row.next_try_at_s = now_s(session) + max(_RETRY_S[row.tries], after_s)
        row.tries += 1
        row.reason = reason[:REASON_CHARS]
    else:
        _end(row, "refused", reason)


def drop_replaced(session: Session, limit: int = 200) -> int:
    """Take away photos that feeds name no more, of products that wait for no other picture; how many pictures."""
    other = aliased(ImageFetchRow)
    waits = exists().where(other.product_id == ImageFetchRow.product_id, other.state == "pending", other.tries < 2)
    query = (
        select(ImageFetchRow, ProductRow.sku)
        .join(ProductRow, ProductRow.id == ImageFetchRow.product_id)
        .where(ImageFetchRow.next_try_at_s <= now_s(session), ImageFetchRow.state == "replaced", ~waits)
        .limit(limit)
    )
    dropped = session.execute(query).all()
    for row, sku in dropped:
        if row.digest:
            _drop_photo(session, row, sku, row.digest)
        session.delete(row)
    return len(dropped)


def of_product(session: Session, sku: str) -> list[Image]:
    """The pictures that a product names, in their order."""
    query = (
        select(ImageFetchRow)
        .join(ProductRow, ProductRow.id == ImageFetchRow.product_id)
        .where(ProductRow.sku == sku, ImageFetchRow.state != "replaced")
        .order_by(ImageFetchRow.position)
    )
    return [Image(row.url, row.state, row.reason) for row in session.scalars(query)]  # type: ignore[arg-type]


def counts(session: Session, source: str | None = None) -> dict[ImageState, int]:
    """Pictures by state; of one feed's products, or of all."""
    query = select(ImageFetchRow.state, func.count()).where(ImageFetchRow.state != "replaced")
    if source is not None:
        query = query.join(ProductRow, ProductRow.id == ImageFetchRow.product_id).where(ProductRow.source == source)
    found = dict(session.execute(query.group_by(ImageFetchRow.state)).all())
    return {state: found.get(state, 0) for state in ("pending", "in", "refused")}


def _end(
    row: ImageFetchRow,
    state: ImageState,
    reason: str | None,
    etag: str | None = None,
    next_try_at_s: float | None = None,
) -> None:
    row.state, row.reason, row.etag = state, reason and reason[:REASON_CHARS], etag
    row.tries, row.next_try_at_s = 0, next_try_at_s


def _drop_photo(session: Session, row: ImageFetchRow, sku: str, digest: str) -> None:
    """Unless another picture of the product is the same, or staff took it away."""
    others = (ImageFetchRow.product_id == row.product_id, ImageFetchRow.digest == digest, ImageFetchRow.id != row.id)
    is_shared = session.scalar(select(exists().where(*others)))
    has = session.scalar(select(exists().where(PhotoRow.product_id == row.product_id, PhotoRow.digest == digest)))
    if has and not is_shared:
        photos.remove(session, sku, digest)


def _name_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]
