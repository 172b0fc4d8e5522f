"""starlette-admin, set up for the catalog: templates under a strict policy, Chinese first, our texts beside its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from jinja2 import Environment
from jinja2.ext import Extension
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.base import BaseAdmin
from starlette_admin.i18n import I18nConfig, TimezoneConfig
from starlette_admin.security.csrf import CSRFMiddleware
from starlette_admin.theme import ClassMap, DefaultTheme
from starlette_admin.views import CustomView

from livecart.catalog.admin import texts
from livecart.catalog.admin.guard import UPLOADS, Outage
from livecart.catalog.admin.moments import moment
from livecart.catalog.admin.sign_in import SESSION_S, TokenSignIn, may

_FOLDER = Path(__file__).parent
_NONCE = 'nonce="{{ request.state.csp_nonce }}"'
#: What the library's templates do that the policy forbids or a sku could break; and what small screens need.
_MENDED = {
    '<div class="table-responsive">': '<div class="table-responsive" tabindex="0">',
    "<script": f"<script {_NONCE}",
    "<style": f"<style {_NONCE}",
    '<td data-column="{{ field.name }}"': '<td data-column="{{ field.name }}" data-label="{{ field.label }}"',
    'onchange="window.location = this.value"': "data-lc-go",
    '"{{ obj[pk] }}"': "{{ obj[pk] | tojson }}",
}


class _Classes(ClassMap):
    classes: ClassVar[dict[str, str]] = {"form.cancel_button": "btn btn-link link-secondary"}


class _Theme(DefaultTheme):
    def get_class_map(self) -> ClassMap:
        """Only what is deleted is red."""
        return _Classes()


class _Policy(Extension):
    """Gives every script and style of a template the request's nonce."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The template as it is compiled."""
        for old, new in _MENDED.items():
            source = source.replace(old, new)
        return source


class _Csrf(CSRFMiddleware):
    """The library's, which would leave the files of a form open."""

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
            session_cookie="livecart_admin",
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
        environment.add_extension(_Policy)
        names: dict[str, Any] = environment.globals
        names.update(t=texts.t, may=may, moment=moment)

    def _template_response(
        self, request: Request, name: str, context: dict[str, Any] | None = None, status_code: int = 200
    ) -> Response:
        # A view that met somebody else's change says so by the status of its own page.
        status = getattr(request.state, "answer_status", status_code)
        return super()._template_response(request, name, context, status)

    def page(self, request: Request, name: str, context: dict[str, Any], status_code: int = 200) -> Response:
        """One of our own templates, with the messages that wait for this session."""
        return self._template_response(request, name, context, status_code)
