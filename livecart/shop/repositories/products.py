"""Products one by one: read, create, change, remove; and all of them. Many at once: `bulk.upsert`."""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace
from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from livecart.shop.database.session import audit_change, changed, now_s
from livecart.shop.errors import Conflict, NotFound
from livecart.shop.models.products import ProductRow
from livecart.shop.repositories import hosts
from livecart.shop.repositories.bulk import edit_of, write
from livecart.shop.repositories.product_rows import CHUNK, load, load_by_sku
from livecart.shop.schemas.product import Product, ProductPatch, check_patch, to_json


def get(session: Session, sku: str) -> Product:
    return _load_one(session, _row(session, sku))


def find(session: Session, sku: str) -> Product | None:
    row = session.scalar(select(ProductRow).where(ProductRow.sku == sku))
    return None if row is None else _load_one(session, row)


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(ProductRow)) or 0


def create(session: Session, patch: ProductPatch) -> Product:
    """Add a product.

    Raises:
        Conflict: the sku is taken; holds who has it.
        InvalidValue: a field is missing or out of bounds.
    """
    edit = edit_of(check_patch(patch, allowed_hosts=hosts.allowed(session)), None)
    try:
        with session.begin_nested():
            write(session, [edit])
    except IntegrityError as error:
        theirs = find(session, edit.patch.sku)
        shown = None if theirs is None else to_json(theirs)
        raise Conflict("sku_taken", theirs=shown, yours=to_json(edit.patch), sku=edit.patch.sku) from error
    return get(session, edit.patch.sku)


def update(session: Session, patch: ProductPatch, *, expected_version: int | None) -> Product:
    """Change the fields that the patch gives.

    Raises:
        Conflict: it has another version by now; holds both values.
        NotFound: there is none of that sku.
        InvalidValue: a field is out of bounds.
    """
    patch = check_patch(patch, allowed_hosts=hosts.allowed(session))
    before = load_by_sku(session, [patch.sku], lock=True).get(patch.sku)
    if before is None:
        raise NotFound("no_product", sku=patch.sku)
    check_version(before, expected_version, to_json(patch))
    write(session, [edit_of(patch, before)])
    return get(session, patch.sku)


def set_stock(
    session: Session, sku: str, stock: int | None, *, variant: str | None, expected_version: int | None
) -> Product:
    """Say how many there are, of a product with variants for one of them.

    Raises:
        NotFound: there is none of that sku, or no such variant.
        Conflict, InvalidValue: as of `update`.
    """
    if variant is None:
        return update(session, ProductPatch(sku=sku, stock=stock), expected_version=expected_version)
    before = load_by_sku(session, [sku], lock=True).get(sku)
    variants = before.variants if before else ()
    if variant not in (each.sku for each in variants):
        raise NotFound("no_variant", sku=sku, variant=variant)
    changed_to = tuple(replace(each, stock=stock) if each.sku == variant else each for each in variants)
    return update(session, ProductPatch(sku=sku, variants=changed_to), expected_version=expected_version)


def remove(session: Session, sku: str, *, expected_version: int | None) -> None:
    """Take a product, its photos and its places on room lists out of the catalog. Cards shown keep what they held."""
    row = _row(session, sku, lock=True)
    before = _load_one(session, row)
    check_version(before, expected_version, {"sku": sku})
    session.execute(sql_delete(ProductRow).where(ProductRow.id == row.id))
    audit_change(session, "delete", subject="product", name=sku, before=to_json(before))
    changed(session, [sku], shows_in_snapshot=True, shows_in_offers=True)


def every(session: Session) -> Iterator[Product]:
    """All products, oldest first, read in pieces; of one moment in a `Store.read(consistent=True)`."""
    last_id = 0
    while True:
        rows = session.scalars(
            select(ProductRow).where(ProductRow.id > last_id).order_by(ProductRow.id).limit(CHUNK)
        ).all()
        if not rows:
            return
        yield from load(session, rows)
        last_id = rows[-1].id
        for row in rows:
            session.expunge(row)


def touch(session: Session, sku: str) -> Product:
    """Count a change in other tables (photos) as one of the product, so that edits made before it conflict."""
    row = _row(session, sku, lock=True)
    session.execute(
        sql_update(ProductRow)
        .where(ProductRow.id == row.id)
        .values(version=ProductRow.version + 1, updated_at_s=now_s(session))
    )
    changed(session, [sku], shows_in_snapshot=True)
    return get(session, sku)


def id_of(session: Session, sku: str, *, lock: bool = False) -> int:
    return _row(session, sku, lock=lock).id


def _row(session: Session, sku: str, *, lock: bool = False) -> ProductRow:
    query = select(ProductRow).where(ProductRow.sku == sku).execution_options(populate_existing=True)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("no_product", sku=sku)
    return row


def _load_one(session: Session, row: ProductRow) -> Product:
    return load(session, [row])[0]


def check_version(before: Product, expected_version: int | None, yours: dict[str, Any]) -> None:
    """Refuse an edit that was made from another version; `yours`: what it would have written.

    Raises:
        Conflict: holds both values.
    """
    if expected_version is not None and before.version != expected_version:
        raise Conflict(
            "product_changed",
            theirs=to_json(before),
            yours=yours,
            sku=before.sku,
            version=before.version,
            expected=expected_version,
        )
