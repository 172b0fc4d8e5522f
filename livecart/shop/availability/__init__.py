"""Link, price and stock of products at the speed of cards: what stands between a decision and a card.

product.py  one product's availability, many read in one query; how few left are told
cache.py    answers that are never older than their bound;  entries.py, redis_entries.py  where they lie
open.py     a cache from its URL
"""
