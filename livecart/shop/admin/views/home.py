"""The first page: counts of what needs somebody, the snapshot, the latest sync."""

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from livecart.core.types import HostControls
from livecart.shop.admin.texts import later
from livecart.shop.admin.views.page import Page, read
from livecart.shop.admin.views.sync import publish_state
from livecart.shop.repositories import products, reviews
from livecart.shop.service import CatalogService
from livecart.shop.sync import runs
from livecart.shop.sync.runs import Run


class HomePage(Page):
    menu_label = later("overview")
    icon = "fa-solid fa-gauge"
    path = "/"
    route_name = "index"

    def __init__(self, service: CatalogService, live: HostControls | None) -> None:
        super().__init__(service.store)
        self._service = service
        self._live = live

    @route("", name="index")
    async def index(self, request: Request) -> Response:
        def work(session: Session) -> tuple[int, int, list[Run]]:
            return products.count(session), reviews.pending_count(session), runs.latest(session, limit=1)

        total, waiting, latest = await read(self.store, work)
        views = list(self._live.views()) if self._live is not None else []
        return self.show(
            request,
            "home.html",
            total=total,
            waiting=waiting,
            run=latest[0] if latest else None,
            on_air=[view for view in views if view.state == "live"],
            cards=sum(len(view.cards) for view in views),
            state=await publish_state(self._service),
        )
