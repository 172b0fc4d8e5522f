"""Below everything: values, errors, settings, and the small tools that all parts share.

types.py       values that parts hand to each other;  errors.py  errors, with the operator's message
settings.py    settings from TOML, and sections that several parts need;  redis_url.py  memory:// and redis://
background.py  work that is kept running, retried with backoff;  files.py  files replaced in one step
http_bodies.py, http_replies.py  bounded request bodies, JSON answers;  rate_limits.py  token buckets, networks
public_address.py  addresses of the internet alone (SSRF);  untrusted.py  strangers' bytes in a process of its own
card_links.py  a card's short id and its /go link
printable.py   strangers' text for terminals and pages;  overlay_position.py  the overlay's card in the picture
"""
