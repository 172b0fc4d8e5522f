"""Pictures that a product names by URL, on their way to become its photos. The feed's stay apart from the staff's."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Literal, cast, get_args

import msgspec
from msgspec import Meta
from sqlalchemy import exists, func, select
from sqlalchemy import update as sql_update
from sqlalchemy.orm import Session, aliased

from livecart.core.printable import printable
from livecart.shop.database.session import context_of, now_s
from livecart.shop.errors import CatalogError, InvalidValue, NotFound
from livecart.shop.models.image_fetches import REASON_CHARS, ImageFetchRow
from livecart.shop.models.products import PhotoRow, ProductRow
from livecart.shop.repositories import photos, products
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.photo_bytes import PhotoBytes
from livecart.shop.repositories.photo_check import SUFFIX

ImageState = Literal["pending", "in", "refused", "held", "left_out"]
#: Of which some may be due, in the order in which they are fetched.
_FETCHED: tuple[ImageState, ...] = ("pending", "in", "refused")
#: Of a reason's parameter: what a library says may be long.
_PARAM_CHARS = 60
_MOST_REASONS = 8
#: Why a picture of this layout is held.
_LAYOUTS = {"collage": InvalidValue("photo", "image_collage"), "text": InvalidValue("photo", "image_text")}
#: Who takes a picture has it for so long; what a killed process took is taken by the next one then.
_LEASE_S = 600.0
#: A photo that is to go is looked at again after so long, while its successors are on their way.
_LOOK_AGAIN_S = 60.0
#: Of one host, in one taking: a slow one leaves places to the others.
_MOST_PER_HOST = 8


@dataclass(frozen=True, slots=True)
class Due:
    """A picture to fetch now. `etag`: of the photo that is there; `tries`: failed ones so far."""

    id: int
    sku: str
    url: str
    host: str
    etag: str | None
    tries: int


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that a product names, and how far it is. `held`: a person decides; `left_out`: one has."""

    url: Annotated[str, Meta(examples=["https://cdn.example.com/1001.jpg"])]
    state: ImageState
    code: Annotated[str | None, Meta(description="Why it is not in, or was not there yet: a reason of the table.")]
    reason: Annotated[str | None, Meta(description="The same in words.")]
    digest: Annotated[str | None, Meta(description="Of the photo that it is, or would be.")]


@dataclass(frozen=True, slots=True)
class Images:
    """The pictures of a feed by state, and what keeps those from coming in that are not, the most frequent first."""

    states: Mapping[ImageState, int]
    reasons: Sequence[tuple[CatalogError, int]]


def take(session: Session, limit: int, *, but_of: Collection[str] = ()) -> list[Due]:
    """Pictures that are due, new ones first, of other hosts than `but_of`; nobody else takes them for ten minutes."""
    at_s = now_s(session)
    due: list[Due] = []
    of_host: Counter[str] = Counter()
    for state in _FETCHED:
        query = (
            select(ImageFetchRow, ProductRow.sku)
            .join(ProductRow, ProductRow.id == ImageFetchRow.product_id)
            .where(ImageFetchRow.state == state, ImageFetchRow.next_try_at_s <= at_s)
            .where(ImageFetchRow.host.not_in(list(but_of)))
            .order_by(ImageFetchRow.next_try_at_s)
            .limit(4 * limit)
            .with_for_update(skip_locked=True, of=ImageFetchRow)
        )
        for row, sku in session.execute(query):
            if len(due) < limit and of_host[row.host] < _MOST_PER_HOST:
                of_host[row.host] += 1
                row.next_try_at_s = at_s + _LEASE_S
                due.append(Due(row.id, sku, row.url, row.host, row.etag, row.tries))
    return due


def keep(
    session: Session, blobs: BlobFolder, due: Due, photo: PhotoBytes, *, etag: str | None, again_s: float | None
) -> bool:
    """The picture, of `check_photo`, becomes a photo of its product; the one that it was before goes.

    One that is no single photo is held until a person decides; where it had been one, that one stays.
    False: it is held.
    `again_s`: seconds until it is asked for again; None: never.
    """
    digest = hashlib.sha256(photo.data).hexdigest()
    try:
        product_id = products.id_of(session, due.sku, lock=True)
    except NotFound:
        return True
    row = _row(session, due)
    if row is None:
        return True
    row.etag, before = etag, row.digest
    if photo.layout and not _has_photo(session, product_id, digest):
        if row.state == "in" or before:
            _end(session, row, "in", None, again_s)
            return True
        row.digest = blobs.put(photo.data, SUFFIX[photo.kind])
        _end(session, row, "held", _LAYOUTS[photo.layout], None)
        return False
    context_of(session).change.can_wait = True
    if before != digest:
        if not _has_photo(session, product_id, digest):
            try:
                photos.add(session, blobs, due.sku, photo.data, name=_name_of(due.url))
            except InvalidValue as error:
                refuse(session, due, error, again_s=again_s)
                return True
            row.digest = digest
        else:
            row.digest = digest if _is_shared(session, row, digest) else None
        if before:
            _drop_photo(session, row, due.sku, before)
    # Else it is as it was, also where staff have taken the photo away.
    _end(session, row, "in", None, again_s)
    return True


