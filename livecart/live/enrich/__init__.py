"""Between a decision and the viewers: price and stock, faces to avoid, crops for review.

availability_poller.py  what the shop says of products in sight;  enricher.py  faces and crops join an event
faces/  the detector;  crop_maker.py, crops.py  cut-outs: when, and how large (JPEG: video/picture.py)
uncertain.py  products that people should see
"""
