"""Tables: products.py, events.py, orders.py, webhooks.py, image_fetches.py, service.py (the rest); base.py."""
