"""Fitted data by backbone: projections/ and its reader index/vectors.py; calibrations/, box_fits/ and find/."""
