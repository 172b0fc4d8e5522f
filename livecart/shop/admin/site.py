"""starlette-admin, set up for the catalog: a strict policy, Chinese first, our texts beside its own; all pages."""

import logging
import re
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment
from jinja2.ext import Extension
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp
from starlette_admin.base import BaseAdmin
from starlette_admin.i18n import I18nConfig, TimezoneConfig
from starlette_admin.security.csrf import CSRFMiddleware
from starlette_admin.theme import ClassMap, DefaultTheme
from starlette_admin.views import CustomView

from livecart.core.types import HostControls
from livecart.shop.admin import texts
from livecart.shop.admin.guard import SESSION_COOKIE, UPLOADS, Guard, Outage
from livecart.shop.admin.preview import RecognizePhoto
from livecart.shop.admin.sign_in import SESSION_S, FailureLimit, TokenSignIn, may, signing_secret
from livecart.shop.admin.views.access import AccessPage
from livecart.shop.admin.views.audit import AuditView
from livecart.shop.admin.views.figures import FiguresPage
from livecart.shop.admin.views.home import HomePage
from livecart.shop.admin.views.live import LivePage
from livecart.shop.admin.views.photos import PhotosPage
from livecart.shop.admin.views.products import ProductView
from livecart.shop.admin.views.reviews import ReviewsPage
from livecart.shop.admin.views.rooms import RoomView
from livecart.shop.admin.views.sync import SyncPage
from livecart.shop.service import CatalogService

_FOLDER = Path(__file__).parent


class _Classes(ClassMap):
    classes: ClassVar[dict[str, str]] = {"form.cancel_button": "btn btn-link link-secondary"}


class _Theme(DefaultTheme):
    def get_class_map(self) -> ClassMap:
        """Only what is deleted is red."""
        return _Classes()


class _Nonces(Extension):
    """Gives every script and style, of the library's templates too, the nonce that the policy of `Guard` asks for."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return re.sub(r"<(script|style)\b", r'<\1 nonce="{{ request.state.csp_nonce }}"', source)


class _Csrf(CSRFMiddleware):
    """Closes the files of a form, which starlette-admin's check leaves open."""

    async def _get_submitted_token(self, request: Request) -> str | None:
        if "token" not in request.session and request.url.path.endswith(UPLOADS):
            # Nobody is signed in: a stranger's files are not even read.
            return None
        token = await super()._get_submitted_token(request)
        await request.close()
        return token


class Site(BaseAdmin):
    """All pages. Reached under `/`; `Guard` makes that wherever it is mounted."""

    def __init__(self, sign_in: TokenSignIn, secret: str, index: CustomView) -> None:
        session = Middleware(
            SessionMiddleware,
            secret_key=secret,
            session_cookie=SESSION_COOKIE,
            max_age=SESSION_S,
            same_site="lax",
        )
        super().__init__(
            title="livecart",
            base_url="",
            templates_dir=str(_FOLDER / "templates"),
            static_dir=str(_FOLDER / "static"),
            index_view=index,
            theme=_Theme(),
            auth_provider=sign_in,
            secret_key=secret,
            middlewares=[Middleware(Outage), session],
            # The browser's wish is not asked for: staff speak Chinese unless they say otherwise.
            i18n_config=I18nConfig(default_locale="zh", language_header_name=None, language_switcher=["zh", "en"]),
            timezone_config=TimezoneConfig(default_timezone="Asia/Shanghai"),
        )

    def _init_csrf(self) -> None:
        self.middlewares.append(Middleware(_Csrf, secret_key=str(self.secret_key)))

    def _setup_templates(self) -> None:
        super()._setup_templates()
        environment: Environment = self.templates.env
        environment.add_extension(_Nonces)
        names: dict[str, Any] = environment.globals
        names.update(t=texts.t, may=may, local_time=texts.local_time)

    def _template_response(
        self, request: Request, name: str, context: dict[str, Any] | None = None, status_code: int = 200
    ) -> Response:
        # A view that met somebody else's change says so by the status of its own page.
        status = getattr(request.state, "answer_status", status_code)
        return super()._template_response(request, name, context, status)

    def page(self, request: Request, name: str, context: dict[str, Any], status_code: int = 200) -> Response:
        """One of our own templates, with the messages that wait for this session."""
        return self._template_response(request, name, context, status_code)


def admin_app(
    service: CatalogService,
    *,
    live: HostControls | None = None,
    recognize: RecognizePhoto | None = None,
    secret: str | None = None,
) -> ASGIApp:
    """The staff's pages, an application to be mounted wherever they shall be.

    Args:
        service: the catalog, its tables made.
        live: the rooms that this process runs; None: it runs none.
        recognize: shows the recogniser a photo; None: there is no preview.
        secret: what signs sessions; None: what stands in the catalog's folder, made there at first.
    """
    # The library logs every page, and everybody who has to sign in.
    logging.getLogger("starlette_admin").setLevel(logging.WARNING)
    logging.getLogger("starlette_admin.auth.base").setLevel(logging.ERROR)
    store = service.store
    signing = secret or signing_secret(service.folder)
    site = Site(TokenSignIn(store, FailureLimit()), signing, HomePage(service, live))
    for view in (
        ProductView(store),
        PhotosPage(store, service.photos, recognize),
        RoomView(store),
        LivePage(store, live),
        ReviewsPage(store, service.crops, service.photos),
        FiguresPage(store),
        SyncPage(service),
        AuditView(store),
        AccessPage(store),
    ):
        site.add_view(view)
    outer = Starlette()
    site.mount_to(outer)
    return Guard(outer)
