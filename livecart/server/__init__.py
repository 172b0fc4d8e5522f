"""Composition: the only place that picks implementations.

app.py          recogniser, rooms, bus and HTTP put together;  rooms_file.py  rooms.toml
room_registry.py  rooms of file and HTTP;  viewers.py, console.py  the viewers' hub and the host's console over them
shop.py         the catalog beside the rooms;  shop_jobs.py, shop_metrics.py, shop_availability.py
card_log.py     cards into the catalog;  feedback_store.py, review_gate.py  viewers' reports into it
snapshot_changes.py  rooms ask again after a new snapshot;  photo_preview.py  what the recogniser sees in a photo
health.py       probes
"""
