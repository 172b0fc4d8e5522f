"""A product as taken and given (product.py), and its price (money.py). No database in here."""
