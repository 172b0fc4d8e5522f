"""Accuracy of recognition: labelled photos split into a catalog and queries, composed frames, metrics and plots."""