def use_held(session: Session, blobs: BlobFolder, sku: str, digest: str) -> None:
    """A person takes a picture that was held."""
    for row in _held(session, sku, digest):
        photos.add(session, blobs, sku, _bytes(blobs, digest), name=_name_of(row.url))
        _end(session, row, "in", None, None)


def leave_out(session: Session, sku: str, digest: str) -> None:
    """A person takes none of a picture that was held; it does not come back under this address."""
    for row in _held(session, sku, digest):
        row.digest = None
        _end(session, row, "left_out", _error(row.reason), None)


def held_file(session: Session, blobs: BlobFolder, sku: str, digest: str) -> bytes:
    """The bytes of a picture that is held."""
    _held(session, sku, digest, lock=False)
    return _bytes(blobs, digest)


def held_digests(session: Session) -> set[str]:
    """Of every picture that is held: what a sweep keeps."""
    return set(session.scalars(select(ImageFetchRow.digest).where(ImageFetchRow.state == "held")))


def unchanged(session: Session, due: Due, *, again_s: float) -> None:
    """The picture is as it was."""
    if (row := _row(session, due)) is not None:
        _end(session, row, "in", None, again_s)


def refuse(session: Session, due: Due, why: CatalogError, *, again_s: float | None) -> None:
    """The picture is none, or is not to be had. One that is in stays, whatever has become of it there."""
    row = _row(session, due)
    if row is not None and row.state == "in":
        _end(session, row, "in", _error(row.reason), again_s)
    elif row is not None:
        _end(session, row, "refused", why, again_s)


def put_off(session: Session, due: Due, why: CatalogError, *, again_s: float, counts: bool) -> None:
    """The picture may come yet. `counts`: this was one of its tries."""
    if (row := _row(session, due)) is not None:
        row.tries += counts
        row.next_try_at_s = now_s(session) + again_s
        if row.state != "in":
            row.reason = _written(why)


def drop_replaced(session: Session, limit: int = 100) -> int:
    """Take away photos of pictures that are named no more, of products that have their successors; how many.

    Where none came in, or none is named, the last ones stay: a feed that lost its pictures takes nothing away.
    """
    at_s = now_s(session)
    query = (
        select(ImageFetchRow, ProductRow.sku)
        .join(ProductRow, ProductRow.id == ImageFetchRow.product_id)
        .where(ImageFetchRow.state == "replaced", ImageFetchRow.next_try_at_s <= at_s)
        .limit(limit)
        .with_for_update(skip_locked=True, of=ImageFetchRow)
    )
    other = aliased(ImageFetchRow)
    dropped = 0
    for row, sku in session.execute(query).all():
        states = dict(
            session.execute(
                select(other.state, func.min(other.tries))
                .where(other.product_id == row.product_id, other.state != "replaced")
                .group_by(other.state)
            ).all()
        )
        if not states:
            row.next_try_at_s = None
        elif "in" not in states or states.get("pending") == 0:
            row.next_try_at_s = at_s + _LOOK_AGAIN_S
        else:
            if row.digest:
                _drop_photo(session, row, sku, row.digest)
            session.delete(row)
            session.flush()
            dropped += 1
    return dropped


def ask_again(session: Session) -> int:
    """Refused pictures are due now; how many."""
    changed = sql_update(ImageFetchRow).where(ImageFetchRow.state == "refused")
    done = session.execute(changed.values(state="pending", tries=0, next_try_at_s=now_s(session)))
    return int(done.rowcount)  # type: ignore[attr-defined]


def of_product(session: Session, sku: str, *, language: str = "en") -> list[Image]:
    """The pictures that a product names, in their order; reasons in Chinese (`zh`) or English."""
    query = (
        select(ImageFetchRow)
        .join(ProductRow, ProductRow.id == ImageFetchRow.product_id)
        .where(ProductRow.sku == sku, ImageFetchRow.state != "replaced")
        .order_by(ImageFetchRow.position)
    )
    return [_image(row, language) for row in session.scalars(query)]


def counts(session: Session) -> dict[ImageState, int]:
    """Pictures by state."""
    found = dict(session.execute(select(ImageFetchRow.state, func.count()).group_by(ImageFetchRow.state)).all())
    return {state: found.get(state, 0) for state in get_args(ImageState)}


