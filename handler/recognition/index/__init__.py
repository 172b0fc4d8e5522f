"""Photos of the catalog as vectors, and the nearest to a query.

vectors.py  crops to vectors in the fitted space;  photo_index.py  the nearest;  codes.py  their quantised codes
"""
