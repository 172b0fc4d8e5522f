"""Products: the list with search and filters, the form, on and off sale."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette_admin.actions import ActionSelection, action, link_row_action
from starlette_admin.exceptions import ActionFailed, FormValidationError
from starlette_admin.fields import BaseField, BooleanField, StringField, TagsField, TextAreaField
from starlette_admin.filters import FilterGroup
from starlette_admin.flash import flash
from starlette_admin.types import RequestAction, RowActionsDisplayType

from livecart.shop.admin import product_query
from livecart.shop.admin.product_form import Base, base_of, patch_of, posted, read_base, values_of, weigh
from livecart.shop.admin.product_query import Wanted
from livecart.shop.admin.sign_in import may
from livecart.shop.admin.texts import later, local_time, refusal, t
from livecart.shop.admin.views.listing import EditedListing
from livecart.shop.admin.views.page import read, write
from livecart.shop.errors import CatalogError, Conflict, InvalidValue
from livecart.shop.repositories import bulk, products
from livecart.shop.repositories.product_rows import in_chunks, load_by_sku
from livecart.shop.schemas.product import (
    BRAND_CHARS,
    COUPON_CHARS,
    NAME_CHARS,
    SKU_CHARS,
    URL_CHARS,
    Product,
    ProductPatch,
)

_NOT_LISTED = (
    "url", "words", "labels", "threshold", "all_rooms", "currency", "offers", "variants", "image_urls",
    "sale_price", "sale_to_s", "coupon", "limit_per_buyer",
)  # fmt: skip
_ONLY_LISTED = ("photos", "source", "updated_at_s")


def _text(name: str, *, hint: str | None = None, **options: Any) -> StringField:
    help_text = None if hint is None else later(hint)
    label = later({"rooms": "product_rooms", "updated_at_s": "updated"}.get(name, name))
    return StringField(name, label, help_text=help_text, searchable=name in product_query.FILTERS, **options)


def _tags(name: str, *, label: str | None = None, hint: str | None = None, **options: Any) -> TagsField:
    help_text = None if hint is None else later(hint)
    return TagsField(
        name,
        later(label or name),
        help_text=help_text,
        orderable=False,
        searchable=name in product_query.FILTERS,
        **options,
    )


def _lines(name: str) -> TextAreaField:
    return TextAreaField(
        name,
        later(name),
        help_text=later(f"{name}_hint"),
        orderable=False,
        searchable=False,
        getter=lambda _, product: values_of(product)[name],
    )


def _fields() -> list[BaseField]:
    fields: list[BaseField] = [
        _text("sku", required=True, maxlength=SKU_CHARS),
        _text("name", required=True, maxlength=NAME_CHARS),
        _text("url", hint="url_hint", required=True, maxlength=URL_CHARS, input_type="url"),
        _text("brand", maxlength=BRAND_CHARS),
        _text("price", getter=_price),
        _text("currency", hint="currency_hint", maxlength=3, default="CNY"),
        _text("stock", hint="stock_hint", getter=lambda _, product: values_of(product)["stock"]),
        _text("sale_price", getter=lambda _, product: values_of(product)["sale_price"]),
        _text("sale_to_s", hint="sale_to_s_hint", getter=lambda _, product: values_of(product)["sale_to_s"]),
        _text("coupon", hint="coupon_hint", maxlength=COUPON_CHARS),
        _text("limit_per_buyer", getter=lambda _, product: values_of(product)["limit_per_buyer"]),
        BooleanField("on_sale", later("on_sale"), default=True),
        _tags("words", hint="words_hint"),
        _tags("labels"),
        _text("threshold", hint="threshold_hint", getter=lambda _, product: values_of(product)["threshold"]),
        BooleanField(
            "all_rooms",
            later("all_rooms"),
            default=True,
            searchable=False,
            getter=lambda _, product: product.rooms is None,
        ),
        _tags("rooms", label="product_rooms", hint="product_rooms_hint", formatter={RequestAction.LIST: _listed_rooms}),
        _lines("variants"),
        _lines("offers"),
        _lines("image_urls"),
        _text("photos", getter=lambda _, product: str(len(product.photos))),
        _text("source"),
        _text("updated_at_s", getter=lambda _, product: local_time(product.updated_at_s)[:16]),
    ]
    for field in fields:
        field.orderable = field.name in product_query.SORTABLE
        field.filters = product_query.FILTERS.get(field.name, [])
    return fields


def _price(request: Request, product: Product) -> str:
    price: str = values_of(product)["price"]
    if request.state.action != RequestAction.LIST:
        return price
    price = f"{price} {product.currency or ''}".strip()
    return t("from_price", price=price) if product.is_from_price else price


def _listed_rooms(_: Request, rooms: Sequence[str] | None) -> list[str]:
    return [t("every_room")] if rooms is None else list(rooms) or [t("no_room")]


class ProductView(EditedListing):
    """The products. Every change goes through `repositories.products`: checked, versioned, audited."""

    key = "products"
    menu_label = later("products")
    display_name = later("product")
    icon = "fa-solid fa-box"
    pk_attr = "sku"
    show_pk_in_forms = True
    exclude_fields_from_list = _NOT_LISTED
    exclude_fields_from_create = _ONLY_LISTED
    exclude_fields_from_edit = (*_ONLY_LISTED, "sku")
    sortable_fields = product_query.SORTABLE
    fields_default_sort = (("updated_at_s", True),)
    form_layout = (
        "sku",
        "name",
        "url",
        ("brand", "threshold"),
        ("price", "currency", "stock"),
        ("sale_price", "sale_to_s"),
        ("coupon", "limit_per_buyer"),
        ("on_sale", "all_rooms"),
        "rooms",
        "words",
        "labels",
        "variants",
        "offers",
        "image_urls",
    )
    actions = ("off_sale", "on_sale")
    row_actions = ("edit", "photos", "delete")
    row_actions_display_type = RowActionsDisplayType.ICON_LIST

    def __init__(self, store: Any) -> None:
        self.fields = _fields()
        super().__init__(store)

    # Reading

    async def page(self, request: Request, wanted: Wanted) -> Sequence[Product]:
        found = await read(self.store, partial(product_query.page, wanted=wanted))
        request.state.total = found.total
        return found.products

    async def count(self, request: Request, q: str | None = None, filters: FilterGroup | None = None) -> int:
        known: int | None = getattr(request.state, "total", None)
        if known is not None:
            return known
        return await read(self.store, lambda session: product_query.count(session, q or "", filters))

    async def find_by_pk(self, request: Request, pk: Any) -> Product | None:
        return await read(self.store, lambda session: products.find(session, str(pk)))

    async def repr(self, obj: Any, request: Request) -> str:
        return f"{obj.name}（{obj.sku}）"

    # Writing

    async def create(self, request: Request, data: dict[str, Any]) -> Product:
        patch = patch_of(str(data["sku"]).strip(), posted(data), None)
        try:
            return await write(self.store, request, lambda session: products.create(session, patch))
        except InvalidValue as error:
            raise FormValidationError({error.field: refusal(error)}) from error
        except Conflict as error:
            request.state.answer_status = 409
            taken = t("conflict_sku", name=(error.theirs or {}).get("name", ""))
            raise FormValidationError({"sku": taken}) from error

    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> Product:
        base = read_base(request.state.form_base)
        if base is None:
            raise FormValidationError({"name": t("conflict")})
        mine = posted(data)
        patch = patch_of(str(pk), mine, base.values)
        try:
            return await self._save(request, patch, base)
        except InvalidValue as error:
            raise FormValidationError({error.field: refusal(error)}) from error
        except Conflict as error:
            theirs = await read(self.store, lambda session: products.get(session, str(pk)))
            shown, marks = weigh(base.values, mine, values_of(theirs))
            if not marks:
                # A photo, say: nothing that this form shows.
                return await self._save(request, patch, Base(theirs.version, base.values))
            data.update(shown)
            request.state.form_base = base_of(theirs)
            request.state.answer_status = 409
            flash(request, t("conflict"), "warning")
            raise FormValidationError(marks) from error

    def remove(self, session: Session, pk: str) -> None:
        products.remove(session, pk, expected_version=None)

    async def _save(self, request: Request, patch: ProductPatch, base: Base) -> Product:
        return await write(self.store, request, partial(products.update, patch=patch, expected_version=base.version))

    # Actions

    async def is_action_allowed(self, request: Request, name: str) -> bool:
        return name in {"off_sale", "on_sale"} and may(request, "edit")

    @link_row_action(name="photos", text=later("photos"), icon_class="fa-solid fa-image")
    def photos_row(self, request: Request, pk: Any) -> str:
        return str(request.url_for("admin:photos").include_query_params(sku=str(pk)))

    @action(
        name="off_sale",
        text=later("take_off_sale"),
        confirmation=later("confirm_off_sale"),
        submit_btn_text=later("take_off_sale"),
    )
    async def off_sale_action(self, request: Request, selection: ActionSelection) -> None:
        await self._set_on_sale(request, selection, on_sale=False)

    @action(name="on_sale", text=later("put_on_sale"))
    async def on_sale_action(self, request: Request, selection: ActionSelection) -> None:
        await self._set_on_sale(request, selection, on_sale=True)

    async def _set_on_sale(self, request: Request, selection: ActionSelection, *, on_sale: bool) -> None:
        skus = [str(pk) for pk in await selection.pks()]

        def work(session: Session, part: list[str]) -> int:
            """Those that were removed meanwhile are passed over."""
            found = load_by_sku(session, part)
            bulk.upsert(session, [ProductPatch(sku=sku, on_sale=on_sale) for sku in found])
            return len(found)

        count = 0
        try:
            # A transaction each, so that other writers come in between.
            for part in in_chunks(skus):
                count += await write(self.store, request, partial(work, part=part))
        except CatalogError as error:
            raise ActionFailed(refusal(error)) from error
        flash(request, t("changed_count", count=count), "success")

    def form_base(self, request: Request, product: Product) -> str:
        """The hidden field of the form: the version and values it was made from."""
        return getattr(request.state, "form_base", "") or base_of(product)
