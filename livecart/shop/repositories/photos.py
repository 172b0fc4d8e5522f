"""Photos of products: rows in the database, bytes in a folder by their digest."""

from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec
from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from livecart.shop.database.session import audit_change, now_s
from livecart.shop.errors import InvalidValue, NotFound
from livecart.shop.models.products import PhotoRow
from livecart.shop.repositories import products
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.photo_check import SUFFIX, read_photo
from livecart.shop.repositories.product_rows import photos_of
from livecart.shop.schemas.product import PhotoInfo, Product

#: Of one product: more views no longer help, and each costs every frame.
MOST_PER_PRODUCT = 50
_NAME_CHARS = 255


def add(session: Session, blobs: BlobFolder, sku: str, data: bytes, *, name: str = "") -> Product:
    """Add a photo to a product; one that it has already changes nothing.

    Args:
        session: of `Store.write`.
        blobs: where the bytes go; they stay there unused where the transaction is undone, until `BlobFolder.sweep`.
        sku: whose it is.
        data: JPEG, PNG or WebP, of `check_photo` where a stranger sent it: decoding would hold the transaction.
        name: what it was called; only its last part is kept, and never used as a path.
    """
    checked = read_photo(data)
    product_id = products.id_of(session, sku, lock=True)
    digest = blobs.put(checked.data, SUFFIX[checked.kind])
    known = photos_of(session, [product_id])[product_id]
    if any(photo.digest == digest for photo in known):
        return products.get(session, sku)
    if len(known) >= MOST_PER_PRODUCT:
        raise InvalidValue("photo", "photos_full", sku=sku, most=MOST_PER_PRODUCT)
    row = PhotoRow(
        product_id=product_id,
        digest=digest,
        kind=checked.kind,
        name=_safe_name(name) or f"{digest[:16]}.{SUFFIX[checked.kind]}",
        width_px=checked.width_px,
        height_px=checked.height_px,
        size_bytes=len(checked.data),
        created_at_s=now_s(session),
    )
    session.add(row)
    session.flush()
    audit_change(session, "create", subject="photo", name=sku, after={"digest": digest, "name": row.name})
    return products.touch(session, sku)


def remove(session: Session, sku: str, digest: str) -> Product:
    """Take a photo from a product. The file goes with the next sweep, when nobody else has it."""
    product_id = products.id_of(session, sku, lock=True)
    matching = (PhotoRow.product_id == product_id) & (PhotoRow.digest == digest)
    name = session.scalar(select(PhotoRow.name).where(matching))
    if name is None:
        raise NotFound("no_photo", sku=sku, digest=digest)
    session.execute(sql_delete(PhotoRow).where(matching))
    audit_change(session, "delete", subject="photo", name=sku, before={"digest": digest, "name": name})
    return products.touch(session, sku)


def set_order(session: Session, sku: str, digests: Sequence[str], *, expected_version: int | None = None) -> Product:
    """Put a product's photos into this order: all of them, each once. `expected_version` None: whatever it is.

    Raises:
        Conflict: the product has another version by now.
        NotFound: there is no such product.
        InvalidValue: they are not exactly the product's photos.
    """
    product_id = products.id_of(session, sku, lock=True)
    before = products.get(session, sku)
    products.check_version(before, expected_version, {"digests": list(digests)})
    had = [photo.digest for photo in before.photos]
    if sorted(had) != sorted(digests):
        raise InvalidValue("digests", "photos_not_the_same", count=len(had))
    if had == list(digests):
        return before
    rows = {row.digest: row for row in session.scalars(select(PhotoRow).where(PhotoRow.product_id == product_id))}
    names = [column.name for column in PhotoRow.__table__.columns if column.name != "id"]
    kept = [{name: getattr(rows[digest], name) for name in names} for digest in digests]
    # Photos stand in the order of their ids: written anew, they get ids in this order.
    session.execute(sql_delete(PhotoRow).where(PhotoRow.product_id == product_id))
    session.expunge_all()
    for columns in kept:
        session.add(PhotoRow(**columns))
        session.flush()
    audit_change(session, "order", subject="photo", name=sku, before={"digests": had}, after={"digests": list(digests)})
    return products.touch(session, sku)


def find(session: Session, digest: str) -> PhotoInfo:
    """A photo by its digest, whoever's it is."""
    row = session.scalar(select(PhotoRow).where(PhotoRow.digest == digest).limit(1))
    if row is None:
        raise NotFound("no_product_has_photo", digest=digest)
    return msgspec.convert(row, PhotoInfo, from_attributes=True)


def digests(session: Session) -> set[str]:
    """Every photo that a product has: what a sweep keeps."""
    return set(session.scalars(select(PhotoRow.digest).distinct()))


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(PhotoRow)) or 0


def _safe_name(name: str) -> str:
    last = PurePosixPath(name.replace("\\", "/")).name
    return last[-_NAME_CHARS:] if last.isprintable() and last not in {".", ".."} else ""
