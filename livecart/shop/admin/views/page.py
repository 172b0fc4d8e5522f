"""Pages of our own, and what every view needs: rights, transactions in threads, values of forms."""

from collections.abc import Callable
from typing import Any, TypeVar

from anyio import to_thread
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.views import CustomView

from livecart.core.errors import LivecartError
from livecart.shop.admin.sign_in import may, staff
from livecart.shop.admin.texts import refusal, t
from livecart.shop.database.store import Store
from livecart.shop.errors import CatalogError
from livecart.shop.repositories.tokens import Role

T = TypeVar("T")
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
        return may(request, self.role)

    def show(self, request: Request, name: str, status_code: int = 200, **context: Any) -> Response:
        site: Any = self._admin
        shown = {"title": str(self.menu_label), "view": self, **context}
        answer: Response = site.page(request, name, shown, status_code)
        return answer

    def fragment(self, request: Request, name: str, **context: Any) -> Response:
        if self.templates is None:
            raise RuntimeError("the page is not mounted")
        return self.templates.TemplateResponse(request=request, name=name, context=context)

    async def write_and_return(
        self, request: Request, work: Callable[[Session], object], *, done: str = "", **query: str
    ) -> Response:
        """Write; this page again, with the refusal, or the text `done`."""
        try:
            await write(self.store, request, work)
        except CatalogError as error:
            tell(request, error)
        else:
            if done:
                flash(request, t(done), "success")
        return self.back(request, **query)

    def back(self, request: Request, **query: str) -> Response:
        url = request.url_for(f"admin:{self.route_name}").include_query_params(**query)
        return RedirectResponse(url, 303)


def need(request: Request, role: Role) -> None:
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


async def read(store: Store, work: Callable[[Session], T]) -> T:
    def run() -> T:
        with store.read() as session:
            return work(session)

    return await to_thread.run_sync(run)


async def write(store: Store, request: Request, work: Callable[[Session], T]) -> T:
    """Run `work` in a thread, in one transaction in the name of who asks."""
    who = staff(request).who
    return await to_thread.run_sync(lambda: store.edit(who, work))
