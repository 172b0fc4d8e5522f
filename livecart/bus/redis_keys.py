"""What the bus keeps in Redis, and how its entries are numbered.

    {prefix}:room:{room}    stream, one entry an event, id `epoch-event_id`; expires when the room is quiet for days
    {prefix}:events         stream, the events of all rooms, for who follows them all
    {prefix}:cards:{room}   hash, card_id to the card as a late viewer gets it; expires soon without its publisher

Redis refuses an entry whose id is not greater than the stream's last. So an event that is sent again, because nobody
knows whether it arrived, cannot arrive twice; and a reader resumes by event id alone. The epoch is the time in
milliseconds at which the room's events began to be numbered as they are.
"""

from __future__ import annotations

import msgspec

from livecart.types import CardEvent

#: Fields of an entry: the event as JSON, and its id in the room's stream.
EVENT, ID = b"event", b"id"

_DECODER = msgspec.json.Decoder(CardEvent)


class Keys:
    """Names of keys under one prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.events = f"{prefix}:events"

    def room(self, room: str) -> str:
        """The room's stream."""
        return f"{self._prefix}:room:{room}"

    def cards(self, room: str) -> str:
        """The room's current cards."""
        return f"{self._prefix}:cards:{room}"


def entry_id(epoch_ms: int, event_id: int) -> str:
    """Id of an event in its room's stream."""
    return f"{epoch_ms}-{event_id}"


def parse_id(text: bytes | str) -> tuple[int, int]:
    """Epoch in milliseconds and event id.

    Raises:
        ValueError: it is no entry's id.
    """
    epoch_ms, _, event_id = (text.decode("ascii") if isinstance(text, bytes) else text).partition("-")
    return int(epoch_ms), int(event_id)


def encode(event: CardEvent) -> bytes:
    """JSON, as docs/events.md describes it."""
    return msgspec.json.encode(event)


def decode(data: bytes) -> CardEvent:
    """The event.

    Raises:
        msgspec.MsgspecError: the JSON is not an event.
    """
    return _DECODER.decode(data)
