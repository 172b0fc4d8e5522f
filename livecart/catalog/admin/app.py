"""Puts the pages together."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.types import ASGIApp

from livecart.catalog.admin.guard import Guard
from livecart.catalog.admin.ports import LiveRooms, See
from livecart.catalog.admin.sign_in import FailureLimit, TokenSignIn, signing_secret
from livecart.catalog.admin.site import Site
from livecart.catalog.admin.views.access import AccessPage
from livecart.catalog.admin.views.audit import AuditView
from livecart.catalog.admin.views.figures import FiguresPage
from livecart.catalog.admin.views.home import HomePage
from livecart.catalog.admin.views.live import LivePage
from livecart.catalog.admin.views.photos import PhotosPage
from livecart.catalog.admin.views.products import ProductView
from livecart.catalog.admin.views.reviews import ReviewsPage
from livecart.catalog.admin.views.rooms import RoomView
from livecart.catalog.admin.views.sync import SyncPage
from livecart.catalog.service import CatalogService


def admin_app(
    service: CatalogService, *, live: LiveRooms | None = None, see: See | None = None, secret: str | None = None
) -> ASGIApp:
    """The staff's pages, an application to be mounted wherever they shall be.

    Args:
        service: the catalog, its tables made.
        live: the rooms that this process runs; None: it runs none.
        see: shows the recogniser a photo; None: there is no preview.
        secret: what signs sessions; None: what stands in the catalog's folder, made there at first.

    Raises:
        OSError: the folder cannot be written.
    """
    # It tells of every page, and of every stranger who has to sign in.
    logging.getLogger("starlette_admin").setLevel(logging.WARNING)
    logging.getLogger("starlette_admin.auth.base").setLevel(logging.ERROR)
    store = service.store
    signing = secret or signing_secret(service.folder)
    site = Site(TokenSignIn(store, FailureLimit()), signing, HomePage(service, live))
    for view in (
        ProductView(store),
        PhotosPage(store, service.photos, see),
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
