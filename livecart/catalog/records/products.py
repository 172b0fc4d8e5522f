"""Products: read one, create, change, remove; a page of them; all of them. Many at once: `bulk.upsert`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from livecart.catalog.database.session import audit_entry, changed, now_s, write_audit
from livecart.catalog.database.tables import ProductRow
from livecart.catalog.records import hosts
from livecart.catalog.records.product_rows import (
    CHUNK,
    columns_of,
    differences,
    load,
    merged,
    new_row,
    search_of,
    shows_in_snapshot,
    write_rooms,
)
from livecart.catalog.values import Product, ProductPatch, check_patch, to_json
from livecart.errors import Conflict, InvalidValue, NotFound


def get(session: Session, sku: str) -> Product:
    """A product as it stands.

    Raises:
        NotFound: there is none of that sku.
    """
    return _load_one(session, _row(session, sku))


def find(session: Session, sku: str) -> Product | None:
    """A product, or None."""
    row = session.scalar(select(ProductRow).where(ProductRow.sku == sku))
    return None if row is None else _load_one(session, row)


def find_many(session: Session, skus: Sequence[str]) -> list[Product]:
    """Those of the skus that are in the catalog, in no order."""
    found: list[Product] = []
    for start in range(0, len(skus), CHUNK):
        rows = session.scalars(select(ProductRow).where(ProductRow.sku.in_(skus[start : start + CHUNK]))).all()
        found += load(session, rows)
    return found


def count(session: Session) -> int:
    """How many there are."""
    return session.scalar(select(func.count()).select_from(ProductRow)) or 0


def create(session: Session, patch: ProductPatch, *, source: str | None = None) -> Product:
    """Add a product.

    Args:
        session: of `Store.write`.
        patch: with `name` and `url` at least.
        source: the feed that owns it.

    Raises:
        Conflict: the sku is taken; holds who has it.
        InvalidValue: a field is missing or out of bounds.
    """
    patch = check_patch(patch, allowed_hosts=hosts.allowed(session))
    product = msgspec.structs.replace(new_product(patch), source=source)
    row = ProductRow(**new_row(product, now_s(session)))
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as error:
        theirs = find(session, product.sku)
        message = f"sku {product.sku!r} is taken; change that product, or give another sku"
        shown = None if theirs is None else to_json(theirs)
        raise Conflict(message, theirs=shown, yours=to_json(patch)) from error
    write_rooms(session, {row.id: product.rooms})
    _note(session, "create", product.sku, before=None, after=product)
    return get(session, product.sku)


def update(session: Session, patch: ProductPatch, *, expected_version: int | None) -> Product:
    """Change the fields that the patch gives.

    Args:
        session: of `Store.write`.
        patch: only what is to change.
        expected_version: the version that the edit was made from; None: whatever it is, for stock that a till counts.

    Raises:
        Conflict: it has another version by now; holds both values.
        NotFound: there is none of that sku.
        InvalidValue: a field is out of bounds.
    """
    patch = check_patch(patch, allowed_hosts=hosts.allowed(session))
    row = _row(session, patch.sku, lock=True)
    before = _load_one(session, row)
    _check_version(before, expected_version, patch)
    after = merged(patch, before)
    if not differences(before, after)[1]:
        return before
    session.execute(
        sql_update(ProductRow)
        .where(ProductRow.id == row.id)
        .values(
            **columns_of(patch),
            search_text=search_of(after),
            version=ProductRow.version + 1,
            updated_at_s=now_s(session),
        )
    )
    if before.rooms != after.rooms:
        write_rooms(session, {row.id: after.rooms})
    _note(session, "update", after.sku, before=before, after=after)
    return get(session, patch.sku)


def remove(session: Session, sku: str, *, expected_version: int | None) -> None:
    """Take a product, its photos and its places on room lists out of the catalog. Cards shown keep what they held.

    Raises:
        Conflict: it has another version by now.
        NotFound: there is none of that sku.
    """
    row = _row(session, sku, lock=True)
    before = _load_one(session, row)
    _check_version(before, expected_version, ProductPatch(sku=sku))
    session.execute(sql_delete(ProductRow).where(ProductRow.id == row.id))
    _note(session, "delete", sku, before=before, after=None)


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
    """Count a change that lies in other tables (photos) as one of the product, so that edits made before it conflict.

    Raises:
        NotFound: there is none of that sku.
    """
    row = _row(session, sku, lock=True)
    session.execute(
        sql_update(ProductRow)
        .where(ProductRow.id == row.id)
        .values(version=ProductRow.version + 1, updated_at_s=now_s(session))
    )
    changed(session, [sku], shows_in_snapshot=True)
    return get(session, sku)


def id_of(session: Session, sku: str, *, lock: bool = False) -> int:
    """The row's id, for the tables that hang on it.

    Raises:
        NotFound: there is none of that sku.
    """
    return _row(session, sku, lock=lock).id


def new_product(patch: ProductPatch, where: str = "") -> Product:
    """A new product of a checked patch.

    Raises:
        InvalidValue: it has no name or no link.
    """
    for name in ("name", "url"):
        if name not in patch.given():
            raise InvalidValue(name, f"a new product needs one (sku {patch.sku!r} is not in the catalog)", where=where)
    return merged(patch, None)


def _row(session: Session, sku: str, *, lock: bool = False) -> ProductRow:
    query = select(ProductRow).where(ProductRow.sku == sku).execution_options(populate_existing=True)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"no product has sku {sku!r}")
    return row


def _load_one(session: Session, row: ProductRow) -> Product:
    return load(session, [row])[0]


def _check_version(before: Product, expected_version: int | None, patch: ProductPatch) -> None:
    if expected_version is not None and before.version != expected_version:
        raise Conflict(
            f"product {before.sku!r} was changed by somebody else (version {before.version}, yours was made from "
            f"{expected_version}); look at both and save again",
            theirs=to_json(before),
            yours=to_json(patch),
        )


def _note(session: Session, action: str, sku: str, *, before: Product | None, after: Product | None) -> None:
    if before and after:
        old, new = differences(before, after)
        entry = audit_entry(session, action, subject="product", name=sku, before=old, after=new)
    else:
        gone, made = (to_json(before) if before else None), (to_json(after) if after else None)
        entry = audit_entry(session, action, subject="product", name=sku, before=gone, after=made)
    write_audit(session, [entry])
    changed(session, [sku], shows_in_snapshot=shows_in_snapshot(before, after))
