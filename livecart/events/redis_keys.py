"""Keys of the bus in Redis, and the numbering of its entries.

    {prefix}:room:{room}    stream, one entry an event, id `epoch-event_id`; expires when the room is quiet for days
    {prefix}:events         stream, the events of all rooms, for who follows them all
    {prefix}:cards:{room}   hash, card_id to the card as a late viewer gets it; expires soon without its publisher

Redis refuses an entry whose id is not greater than the stream's last. So an event that is sent again, because nobody
knows whether it arrived, cannot arrive twice; and a reader resumes by event id alone. The epoch is the time in
milliseconds at which the room's events began to be numbered as they are.
"""

import re

import msgspec

from contract.card import CardEvent
from contract.links import is_https_link
from livecart.core.printable import is_printable

#: Fields of an entry: the event as JSON, and its id in the room's stream.
EVENT, ID = b"event", b"id"
#: First and longest wait while Redis is away.
RETRY_S = (0.05, 2.0)

_PRICE = re.compile(r"[0-9]{1,20}(\.[0-9]{1,10})?")
#: A picture of the hub's own.
_OWN_PATH = re.compile(r"(/[A-Za-z0-9._-]+)+")
_DECODER = msgspec.json.Decoder(CardEvent)


class Keys:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.events = f"{prefix}:events"

    def room(self, room: str) -> str:
        return f"{self._prefix}:room:{room}"

    def cards(self, room: str) -> str:
        return f"{self._prefix}:cards:{room}"


def entry_id(epoch_ms: int, event_id: int) -> str:
    return f"{epoch_ms}-{event_id}"


def parse_id(text: bytes | str) -> tuple[int, int]:
    """Epoch in milliseconds and event id."""
    epoch_ms, _, event_id = (text.decode("ascii") if isinstance(text, bytes) else text).partition("-")
    return int(epoch_ms), int(event_id)


def encode(event: CardEvent) -> bytes:
    return msgspec.json.encode(event)


def decode(data: bytes, room: str | None = None) -> CardEvent:
    """The event, as far as viewers may get it: whoever writes to Redis writes to their screens.

    Args:
        data: JSON.
        room: whose stream or cards it was read from; None: those of all.

    Raises:
        msgspec.MsgspecError: the JSON is not an event, or not one that livecart would have sent.
    """
    try:
        event = _DECODER.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
    if room is not None and event.room != room:
        raise msgspec.ValidationError(f"is of room {event.room!r}")
    image = event.image_url
    links = [event.url, *(offer.url for offer in event.offers)]
    if not all(map(is_https_link, links)) or not (image is None or is_https_link(image) or _OWN_PATH.fullmatch(image)):
        raise msgspec.ValidationError("holds a link that may not be shown")
    if not (is_printable(event.name) and 0 <= event.confidence <= 1):
        raise msgspec.ValidationError("holds a name or a confidence that cannot be")
    usual, coupon = (event.selling.usual_price, event.selling.coupon) if event.selling else (None, None)
    if not is_printable(coupon or ""):
        raise msgspec.ValidationError("holds a coupon that cannot be")
    if any(price is not None and not _PRICE.fullmatch(price) for price in (event.price, usual)):
        raise msgspec.ValidationError("holds a price that is none")
    return event
