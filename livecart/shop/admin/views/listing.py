"""Lists and forms of starlette-admin: who may do what; every change goes through `repositories/`."""

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette_admin.exceptions import ActionFailed
from starlette_admin.filters import FilterGroup
from starlette_admin.views import BaseModelView

from livecart.shop.admin.product_query import Wanted
from livecart.shop.admin.sign_in import may
from livecart.shop.admin.texts import refusal
from livecart.shop.admin.views.page import write
from livecart.shop.database.store import Store
from livecart.shop.errors import NotFound
from livecart.shop.repositories.tokens import Role

PAGE_SIZES = [25, 50, 100]
#: Entries that a page may pass over: every database counts so far.
_MOST_PASSED = 2**53


class Listing(BaseModelView):
    """A list of the catalog. Nothing may be created, edited or removed unless a list says so."""

    exporters: ClassVar[Sequence[Any]] = []  # type: ignore[misc]
    importers: ClassVar[Sequence[Any]] = []  # type: ignore[misc]
    column_visibility = False
    page_size = PAGE_SIZES[0]
    page_size_options = PAGE_SIZES
    search_auto_submit = False
    actions: Sequence[str] | None = ()
    row_actions: Sequence[str] | None = ()
    #: Who sees it.
    role: Role = "read"

    def __init__(self, store: Store) -> None:
        self.store = store
        super().__init__()

    def is_accessible(self, request: Request) -> bool:
        return may(request, self.role)

    def _nobody(self, request: Request) -> bool:
        return False

    can_create = can_edit = can_delete = can_view_detail = _nobody
    # Whole catalogs go in and out through the API and `livecart catalog`.
    can_export = can_import = _nobody

    async def find_all(  # noqa: PLR0917  the library calls it so
        self,
        request: Request,
        skip: int = 0,
        limit: int = 100,
        q: str | None = None,
        sorts: Sequence[tuple[str, str]] | None = None,
        filters: FilterGroup | None = None,
    ) -> Sequence[Any]:
        return await self.page(request, Wanted(min(skip, _MOST_PASSED), limit, q or "", sorts or (), filters))

    async def page(self, request: Request, wanted: Wanted) -> Sequence[Any]:
        raise NotImplementedError

    async def find_by_pks(self, request: Request, pks: list[Any]) -> Sequence[Any]:
        found = [await self.find_by_pk(request, pk) for pk in pks]
        return [entry for entry in found if entry is not None]

    async def find_by_pk(self, request: Request, pk: Any) -> Any:
        raise NotImplementedError

    async def create(self, request: Request, data: dict[str, Any]) -> Any:
        raise NotImplementedError

    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> Any:
        raise NotImplementedError

    async def delete(self, request: Request, pks: list[Any]) -> int | None:
        raise NotImplementedError


class EditedListing(Listing):
    """A list that editors may add to, change and remove from. Everybody sees the form; `edit` refuses to save it.

    A form carries what it was made from in the field `base`; one that comes back carries it again.
    """

    edit_template = "edit_versioned.html"

    def can_create(self, request: Request) -> bool:
        return may(request, "edit")

    def can_edit(self, request: Request) -> bool:
        return request.method == "GET" or may(request, "edit")

    def can_delete(self, request: Request) -> bool:
        return may(request, "edit")

    async def is_row_action_allowed(self, request: Request, name: str) -> bool:
        """Everybody may look; only editors remove."""
        return name != "delete" or may(request, "edit")

    async def validate_fields(self, request: Request, data: dict[str, Any], exclude: Any = ()) -> None:
        """As the library does; a form that comes back remembers what it was made from."""
        request.state.form_base = str((await request.form()).get("base") or "")
        await super().validate_fields(request, data, exclude)

    async def delete(self, request: Request, pks: list[Any]) -> int | None:
        """Remove entries, whatever their version: who removes one wants none of it."""

        def work(session: Session) -> int:
            for pk in pks:
                self.remove(session, str(pk))
            return len(pks)

        try:
            return await write(self.store, request, work)
        except NotFound as error:
            raise ActionFailed(refusal(error)) from error

    def remove(self, session: Session, pk: str) -> None:
        raise NotImplementedError
