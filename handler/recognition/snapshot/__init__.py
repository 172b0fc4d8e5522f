"""A catalog as files: catalog.json, and the one file that frames are matched against.

catalog_folder.py  catalog.json and its photos;  write.py ─▶ format.py ─▶ read.py  the snapshot
"""
