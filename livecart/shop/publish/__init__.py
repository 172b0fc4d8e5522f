"""Changes of the catalog become the snapshot that archives follow.

schedule.py ─▶ publisher.py ─▶ builder.py  when, what, by which process;  snapshot_folder.py  the files it leaves
"""
