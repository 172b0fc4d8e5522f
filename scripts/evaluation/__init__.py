"""Accuracy of recognition: labelled photos split into a catalog and queries, composed frames, metrics and plots.

run.py       for each seed a catalog, its queries and negatives, to figures;  backend.py  in this process, or a server
dataset.py   folders of labelled photos;  plain_products.py  drawn products without print or text
feedback.py  crops that a shop's staff decided on, for a fit
images.py    what a backend is asked: photos as files, or frames composed by compose.py
             of cutout.py, as_held.py, hand.py and backgrounds.py
metrics.py   figures from answers;  plots.py;  scene_cache.py  scenes kept between runs of a fit
"""
