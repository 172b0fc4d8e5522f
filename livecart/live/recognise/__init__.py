"""Frames out to the archive, detections back.

latest_frames.py  one slot a room, newest wins;  dispatcher.py, concurrency.py  bounded requests, fair among rooms
client.py         HTTP;  reply.py  the archive's answer, read strictly;  settings.py  address, options, retries
"""
