"""Contract of the archive, livecart and the viewer. Imports msgspec and the standard library, nothing of ours.

`make docs` writes it as JSON Schema (docs/schema/) and as the viewer's TypeScript.

reply.py    what the archive answers to an image
errors.py   its error codes with their HTTP statuses, and the body of an error
card.py     card events, from the room over the bus to viewers
catalog.py  catalog.json as a shop writes it;  json_lines.py  JSON that people edit: duplicate keys, lines
offers.py   price and stock beside a snapshot;  uncertain_products.py  products that its photos do not tell for sure
feedback.py what staff and viewers said of recognition, for scripts/fit_*.py
links.py    which links may be put before a viewer
boxes.py    boxes and their overlap
images.py   kinds of image that are read, and how many scans a JPEG may have
"""
