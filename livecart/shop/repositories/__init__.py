"""Functions that read and write the catalog in a transaction: their `session` is of `Store.read` or `Store.write`.

products.py, bulk.py  one by one, and thousands as patches;  product_rows.py, search.py  rows as values, by text
photos.py, negatives.py  photos for and against a product;  photo_check.py, photo_bytes.py, blobs.py  as bytes
photo_layout.py  collages and pages of text among the pictures of feeds
rooms.py, slots.py, hosts.py, tokens.py  rooms, their numbered lists, link hosts, API tokens
cards.py, viewer_events.py, reviews.py, webhooks.py, audit.py  what happened
orders.py, sales.py  orders that came by cards, and their sums
image_fetches.py, idempotency.py  pictures to fetch, requests that were answered

They raise NotFound for what is not in the catalog, Conflict where somebody else was first, InvalidValue for a value
that the catalog does not take, and StoreUnavailable while the database does not answer.
"""
