"""All operations under `/catalog/v1`."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Security
from fastapi.security import HTTPBearer

from livecart.shop.api.access import TokenChecks
from livecart.shop.api.cards_and_reviews import add_reviews, add_shown
from livecart.shop.api.files_and_feeds import add_feeds, add_files
from livecart.shop.api.gate import ApiStats, Gate, guarded
from livecart.shop.api.openapi import Json, openapi_of
from livecart.shop.api.operations import Writer, reads
from livecart.shop.api.photos import add_negatives, add_photos
from livecart.shop.api.products import add_products, add_stock
from livecart.shop.api.rooms_and_staff import add_hosts, add_rooms, add_tokens
from livecart.shop.service import CatalogService
from livecart.shop.settings import ApiSettings

PREFIX = "/catalog/v1"
_Add = Callable[[APIRouter, CatalogService, Writer], None]
#: Photos and negatives before products: a sku may hold a slash.
_PARTS: tuple[tuple[str, _Add], ...] = (
    ("photos", add_photos),
    ("negatives", add_negatives),
    ("products", add_products),
    ("stock", add_stock),
    ("rooms", add_rooms),
    ("shown", add_shown),
    ("reviews", add_reviews),
    ("hosts", add_hosts),
    ("files", add_files),
    ("service", add_feeds),
    ("service", add_tokens),
)
_BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="A token of the catalog: lc_…")


def catalog_router(
    service: CatalogService, *, settings: ApiSettings | None = None, stats: ApiStats | None = None
) -> APIRouter:
    """The API, for `FastAPI.include_router` without a prefix. Each route says itself who may ask."""
    settings = settings or service.settings.api
    stats = stats or ApiStats()
    checks = TokenChecks(service.store, settings.token_age_s)
    gate = Gate(checks, settings)
    writer = Writer(service.store, stats)
    # The gate reads the token, before FastAPI reads the body; this only documents it.
    router = APIRouter(prefix=PREFIX, route_class=guarded(gate, stats), dependencies=[Security(_BEARER)])
    parts = []
    for tag, add in _PARTS:
        part = APIRouter(route_class=router.route_class, tags=[tag])
        add(part, service, writer)
        router.include_router(part)
        parts.append(part)
    made: dict[str, Any] = {}

    @router.get("/openapi.json", include_in_schema=False, **reads())
    def openapi() -> Json[dict[str, Any]]:
        """All operations, for programs."""
        if not made:
            made.update(openapi_of(router, parts))
        return Json(made)

    return router
