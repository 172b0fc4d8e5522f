"""The staff's pages over the catalog: products, photos, rooms, live cards, reviews, figures, sync, audit, access.

Lists, forms, paging, search and the look are starlette-admin's; what is written goes through `records/`, so that it is
checked, versioned and audited as everywhere. docs/admin.md.
"""

from livecart.catalog.admin.app import admin_app
from livecart.catalog.admin.ports import LiveRooms, See

__all__ = ["LiveRooms", "See", "admin_app"]
