"""Rooms and what may be shown in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from sqlalchemy import delete, func, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.orm import Session

from livecart.shop.database.session import audit_change, changed, now_s
from livecart.shop.errors import Conflict, InvalidValue, NotFound
from livecart.shop.models.products import ProductRoomRow, ProductRow, RoomRow
from livecart.shop.repositories.product_rows import in_chunks
from livecart.shop.schemas.product import RoomName, check_room

_TITLE_CHARS = 255


@dataclass(frozen=True, slots=True)
class RoomInfo:
    """A room as staff know it. `listed` counts the products that are only for certain rooms, this one among them."""

    name: RoomName
    title: Annotated[str, Meta(examples=["零食专场"])]
    version: Annotated[int, Meta(examples=[1])]
    listed: int


def every(session: Session) -> list[RoomInfo]:
    listed = dict(session.execute(select(ProductRoomRow.room, func.count()).group_by(ProductRoomRow.room)).all())
    rows = session.scalars(select(RoomRow).order_by(RoomRow.name))
    return [RoomInfo(row.name, row.title, row.version, listed.get(row.name, 0)) for row in rows]


def get(session: Session, name: str) -> RoomInfo:
    for room in every(session):
        if room.name == name:
            return room
    raise NotFound("no_room", name=name)


def save(session: Session, name: str, title: str, *, expected_version: int | None = None) -> None:
    """Create a room, or give it another title. `expected_version` None: a new one, or whatever is there.

    Raises:
        Conflict: it has another version by now.
        NotFound: a version is expected and the room is not there.
        InvalidValue: a name or title that cannot be used.
    """
    name = check_room(name)
    if not title.strip() or len(title) > _TITLE_CHARS:
        raise InvalidValue("title", "wrong_length", most_chars=_TITLE_CHARS)
    row = session.scalar(select(RoomRow).where(RoomRow.name == name).with_for_update())
    if row is None:
        if expected_version is not None:
            raise NotFound("no_room", name=name)
        session.add(RoomRow(name=name, title=title, version=1, updated_at_s=now_s(session)))
        before = None
    else:
        before = {"title": row.title, "version": row.version}
        if expected_version is not None and row.version != expected_version:
            raise Conflict("room_changed", theirs=before, yours={"title": title}, name=name)
        row.title, row.version, row.updated_at_s = title, row.version + 1, now_s(session)
    session.flush()
    action = "update" if before else "create"
    audit_change(session, action, subject="room", name=name, before=before, after={"title": title})


def remove(session: Session, name: str) -> None:
    """Forget a room. Products keep its name in their lists: it may be opened again."""
    row = session.get(RoomRow, name)
    if row is None:
        raise NotFound("no_room", name=name)
    session.delete(row)
    session.flush()
    audit_change(session, "delete", subject="room", name=name, before={"title": row.title})


def listed(session: Session, room: str) -> list[str]:
    """Skus on a room's list, by the order in which the products were added."""
    query = select(ProductRow.sku).join(ProductRoomRow, ProductRoomRow.product_id == ProductRow.id)
    return list(session.scalars(query.where(ProductRoomRow.room == room).order_by(ProductRow.id)))


def set_list(session: Session, room: str, skus: Iterable[str]) -> None:
    """Make the room's list exactly these products. A product that was for every room becomes one for this room.

    A product that leaves its last list is for no room; edit its `rooms` to None to show it everywhere again.
    """
    room = check_room(room)
    wanted = _ids(session, list(dict.fromkeys(skus)))
    have = set(session.scalars(select(ProductRoomRow.product_id).where(ProductRoomRow.room == room)))
    added = {row_id: sku for sku, row_id in wanted.items() if row_id not in have}
    gone = have - set(wanted.values())
    if not added and not gone:
        return
    for part in in_chunks(sorted(gone)):
        session.execute(delete(ProductRoomRow).where(ProductRoomRow.room == room, ProductRoomRow.product_id.in_(part)))
    if added:
        places = _last_places(session, sorted(added))
        session.execute(
            insert(ProductRoomRow),
            [{"product_id": row_id, "room": room, "position": places.get(row_id, -1) + 1} for row_id in added],
        )
    removed = _count_change(session, sorted(gone), sorted(added))
    skus_added = sorted(added.values())
    changed(session, [*skus_added, *removed], shows_in_snapshot=True)
    audit_change(session, "list", subject="room", name=room, before={"removed": removed}, after={"added": skus_added})


def _count_change(session: Session, gone: list[int], added: list[int]) -> list[str]:
    """Versions of all products concerned grow; returns the skus that left."""
    for part in in_chunks(sorted({*gone, *added})):
        session.execute(
            sql_update(ProductRow)
            .where(ProductRow.id.in_(part))
            .values(version=ProductRow.version + 1, updated_at_s=now_s(session), all_rooms=False)
        )
    skus: list[str] = []
    for part in in_chunks(gone):
        skus += session.scalars(select(ProductRow.sku).where(ProductRow.id.in_(part)).order_by(ProductRow.id))
    return skus


def _last_places(session: Session, ids: list[int]) -> dict[int, int]:
    """The last position in each product's own list of rooms."""
    last = func.max(ProductRoomRow.position)
    found: dict[int, int] = {}
    for part in in_chunks(ids):
        query = select(ProductRoomRow.product_id, last).where(ProductRoomRow.product_id.in_(part))
        found |= dict(session.execute(query.group_by(ProductRoomRow.product_id)).all())
    return found


def _ids(session: Session, skus: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in in_chunks(skus):
        query = select(ProductRow.sku, ProductRow.id).where(ProductRow.sku.in_(part))
        found |= dict(session.execute(query.order_by(ProductRow.id).with_for_update()).all())
    for sku in skus:
        if sku not in found:
            raise NotFound("no_product", sku=sku)
    return found
