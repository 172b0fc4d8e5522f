"""The catalog over HTTP: `/catalog/v1`. docs/api.md says how it is used.

router.py      all operations, and their OpenAPI
route.py       the kind of route they are: gate.py before, faults.py after
gate.py        address, token (access.py), role, rate, size, a place
operations.py  what operations have in common; a transaction, once for each Idempotency-Key
bodies.py, answers.py          what is sent and answered, for FastAPI and OpenAPI
products.py, photos.py, negatives.py, rooms.py, stock.py, shown.py, reviews.py, staff.py, feeds.py, files.py  operations
"""

from livecart.catalog.api.router import PREFIX, catalog_router
from livecart.catalog.api.stats import ApiStats
from livecart.catalog.api_settings import ApiSettings

__all__ = ["PREFIX", "ApiSettings", "ApiStats", "catalog_router"]
