"""Opens the feed of a room: a stream that is read, or one that the host sends in."""

from livecart.core.settings import WHIP_SOURCE
from livecart.live.video.reader import Deliver, OnState, StreamReader
from livecart.live.video.sampling import SamplingRate
from livecart.live.video.settings import IngestSettings
from livecart.live.video.whip import WhipEndpoint

#: Gives frames and states from `start` on until it is closed; `signal` begins that without waiting.
Feed = StreamReader | WhipEndpoint


def open_feed(
    source: str, room: str, settings: IngestSettings, deliver: Deliver, on_state: OnState, *, rate: SamplingRate
) -> Feed:
    """The feed that a room's source needs, sampled at `rate`.

    Raises:
        SettingsError: the source cannot be used, or what it needs is not installed.
    """
    if source == WHIP_SOURCE:
        return WhipEndpoint(room, settings, deliver, on_state, rate=rate)
    return StreamReader(source, room, settings, deliver, on_state, rate=rate)
