"""From detections to cards: which product is announced, tracked and withdrawn in one room, and when.

    room.py         RoomDecision, the way in: takes results, host's wishes and time, gives events
    stream_clock.py one time for a room, whatever its stream's timestamps do
    detections.py   what one result says: who speaks for each place, what is seen but never surely
    vote.py         how much one result counts, and when results agree enough
    tracker.py      takes results in;  track.py: one product, where it is, since when, when it may be announced again
    competition.py  which of several products is the one held
    track_table.py  the cards on screen: who comes, stays and goes;  availability.py: may the shop show it
    host.py         pinned, muted and listed products
    cards.py        writes events, numbers them, knows which cards are live
    boxes.py        geometry;  settings.py;  state.py: what survives a restart

No input or output, no clock of its own, no thread: the same calls give the same events.
"""

from livecart.live.decide.room import RoomDecision
from livecart.live.decide.settings import DecisionSettings
from livecart.live.decide.state import RoomState

__all__ = ["DecisionSettings", "RoomDecision", "RoomState"]
