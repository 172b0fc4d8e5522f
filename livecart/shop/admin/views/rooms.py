"""Rooms as staff know them: title, and the products that are only for certain rooms."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette_admin.exceptions import FormValidationError
from starlette_admin.fields import StringField, TextAreaField
from starlette_admin.filters import FilterGroup
from starlette_admin.flash import flash

from livecart.shop.admin.product_query import Wanted
from livecart.shop.admin.texts import later, refusal, t
from livecart.shop.admin.views.listing import EditedListing
from livecart.shop.admin.views.page import read, write
from livecart.shop.database.store import Store
from livecart.shop.errors import CatalogError, Conflict, InvalidValue, NotFound
from livecart.shop.repositories import rooms
from livecart.shop.repositories.rooms import RoomInfo
from livecart.shop.schemas.product import ROOM_CHARS


@dataclass(frozen=True, slots=True)
class _Room(RoomInfo):
    """A room of the form; lists only count its products."""

    skus: tuple[str, ...] = ()


class RoomView(EditedListing):
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
                getter=lambda _, room: "\n".join(room.skus),
            ),
        ]
        super().__init__(store)

    async def page(self, request: Request, wanted: Wanted) -> Sequence[RoomInfo]:
        """One page of rooms: there are hundreds at most."""
        found = [room for room in await read(self.store, rooms.every) if _holds(room, wanted.text)]
        for name, direction in reversed(wanted.sorts):
            found.sort(key=lambda room, name=name: str(getattr(room, name)), reverse=direction == "desc")  # type: ignore[misc]
        return found[wanted.skip :][: wanted.limit if wanted.limit > 0 else None]

    async def count(self, request: Request, q: str | None = None, filters: FilterGroup | None = None) -> int:
        return sum(_holds(room, q) for room in await read(self.store, rooms.every))

    async def find_by_pk(self, request: Request, pk: Any) -> _Room | None:
        def work(session: Session) -> _Room:
            return _Room(**asdict(rooms.get(session, pk)), skus=tuple(rooms.listed(session, pk)))

        try:
            return await read(self.store, work)
        except NotFound:
            return None

    async def repr(self, obj: Any, request: Request) -> str:
        return f"{obj.title}（{obj.name}）"

    async def create(self, request: Request, data: dict[str, Any]) -> _Room:
        name = str(data["name"]).strip()
        if await self.find_by_pk(request, name) is not None:
            request.state.answer_status = 409
            raise FormValidationError({"name": t("conflict_sku", name=name)})
        return await self._save(request, name, data, None, [])

    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> _Room:
        version, _, before = request.state.form_base.partition("\n")
        try:
            expected = int(version)
        except ValueError as error:
            raise FormValidationError({"title": t("conflict")}) from error
        # The room's version counts titles; its list is held against what the form showed.
        return await self._save(request, str(pk), data, expected, before.splitlines())

    def remove(self, session: Session, pk: str) -> None:
        """Forget a room; products keep its name in their lists."""
        rooms.remove(session, pk)

    def form_base(self, request: Request, room: _Room) -> str:
        """The hidden field of the form: the version and list it was made from."""
        kept: str = getattr(request.state, "form_base", "")
        return kept or "\n".join([str(room.version), *room.skus])

    async def _save(
        self, request: Request, name: str, data: dict[str, Any], expected: int | None, before: list[str]
    ) -> _Room:
        title = str(data.get("title") or "").strip()
        skus = _lines(data.get("skus"))

        def work(session: Session) -> None:
            if expected is not None and rooms.listed(session, name) != before:
                raise Conflict("room_list_changed", theirs=None, yours={"skus": skus}, name=name)
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
        theirs = list(now.skus)
        if _lines(data.get("skus")) != theirs:
            marks["skus"] = t("conflict_field", value="、".join(theirs) or t("empty_value"))
        request.state.form_base = ""
        request.state.form_base = self.form_base(request, now)
        request.state.answer_status = 409
        flash(request, t("conflict"), "warning")
        raise FormValidationError(marks or {"title": t("conflict_field", value=now.title)})


def _holds(room: RoomInfo, text: str | None) -> bool:
    return not text or text.casefold() in f"{room.name} {room.title}".casefold()


def _lines(text: Any) -> list[str]:
    return [line.strip() for line in str(text or "").splitlines() if line.strip()]
