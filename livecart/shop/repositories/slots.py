"""Numbers of products in a room's list on the platform (序号), which somebody pastes for each show."""

import re
from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from livecart.shop.database.session import audit_change
from livecart.shop.errors import CatalogError, InvalidValue, NotFound
from livecart.shop.models.products import ProductRow, SlotRow
from livecart.shop.repositories.product_rows import in_chunks
from livecart.shop.schemas.product import check_room

_MOST, MOST_BYTES = 1000, 64 * 1024
#: The number and the sku. What a spreadsheet has in further columns is not asked for.
_LINE = re.compile(r"№?(\d{1,5})[\t ,，、]+([^\t]+)(?:\t.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Slot:
    """A product and its number; `name` is None where the catalog has the product no more."""

    slot: int
    sku: str
    name: str | None


class BadLines(Exception):
    """Lines that cannot be used: why, by their number from 1."""

    def __init__(self, lines: dict[int, CatalogError]) -> None:
        super().__init__("; ".join(f"line {number}: {why}" for number, why in lines.items()))
        self.lines = lines


def of_room(session: Session, room: str) -> list[Slot]:
    """The room's list, by number."""
    query = select(SlotRow.slot, SlotRow.sku, ProductRow.name).join(
        ProductRow, ProductRow.sku == SlotRow.sku, isouter=True
    )
    return [Slot(*row) for row in session.execute(query.where(SlotRow.room == room).order_by(SlotRow.slot))]


def replace(session: Session, room: str, text: str) -> list[Slot]:
    """Make the room's list what the text says: a line for each product, its number and its sku.

    Raises:
        BadLines: some are none such, name a product that the catalog has not, or say what another line has said.
        InvalidValue: there are too many.
    """
    room = check_room(room)
    if len(text.splitlines()) > _MOST or len(text.encode()) > MOST_BYTES:
        raise InvalidValue("slots", "too_many_entries", most=_MOST, most_bytes=MOST_BYTES)
    slots, bad = _read(text)
    known: set[str] = set()
    for part in in_chunks(sku for _, sku in slots.values()):
        known.update(session.scalars(select(ProductRow.sku).where(ProductRow.sku.in_(part))))
    bad |= {line: NotFound("no_product", sku=sku[:40]) for line, sku in slots.values() if sku not in known}
    if bad:
        raise BadLines(dict(sorted(bad.items())))
    before = len(of_room(session, room))
    session.execute(delete(SlotRow).where(SlotRow.room == room))
    if slots:
        session.execute(insert(SlotRow), [{"room": room, "slot": n, "sku": sku} for n, (_, sku) in slots.items()])
    audit_change(session, "slots", subject="room", name=room, before={"slots": before}, after={"slots": len(slots)})
    return of_room(session, room)


def _read(text: str) -> tuple[dict[int, tuple[int, str]], dict[int, CatalogError]]:
    """Line and sku by number, and what is wrong by line."""
    slots: dict[int, tuple[int, str]] = {}
    bad: dict[int, CatalogError] = {}
    skus: set[str] = set()
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    for number, line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            # A spreadsheet's titles come along with its rows.
            if (number, line) != lines[0] or any(character.isdigit() for character in line):
                bad[number] = InvalidValue("slot", "slot_malformed", value=line[:40])
            continue
        slot, sku = int(match[1]), match[2].strip()
        if slot in slots:
            bad[number] = InvalidValue("slot", "slot_twice", slot=slot, line=slots[slot][0])
        elif sku in skus:
            bad[number] = InvalidValue("sku", "sku_twice", sku=sku)
        else:
            slots[slot] = number, sku
            skus.add(sku)
    return slots, bad
