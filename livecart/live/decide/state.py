"""The state that another runner of a room goes on with: enough never to announce a product a second time."""

from dataclasses import dataclass

from livecart.live.decide.cards import FrameStamp
from livecart.live.decide.host import HostControl
from livecart.live.decide.stream_clock import StreamClock
from livecart.live.decide.track import Track


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomState:
    """One room; nothing of it changes with the room. `heard_at_s` is wall clock, `tracks` have no votes."""

    room: str
    last_event_id: int
    heard_at_s: float
    clock: StreamClock
    frame: FrameStamp
    tracks: tuple[Track, ...]
    host: HostControl
