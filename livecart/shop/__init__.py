"""The catalog as a service: what is sold, whether it may be shown now, and what the archive recognises.

errors         refusals, each a stable reason with parameters; errors.toml says them in Chinese and English
schemas/       a product as taken and given; checks of its values
models/        tables; database/ has the engine, migrations and transactions (`open_store`)
repositories/  small functions that read and write within a transaction: products, photos, rooms, cards, reviews, ...
availability/  link, price and stock at the speed of cards (`AvailabilityCache.check`)
import_export/ product_links.json, catalog folders, CSV and Excel
sync/          feeds of other shops and platforms
connectors/    shops on platforms as feeds: signed calls, tokens
webhooks/      sends card events to other systems
publish/       changes become the snapshot that archives follow
api/           all of it over HTTP, for programs; admin/ the staff's pages; files.py photos and snapshots for anybody
attribution    /go links with their UTM parameters, orders that shops report;  lift  orders beside explanations
slots          a room's numbered list, at the platform and here; chapters  of a recorded show, out of its cards
retention      deletes what was kept for long enough
service        the open catalog, put together from its settings (settings.py)
"""
