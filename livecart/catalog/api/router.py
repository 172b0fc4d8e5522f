"""All operations under `/catalog/v1`, and their OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response, Security
from fastapi.openapi.utils import get_openapi
from fastapi.security import HTTPBearer

from livecart.catalog.api.access import TokenChecks
from livecart.catalog.api.feeds import add_feeds
from livecart.catalog.api.files import add_files
from livecart.catalog.api.gate import Gate
from livecart.catalog.api.negatives import add_negatives
from livecart.catalog.api.operations import Writer, json_reply, reads
from livecart.catalog.api.photos import add_photos
from livecart.catalog.api.products import add_products
from livecart.catalog.api.reviews import add_reviews
from livecart.catalog.api.rooms import add_rooms
from livecart.catalog.api.route import guarded
from livecart.catalog.api.shown import add_shown
from livecart.catalog.api.staff import add_hosts, add_tokens
from livecart.catalog.api.stats import ApiStats
from livecart.catalog.api.stock import add_stock
from livecart.catalog.api_settings import ApiSettings
from livecart.catalog.service import CatalogService

PREFIX = "/catalog/v1"
_ABOUT = (
    "Products, photos, rooms, stock, cards, figures, reviews. Every request shows `Authorization: Bearer lc_…`; "
    "`x-role` says which role an operation needs, `x-most-bytes` how large its body may be. docs/api.md has the rest."
)
_Add = Callable[[APIRouter, CatalogService, Writer], None]
_WRITING: tuple[tuple[str, _Add], ...] = (
    ("photos", add_photos),
    ("negatives", add_negatives),
    ("products", add_products),
    ("rooms", add_rooms),
    ("stock", add_stock),
    ("shown", add_shown),
    ("reviews", add_reviews),
    ("hosts", add_hosts),
    ("files", add_files),
)
_BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="A token of the catalog: lc_…")


def catalog_router(
    service: CatalogService, *, settings: ApiSettings | None = None, stats: ApiStats | None = None
) -> APIRouter:
    """The API, for `FastAPI.include_router` without a prefix. Each route says itself who may ask.

    Args:
        service: the catalog; its tables must be there before anything is answered but 503.
        settings: limits; None: those of the service.
        stats: what is counted, for metrics.
    """
    settings = settings or service.settings.api
    stats = stats or ApiStats()
    checks = TokenChecks(service.store, settings.token_age_s)
    gate = Gate(checks, settings)
    writer = Writer(service.store, stats)
    # The gate reads the token, before FastAPI reads the body; this only documents it.
    router = APIRouter(prefix=PREFIX, route_class=guarded(gate, stats), dependencies=[Security(_BEARER)])
    # Photos and negatives before products: a sku may hold a slash.
    for tag, add in _WRITING:
        part = APIRouter(route_class=router.route_class, tags=[tag])
        add(part, service, writer)
        router.include_router(part)
    part = APIRouter(route_class=router.route_class, tags=["service"])
    add_feeds(part, service)
    add_tokens(part, service, writer)
    router.include_router(part)
    _add_openapi(router)
    return router


def _add_openapi(router: APIRouter) -> None:
    made: dict[str, Any] = {}

    @router.get("/openapi.json", include_in_schema=False, **reads())
    def openapi() -> Response:
        """What can be asked, for programs."""
        if not made:
            made.update(get_openapi(title="livecart catalog", version="1", description=_ABOUT, routes=router.routes))
        return json_reply(made)
