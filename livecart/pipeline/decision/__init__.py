"""From looks to cards: which product is announced, followed and withdrawn in one room, and when.

    room.py         RoomDecision, the way in: takes looks, host's wishes and time, gives events
    stream_clock.py one time for a room, whatever its stream's timestamps do
    sightings.py    a look's candidates, ordered by place: who speaks for it, who is overruled
    vote.py         how much one look counts, and when looks agree enough
    tracker.py      takes looks in;  track.py: one product, where it is, since when, until when
    competition.py  which of several products is the one held
    dedupe.py       when a product may be announced again
    board.py        the cards on screen: who comes, stays and goes
    host.py         pinned, muted and listed products
    cards.py        writes events, numbers them, knows which cards are live
    boxes.py        geometry;  settings.py;  state.py, saving.py: what survives a restart

No input or output, no clock of its own, no thread: the same calls give the same events.
"""

from livecart.pipeline.decision.room import RoomDecision
from livecart.pipeline.decision.settings import DecisionSettings
from livecart.pipeline.decision.state import RoomState

__all__ = ["DecisionSettings", "RoomDecision", "RoomState"]
