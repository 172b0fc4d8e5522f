"""Rooms as staff know them: title, and the products that are only for certain rooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette_admin.exceptions import FormValidationError
from starlette_admin.fields import StringField, TextAreaField
from starlette_admin.filters import FilterGroup
from starlette_admin.flash import flash

from livecart.catalog.admin.refusals import refusal
from livecart.catalog.admin.texts import later, t
from livecart.catalog.admin.views.listing import EditedListing
from livecart.catalog.admin.work import read, write
from livecart.catalog.database.store import Store
from livecart.catalog.records import rooms
from livecart.catalog.values import ROOM_CHARS
from livecart.errors import CatalogError, Conflict, InvalidValue, NotFound


@dataclass(frozen=True, slots=True)
class _Room:
    """`skus` is None in lists, which only count them."""

    name: str
    title: str
    version: int
    listed: int
    skus: tuple[str, ...] | None = None


class RoomView(EditedListing):
    """`/rooms`."""

    key = "rooms"
    menu_label = later("rooms")
    display_name = later("room")
    icon = "fa-solid fa-video"
    pk_attr = "name"
    show_pk_in_forms = True
    exclude_fields_from_list = ("skus",)
    exclude_fields_from_create = ("listed",)
    exclude_fields_from_edit = ("listed", "name")
    sortable_fields = ("name", "title")
    row_actions = ("edit", "delete")

    def __init__(self, store: Store) -> None:
        self.fields = [
            StringField(
                "name", later("room_name"), help_text=later("room_name_hint"), required=True, maxlength=ROOM_CHARS
            ),
            StringField("title", later("room_title"), required=True, maxlength=255),
            StringField("listed", later("room_listed"), orderable=False),
            TextAreaField(
                "skus",
                later("room_skus"),
                help_text=later("room_skus_hint"),
                rows=12,
                getter=lambda _, room: "\n".join(room.skus or ()),
            ),
        ]
        super().__init__(store)

    async def find_all(  # noqa: PLR0917  the library calls it so
        self,
        request: Request,
        skip: int = 0,
        limit: int = 100,
        q: str | None = None,
        sorts: Sequence[tuple[str, str]] | None = None,
        filters: FilterGroup | None = None,
    ) -> Sequence[_Room]:
        """One page of rooms: there are hundreds at most."""
        found = [room for room in await self._all() if _holds(room, q)]
        for name, direction in reversed(list(sorts or ())):
            found.sort(key=lambda room, name=name: str(getattr(room, name)), reverse=direction == "desc")  # type: ignore[misc]
        return found[skip : skip + limit] if limit > 0 else found[skip:]

    async def count(self, request: Request, q: str | None = None, filters: FilterGroup | None = None) -> int:
        """How many there are on all pages."""
        return sum(_holds(room, q) for room in await self._all())

    async def find_by_pk(self, request: Request, pk: Any) -> _Room | None:
        """A room with its list, or None."""

        def work(session: Session) -> _Room | None:
            for room in rooms.every(session):
                if room.name == pk:
                    return _Room(
                        room.name, room.title, room.version, room.listed, tuple(rooms.listed(session, room.name))
                    )
            return None

        return await read(self.store, work)

    async def repr(self, obj: Any, request: Request) -> str:
        """How messages name a room."""
        return f"{obj.title}（{obj.name}）"

    async def create(self, request: Request, data: dict[str, Any]) -> _Room:
        """Add a room.

        Raises:
            FormValidationError: what is wrong, by field.
        """
        name = str(data["name"]).strip()
        if await self.find_by_pk(request, name) is not None:
            request.state.answer_status = 409
            raise FormValidationError({"name": t("conflict_sku", name=name)})
        return await self._save(request, name, data, None, [])

    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> _Room:
        """Write title and list.

        Raises:
            FormValidationError: what is wrong, by field; or what somebody else changed since the form was made.
        """
        version, _, before = request.state.form_base.partition("\n")
        try:
            expected = int(version)
        except ValueError as error:
            raise FormValidationError({"title": t("conflict")}) from error
        # The room's version counts titles; its list is held against what the form showed.
        return await self._save(request, str(pk), data, expected, before.splitlines())

    def remove(self, session: Session, pk: str) -> None:
        """Forget a room; products keep its name in their lists.

        Raises:
            NotFound: it is not there.
        """
        rooms.remove(session, pk)

    def form_base(self, request: Request, room: _Room) -> str:
        """What the form carries to say what it was made from."""
        kept: str = getattr(request.state, "form_base", "")
        return kept or "\n".join([str(room.version), *(room.skus or ())])

    async def _save(
        self, request: Request, name: str, data: dict[str, Any], expected: int | None, before: list[str]
    ) -> _Room:
        title = str(data.get("title") or "").strip()
        skus = _lines(data.get("skus"))

        def work(session: Session) -> None:
            if expected is not None and rooms.listed(session, name) != before:
                raise Conflict(f"the list of room {name!r} was changed", theirs=None, yours={"skus": skus})
            rooms.save(session, name, title, expected_version=expected)
            rooms.set_list(session, name, skus)

        try:
            await write(self.store, request, work)
        except NotFound as error:
            raise FormValidationError({"skus": refusal(error)}) from error
        except InvalidValue as error:
            raise FormValidationError({"title" if error.field == "title" else "name": refusal(error)}) from error
        except Conflict as error:
            now = await self.find_by_pk(request, name)
            if now is None:
                raise FormValidationError({"title": t("live_gone")}) from error
            self._conflict(request, data, now)
        except CatalogError as error:
            raise FormValidationError({"title": refusal(error)}) from error
        saved = await self.find_by_pk(request, name)
        return saved or _Room(name, title, 0, len(skus))

    def _conflict(self, request: Request, data: dict[str, Any], now: _Room) -> None:
        marks: dict[str | int, Any] = {}
        if str(data.get("title") or "").strip() != now.title:
            marks["title"] = t("conflict_field", value=now.title)
        theirs = list(now.skus or ())
        if _lines(data.get("skus")) != theirs:
            marks["skus"] = t("conflict_field", value="、".join(theirs) or t("empty_value"))
        request.state.form_base = ""
        request.state.form_base = self.form_base(request, now)
        request.state.answer_status = 409
        flash(request, t("conflict"), "warning")
        raise FormValidationError(marks or {"title": t("conflict_field", value=now.title)})

    async def _all(self) -> list[_Room]:
        found = await read(self.store, rooms.every)
        return [_Room(room.name, room.title, room.version, room.listed) for room in found]


def _holds(room: _Room, text: str | None) -> bool:
    return not text or text.casefold() in f"{room.name} {room.title}".casefold()


def _lines(text: Any) -> list[str]:
    return [line.strip() for line in str(text or "").splitlines() if line.strip()]
