"""Tokens and link hosts, for admins."""

from typing import cast

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from livecart.shop.admin.texts import later, t
from livecart.shop.admin.views.page import Page, number_of, read, tell, text_of, write
from livecart.shop.errors import CatalogError
from livecart.shop.repositories import hosts, tokens
from livecart.shop.repositories.tokens import ROLES, Role, TokenInfo

_DAY_S = 86400.0
_MOST_DAYS = 3650


class AccessPage(Page):
    menu_label = later("access")
    icon = "fa-solid fa-key"
    path = "/access"
    route_name = "access"
    role: Role = "admin"

    @route("", name="access")
    async def index(self, request: Request) -> Response:
        return await self._page(request)

    @route("/tokens/issue", methods=["POST"], name="access-issue")
    async def issue(self, request: Request) -> Response:
        """Make a token, and show it in this answer and never again."""
        form = await request.form()
        name, role, days = (text_of(form, field) for field in ("name", "role", "days"))
        if days and not (days.isdecimal() and 1 <= int(days[:6]) <= _MOST_DAYS):
            flash(request, t("token_days_wrong"), "error")
            return self.back(request)
        lifetime_s = int(days) * _DAY_S if days else None

        def work(session: Session) -> str:
            return tokens.issue(session, name, cast(Role, role), lifetime_s=lifetime_s)[0]

        try:
            fresh = await write(self.store, request, work)
        except CatalogError as error:
            tell(request, error)
            return self.back(request)
        return await self._page(request, fresh=fresh)

    @route("/tokens/revoke", methods=["POST"], name="access-revoke")
    async def revoke(self, request: Request) -> Response:
        token_id = number_of(text_of(await request.form(), "id"))
        if token_id == request.session.get("token"):
            flash(request, t("token_own"), "error")
            return self.back(request)
        return await self.write_and_return(request, lambda session: tokens.revoke(session, token_id))

    @route("/hosts/allow", methods=["POST"], name="access-allow")
    async def allow(self, request: Request) -> Response:
        pattern = text_of(await request.form(), "pattern")
        return await self.write_and_return(request, lambda session: hosts.allow(session, pattern))

    @route("/hosts/forbid", methods=["POST"], name="access-forbid")
    async def forbid(self, request: Request) -> Response:
        pattern = text_of(await request.form(), "pattern")
        return await self.write_and_return(request, lambda session: hosts.forbid(session, pattern))

    async def _page(self, request: Request, *, fresh: str = "") -> Response:
        def work(session: Session) -> tuple[list[TokenInfo], tuple[str, ...]]:
            return tokens.every(session), hosts.allowed(session)

        issued, allowed = await read(self.store, work)
        return self.show(
            request,
            "access.html",
            tokens=issued[::-1],
            hosts=allowed,
            roles=ROLES,
            fresh=fresh,
            own=request.session.get("token"),
            now_s=self.store.now_s(),
        )
