"""The closed-set classifier's side: class scores to Chinese labels, and products known by a label.

labels.py  the classes, top-k labels and their products;  product_links.py  product_links.json
"""
