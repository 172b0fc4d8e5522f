"""The way of a room's stream, in the order of the data.

video/ ─▶ gate/ ─▶ recognise/ ─▶ decide/ ─▶ enrich/ ─▶ outbox.py

room_runner.py    one room, from its stream to its events;  in_flight.py  its frames at the recogniser
rooms.py          all rooms of a process;  plan.py  how one is run
sampling_controller.py  how often frames are taken;  mirroring.py  whether the picture is mirrored
outcomes.py, metrics.py, watchers.py  what is counted, and who looks on
"""
