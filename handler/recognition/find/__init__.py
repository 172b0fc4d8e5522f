"""The catalog's products in a frame.

detector.py  the way through: search, text, one confidence, better boxes
search.py    photo search around a roi or everywhere;  views.py  dense pass, its windows and their suppression, crops
match.py     keypoints of photos in the frame, and whether it is mirrored;  scene.py  regions and evidence so far
profiles.py  the work that one image may cost: windows searched closely, text read (up to which confidence: detector.py)
evidence.py, fusion.py   evidence to one calibrated confidence;  boxes.py  the product's outline
replies.py   thresholds, stock, rooms; boxes in the image's pixels
uncertain_products.py    when a catalog is built: the products that its photos and names do not tell for sure
"""
