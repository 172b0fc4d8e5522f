"""The catalog over HTTP: `/catalog/v1`. docs/api.md says how it is used.

router.py      all operations
gate.py        address, token (access.py), role, rate, size, concurrency; then error_handlers.py
operations.py  parts that operations share: parameters, a transaction for each Idempotency-Key
openapi.py     `Json[Product]`: the answer of an operation, and its schema
request_schemas.py             bodies, as clients send them
products.py, photos.py, rooms_and_staff.py, cards_and_reviews.py, files_and_feeds.py  operations
"""

from livecart.shop.api.gate import ApiStats
from livecart.shop.api.router import PREFIX, catalog_router
from livecart.shop.settings import ApiSettings

__all__ = ["PREFIX", "ApiSettings", "ApiStats", "catalog_router"]
