"""Photos of what was taken for a product and is not it: they teach the recogniser what the product does not look like.

They come from rejected and corrected crops of the review queue, and stay until somebody takes them away: a mistake
that was shown once is shown again.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.orm import Session

from livecart.shop.database.session import audit_change, now_s
from livecart.shop.errors import NotFound
from livecart.shop.models.products import NegativeRow, ProductRow
from livecart.shop.repositories import products
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.photo_check import SUFFIX, read_photo
from livecart.shop.schemas.product import Digest, PhotoKind, Product, Seconds

#: Of one product, the newest, as the archive's catalog_folder.py says. With more, nothing else would be compared.
MOST_PER_PRODUCT = 5


@dataclass(frozen=True, slots=True)
class Negative:
    """A photo of what was taken for a product and is not it. `digest` names the file in the photo folder."""

    digest: Digest
    kind: PhotoKind
    created_at_s: Seconds


def add(session: Session, photo_blobs: BlobFolder, sku: str, data: bytes) -> Product:
    """Teach that a photo does not show a product. Of six the oldest goes; one that is known changes nothing.

    `data` is of `check_photo` where a stranger sent it, or a crop of our own.
    """
    checked = read_photo(data)
    product_id = products.id_of(session, sku, lock=True)
    digest = photo_blobs.put(checked.data, SUFFIX[checked.kind])
    known = sorted(
        session.scalars(select(NegativeRow).where(NegativeRow.product_id == product_id)), key=lambda row: row.id
    )
    if any(row.digest == digest for row in known):
        return products.get(session, sku)
    for row in known[: max(0, len(known) - MOST_PER_PRODUCT + 1)]:
        session.delete(row)
    session.flush()
    row = NegativeRow(product_id=product_id, digest=digest, kind=checked.kind, created_at_s=now_s(session))
    session.add(row)
    session.flush()
    audit_change(session, "create", subject="negative", name=sku, after={"digest": digest})
    return products.touch(session, sku)


def remove(session: Session, sku: str, digest: str) -> Product:
    """Take a negative away again: it was a mistake, or is none any more. The file goes with the next sweep."""
    product_id = products.id_of(session, sku, lock=True)
    matching = (NegativeRow.product_id == product_id) & (NegativeRow.digest == digest)
    if session.scalar(select(NegativeRow.id).where(matching)) is None:
        raise NotFound("no_negative", sku=sku, digest=digest)
    session.execute(sql_delete(NegativeRow).where(matching))
    audit_change(session, "delete", subject="negative", name=sku, before={"digest": digest})
    return products.touch(session, sku)


def of_product(session: Session, sku: str) -> list[Negative]:
    """Negatives of a product, newest first."""
    product_id = products.id_of(session, sku)
    rows = session.scalars(select(NegativeRow).where(NegativeRow.product_id == product_id))
    return [_negative(row) for row in sorted(rows, key=lambda row: -row.id)]


def find(session: Session, sku: str, digest: str) -> Negative:
    for negative in of_product(session, sku):
        if negative.digest == digest:
            return negative
    raise NotFound("no_negative", sku=sku, digest=digest)


def by_sku(session: Session) -> dict[str, Sequence[Negative]]:
    """Negatives of all products that have any, newest first."""
    query = select(ProductRow.sku, NegativeRow).join(ProductRow, ProductRow.id == NegativeRow.product_id)
    found: defaultdict[str, list[Negative]] = defaultdict(list)
    for sku, row in session.execute(query.order_by(NegativeRow.id.desc())):
        found[sku].append(_negative(row))
    return dict(found)


def digests(session: Session) -> set[str]:
    """Every photo that is a negative: what a sweep keeps."""
    return set(session.scalars(select(NegativeRow.digest).distinct()))


def _negative(row: NegativeRow) -> Negative:
    return msgspec.convert(row, Negative, from_attributes=True)
