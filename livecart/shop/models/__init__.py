"""Tables: products.py (sold), events.py (happened), webhooks.py, service.py (the rest); base.py."""
