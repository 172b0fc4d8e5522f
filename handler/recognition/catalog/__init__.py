"""A shop's catalog: from its photos to a snapshot, and from a snapshot to what frames are matched with.

foreground.py, embedding.py  features of a photo, and how many;  journal.py  those of a build that was interrupted
build.py  features and indexes for a snapshot;  loaded.py  a snapshot opened for matching
"""
