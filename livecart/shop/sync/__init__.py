"""Feeds of shops and platforms, read into the catalog.

source                              a feed as pages, for the three kinds: http_json, merchant_xml, table_file
http_fetch                          requests, bounded and tried again
images                              pictures that feeds name, fetched as photos
syncer                              reads a feed, judges it, applies it; runs: its record; schedule: again and again
"""
