"""Between a decision and the viewers: price and stock, faces to avoid, crops for review.

availability_poller.py  what the shop says of products in sight;  enricher.py  faces and crops join an event
faces/  the detector;  crop_maker.py, crops.py  cut-outs;  uncertain.py  which products people should see
"""
