"""What our own pages share."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.views import CustomView

from livecart.catalog.admin.refusals import refusal
from livecart.catalog.admin.sign_in import may
from livecart.catalog.database.store import Store
from livecart.catalog.records.tokens import Role
from livecart.errors import CatalogError, LivecartError

#: What every database's BIGINT holds.
_ID_DIGITS = 16


class Page(CustomView):
    """A page with a template of its own. Subclasses set label, icon, path, route_name."""

    #: Who sees it.
    role: Role = "read"

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store

    def is_accessible(self, request: Request) -> bool:
        """Whether who asks may see it."""
        return may(request, self.role)

    def show(self, request: Request, name: str, status_code: int = 200, **context: Any) -> Response:
        """The page."""
        site: Any = self._admin
        shown = {"title": str(self.menu_label), "view": self, **context}
        answer: Response = site.page(request, name, shown, status_code)
        return answer

    def fragment(self, request: Request, name: str, **context: Any) -> Response:
        """A part of a page, for its script."""
        if self.templates is None:
            raise RuntimeError("the page is not mounted")
        return self.templates.TemplateResponse(request=request, name=name, context=context)

    def back(self, request: Request, **query: str) -> Response:
        """To this page again, after a change."""
        url = request.url_for(f"admin:{self.route_name}").include_query_params(**query)
        return RedirectResponse(url, 303)


def need(request: Request, role: Role) -> None:
    """Refuse who may not.

    Raises:
        HTTPException: 403.
    """
    if not may(request, role):
        raise HTTPException(403)


def text_of(form: FormData, name: str) -> str:
    """A text of a form, trimmed; "" where it is not there, or is a file."""
    value = form.get(name)
    return "" if value is None or isinstance(value, UploadFile) else value.strip()


def number_of(text: str) -> int:
    """The id or version that a client sent; 0, which none is, where the text is none."""
    return int(text) if text.isdecimal() and len(text) < _ID_DIGITS else 0


def tell(request: Request, error: LivecartError) -> None:
    """Say on the next page why something was refused."""
    flash(request, refusal(error) if isinstance(error, CatalogError) else str(error), "error")
