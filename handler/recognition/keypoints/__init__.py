"""Local features of packages, point by point.

extract.py  RootSIFT keypoints and their geometry;  votes.py  photos that share keypoints with a frame
colours.py  whether a photo's colours are there too
"""