def by_source(session: Session) -> dict[str, Images]:
    """Pictures of each feed; "" are those of products that no feed owns."""
    query = (
        select(ProductRow.source, ImageFetchRow.state, ImageFetchRow.reason, func.count())
        .join(ProductRow, ProductRow.id == ImageFetchRow.product_id)
        .where(ImageFetchRow.state != "replaced")
        .group_by(ProductRow.source, ImageFetchRow.state, ImageFetchRow.reason)
        .order_by(func.count().desc())
    )
    states: defaultdict[str, Counter[ImageState]] = defaultdict(Counter)
    reasons: defaultdict[str, list[tuple[CatalogError, int]]] = defaultdict(list)
    for source, state, reason, count in session.execute(query):
        of = source or ""
        states[of][cast(ImageState, state)] += count
        if state != "in" and len(reasons[of]) < _MOST_REASONS and (why := _error(reason)):
            reasons[of].append((why, count))
    return {source: Images(states[source], reasons[source]) for source in sorted(states)}


def skus_with_held(session: Session, limit: int) -> list[str]:
    """Products of which a picture is held, `limit` at most."""
    query = (
        select(ProductRow.sku)
        .join(ImageFetchRow, ProductRow.id == ImageFetchRow.product_id)
        .where(ImageFetchRow.state == "held")
        .distinct()
        .order_by(ProductRow.sku)
        .limit(limit)
    )
    return list(session.scalars(query))


def _row(session: Session, due: Due) -> ImageFetchRow | None:
    """The picture as it stands now, locked, unless its product names others by now."""
    row = session.get(ImageFetchRow, due.id, populate_existing=True, with_for_update=True)
    return None if row is None or row.state == "replaced" else row


def _image(row: ImageFetchRow, language: str) -> Image:
    why = _error(row.reason)
    text = row.reason if why is None else why.text(language)
    return Image(row.url, row.state, why and why.reason, text, row.digest)  # type: ignore[arg-type]


def _written(why: CatalogError | None) -> str | None:
    """A reason as the table keeps it: its code, a blank, its parameters as JSON."""
    if why is None:
        return None
    params = {name: printable(p)[:_PARAM_CHARS] if isinstance(p, str) else p for name, p in why.params.items()}
    return f"{why.reason} {msgspec.json.encode(params).decode()}"[:REASON_CHARS]


def _error(reason: str | None) -> CatalogError | None:
    """The reason that `_written` wrote; None also where another version of livecart wrote it."""
    code, _, params = (reason or "").partition(" ")
    with suppress(msgspec.DecodeError, KeyError, TypeError):
        error = CatalogError(code, **msgspec.json.decode(params))
        error.text()
        return error
    return None


def _held(session: Session, sku: str, digest: str, *, lock: bool = True) -> list[ImageFetchRow]:
    product_id = products.id_of(session, sku, lock=lock)
    held = (ImageFetchRow.product_id == product_id, ImageFetchRow.state == "held", ImageFetchRow.digest == digest)
    rows = list(session.scalars(select(ImageFetchRow).where(*held)))
    if not rows:
        raise NotFound("no_held_image", sku=sku, digest=digest)
    return rows


def _bytes(blobs: BlobFolder, digest: str) -> bytes:
    suffix = next((each for each in SUFFIX.values() if blobs.path(digest, each).exists()), "jpg")
    return blobs.read(digest, suffix)


def _end(
    session: Session, row: ImageFetchRow, state: ImageState, why: CatalogError | None, again_s: float | None
) -> None:
    row.state, row.reason, row.tries = state, _written(why), 0
    row.next_try_at_s = None if again_s is None else now_s(session) + again_s


def _has_photo(session: Session, product_id: int, digest: str) -> bool:
    return bool(session.scalar(select(exists().where(PhotoRow.product_id == product_id, PhotoRow.digest == digest))))


def _is_shared(session: Session, row: ImageFetchRow, digest: str) -> bool:
    """True where another picture of the product brought the same photo."""
    others = (ImageFetchRow.product_id == row.product_id, ImageFetchRow.digest == digest, ImageFetchRow.id != row.id)
    return bool(session.scalar(select(exists().where(*others, ImageFetchRow.state != "held"))))


def _drop_photo(session: Session, row: ImageFetchRow, sku: str, digest: str) -> None:
    """Unless another picture of the product is the same, or staff took it away."""
    if _has_photo(session, row.product_id, digest) and not _is_shared(session, row, digest):
        context_of(session).change.can_wait = True
        photos.remove(session, sku, digest)


def _name_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]
