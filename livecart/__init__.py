"""The live system: from a stream to one purchase card at the right moment. Knows the archive only over HTTP.

core/    values, errors, settings, below everything
live/    streams to cards;  events/  cards to whoever shows them
shop/    the catalog: products, photos, availability, feeds, webhooks, staff's pages
web/     HTTP: rooms, viewers, the host's console
server/  puts all of it together;  cli/  the commands
"""
