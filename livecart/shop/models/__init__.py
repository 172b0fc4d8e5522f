"""Tables: products.py (sold), events.py (happened), service.py (audit, tokens, feeds, snapshots); base.py."""
