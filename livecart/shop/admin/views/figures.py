"""Figures of what viewers did with cards, by product and by room."""

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from livecart.shop.admin.texts import later
from livecart.shop.admin.views.page import Page, read
from livecart.shop.repositories import rooms, viewer_events
from livecart.shop.repositories.product_rows import load_by_sku
from livecart.shop.repositories.viewer_events import Figures

_DAYS = (1, 7, 30)
_DAY_S = 86400.0


class FiguresPage(Page):
    menu_label = later("figures")
    icon = "fa-solid fa-chart-line"
    path = "/figures"
    route_name = "figures"

    @route("", name="figures")
    async def index(self, request: Request) -> Response:
        asked = request.query_params.get("days", "")
        days = int(asked) if asked in {str(choice) for choice in _DAYS} else 7
        since_s = self.store.now_s() - days * _DAY_S

        def work(session: Session) -> tuple[list[Figures], list[Figures], dict[str, str], dict[str, str]]:
            by_product = viewer_events.by_product(session, since_s=since_s)
            by_room = viewer_events.by_room(session, since_s=since_s)
            known = load_by_sku(session, [figures.name for figures in by_product])
            titles = {room.name: room.title for room in rooms.every(session)}
            return by_product, by_room, {sku: product.name for sku, product in known.items()}, titles

        by_product, by_room, names, titles = await read(self.store, work)
        return self.show(
            request,
            "figures.html",
            days=days,
            choices=_DAYS,
            tables=[("figures_by_product", by_product, names), ("figures_by_room", by_room, titles)],
        )
