"""Tables: products.py (sold), events.py (happened), webhooks.py, image_fetches.py, service.py (the rest); base.py."""
