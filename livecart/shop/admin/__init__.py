"""The staff's pages over the catalog: products, photos, rooms, live cards, reviews, figures, sync, audit, access.

Lists, forms, paging, search and the styles are starlette-admin's; what is written goes through `repositories/`, so that
it is checked, versioned and audited as everywhere. docs/admin.md.

site           puts all together; guard stands before it, sign_in says who may what, and how often one may fail
views/         a page, or one kind of page, each: page.py and listing.py are what they share
product_form   a form's values and what changed meanwhile; product_query: the list's filters and order
preview        a photo as the recogniser sees it; texts: Chinese and English (texts.toml, templates/)
"""

from livecart.shop.admin.preview import RecognizePhoto
from livecart.shop.admin.site import admin_app

__all__ = ["RecognizePhoto", "admin_app"]
