"""Feeds of shops and platforms, read into the catalog."""
