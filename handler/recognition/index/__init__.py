"""Photos of the catalog as vectors, and the nearest of them.

vectors.py  crops to vectors in the fitted space;  gallery.py  nearest photos;  codes.py  their quantised codes
"""
