"""The rooms on air: their cards now and before, and what staff may ask of them."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from livecart.core.errors import LivecartError
from livecart.core.types import HostControls, RoomView
from livecart.shop.admin.texts import later, t
from livecart.shop.admin.views.page import Page, need, read, tell, text_of, write
from livecart.shop.database.session import audit_change
from livecart.shop.database.store import Store
from livecart.shop.repositories import cards
from livecart.shop.repositories.cards import Card
from livecart.shop.repositories.product_rows import load_by_sku
from livecart.shop.schemas.product import Product

_MUTE_S = 600.0
_RECENT = 8


@dataclass(frozen=True, slots=True)
class _OnAir:
    """A room with what the catalog knows of its cards. `names` by sku; a product may be gone."""

    view: RoomView
    products: dict[str, Product]
    recent: list[Card]

    @property
    def skus(self) -> list[str]:
        """Everything that staff may act on: what is shown, pinned or muted."""
        pinned = [self.view.pinned] if self.view.pinned else []
        return list(dict.fromkeys([*self.view.cards, *pinned, *self.view.muted]))

    def name(self, sku: str) -> str:
        """The product's name; its sku where the catalog does not know it."""
        product = self.products.get(sku)
        return product.name if product else sku


class LivePage(Page):
    """`/live`; its script asks for `/live/rooms` every two seconds."""

    menu_label = later("live")
    icon = "fa-solid fa-tower-broadcast"
    path = "/live"
    route_name = "live"

    def __init__(self, store: Store, live: HostControls | None) -> None:
        super().__init__(store)
        self._live = live

    @route("", name="live")
    async def index(self, request: Request) -> Response:
        return self.show(request, "live.html", runs=self._live is not None, rooms=await self._rooms())

    @route("/rooms", name="live-rooms")
    async def rooms(self, request: Request) -> Response:
        return self.fragment(request, "live_rooms.html", rooms=await self._rooms())

    @route("/ask", methods=["POST"], name="live-ask")
    async def ask(self, request: Request) -> Response:
        """Pin, mute, withdraw; written into the audit log before it is done."""
        need(request, "edit")
        form = await request.form()
        room, sku, wish = (text_of(form, name) for name in ("room", "sku", "wish"))
        do = self._wish(wish, room, sku)
        if do is None:
            return Response(status_code=422)

        def note(session: Session) -> None:
            audit_change(session, wish, subject="live", name=room, after={"sku": sku})

        await write(self.store, request, note)
        try:
            if do() is None:
                flash(request, t("live_gone"), "error")
        except LivecartError as error:
            tell(request, error)
        return self.back(request)

    def _wish(self, wish: str, room: str, sku: str) -> Callable[[], RoomView | None] | None:
        live = self._live
        if live is None or not room or (wish != "unpin" and not sku):
            return None
        wishes: dict[str, Callable[[], RoomView | None]] = {
            "pin": lambda: live.pin(room, sku),
            "unpin": lambda: live.unpin(room),
            "mute": lambda: live.mute(room, sku, _MUTE_S),
            "unmute": lambda: live.unmute(room, sku),
            "withdraw": lambda: live.withdraw(room, sku),
        }
        return wishes.get(wish)

    async def _rooms(self) -> list[_OnAir]:
        views = list(self._live.views()) if self._live is not None else []
        skus = sorted({sku for view in views for sku in (*view.cards, *view.muted, view.pinned or "") if sku})

        def work(session: Session) -> list[_OnAir]:
            known = load_by_sku(session, skus)
            return [_OnAir(view, known, cards.latest(session, room=view.id, limit=_RECENT)) for view in views]

        return await read(self.store, work)
