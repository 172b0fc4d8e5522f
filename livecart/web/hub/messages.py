"""The protocol's messages (docs/viewer.md), encoded once for however many viewers."""

import time
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from contract.card import CardEvent

FeedbackKind: TypeAlias = Literal["impression", "click", "close", "wrong", "dwell"]
FEEDBACK_KINDS: tuple[FeedbackKind, ...] = get_args(FeedbackKind)

#: A batch of 20 is some 5 kB; nothing longer is read.
LONGEST_VIEWER_MESSAGE_BYTES = 32 * 1024
#: Close codes. 44xx are not tried again by the viewer until its address changes, others are.
GOING_AWAY, NOT_THE_PROTOCOL, TRY_AGAIN_LATER = 1001, 1008, 1013
BAD_TICKET, BAD_ORIGIN, NO_SUCH_ROOM = 4401, 4403, 4404

_Key: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{8,64}\Z", max_length=64)]


class Message:
    """One message, in the form of either transport."""

    def __init__(self, body: msgspec.Struct) -> None:
        self.text = msgspec.json.encode(body).decode()

    @cached_property
    def server_sent(self) -> bytes:
        # JSON has no line ends, so that one data line holds it.
        return f"data: {self.text}\n\n".encode()


class _Hello(msgspec.Struct, tag_field="type", tag="hello"):
    room: str
    server_time_s: float
    last_event_id: int
    current: msgspec.Raw


class _Event(msgspec.Struct, tag_field="type", tag="event"):
    event: CardEvent


class _Gap(msgspec.Struct, tag_field="type", tag="gap"):
    pass


class _Ping(msgspec.Struct, tag_field="type", tag="ping"):
    server_time_s: float


class _Ack(msgspec.Struct, tag_field="type", tag="ack"):
    batch_id: str


def current_cards(cards: Iterable[CardEvent]) -> bytes:
    """The list of a `hello`, to be encoded once as long as it is the same."""
    return msgspec.json.encode(list(cards))


def hello(room: str, last_event_id: int, current: bytes) -> Message:
    """The first message of a connection, and the answer to `Current`."""
    return Message(_Hello(room, time.time(), last_event_id, msgspec.Raw(current)))


def event_message(event: CardEvent) -> Message:
    return Message(_Event(event))


def ping() -> Message:
    """To be answered with `Pong`."""
    return Message(_Ping(time.time()))


def ack(batch_id: str) -> Message:
    return Message(_Ack(batch_id))


#: Events are missing.
GAP = Message(_Gap())


class Pong(msgspec.Struct, tag_field="type", tag="pong"):
    """The viewer is there."""


class Current(msgspec.Struct, tag_field="type", tag="current"):
    """The viewer wants a `hello`."""


class FeedbackEvent(msgspec.Struct, frozen=True):
    """One thing that one viewer did; `at_s` by the hub's clock, as far as the viewer knows it."""

    id: _Key
    kind: FeedbackKind
    card_id: Annotated[str, Meta(min_length=1, max_length=64)]
    sku: Annotated[str, Meta(min_length=1, max_length=200)]
    at_s: float
    dwell_s: Annotated[float, Meta(ge=0, le=86_400)] | None = None


class FeedbackBatch(msgspec.Struct, tag_field="type", tag="feedback"):
    """Reports of a viewer; sent again, under the same ids, until it is acknowledged."""

    batch_id: _Key
    events: Annotated[list[FeedbackEvent], Meta(min_length=1, max_length=20)]


class ProtocolError(Exception):
    """A viewer sent something else than one of its messages."""


_viewer_messages = msgspec.json.Decoder(Pong | Current | FeedbackBatch)


def read_viewer_message(data: str | bytes) -> Pong | Current | FeedbackBatch:
    """Decode what a viewer sent.

    Raises:
        ProtocolError: it is too long, no JSON, of no known type, nested too deep, or a field is out of bounds.
    """
    if len(data) > LONGEST_VIEWER_MESSAGE_BYTES:
        raise ProtocolError(f"a message has at most {LONGEST_VIEWER_MESSAGE_BYTES} bytes")
    try:
        message: Pong | Current | FeedbackBatch = _viewer_messages.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(str(error)) from error
    return message
