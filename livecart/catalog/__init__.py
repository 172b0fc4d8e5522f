"""The catalog as a service: what is sold, whether it may be shown now, and what the archive recognises.

database/  engine, tables, migrations, transactions (`open_store`)
records/   small functions that read and write within a transaction: products, photos, rooms, cards, reviews, ...
stock/     link, price and stock at the speed of cards (`open_cache`, `StockCache.confirm`)
transfer/  product_links.json, catalog folders, CSV and Excel
sync/      other shops' and platforms' feeds
publish/   changes become the snapshot that archives follow
api/       all of it over HTTP, for programs
"""
