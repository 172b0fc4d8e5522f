"""Follows a catalog snapshot, by path or https, and hands each new sound one to the recogniser.

follower.py  polling, and the hand-over;  offers.py  price and stock beside the snapshot
sources.py   a file or a link;  cache.py  copies that workers share
"""
