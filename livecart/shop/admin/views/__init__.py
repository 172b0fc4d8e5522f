"""One page, or one kind of page, a module; page.py and listing.py are what they share.

home.py, products.py, photos.py, rooms.py, live.py, reviews.py, figures.py, sync.py, audit.py
access.py  tokens and link hosts
"""
