"""A viewer of the hub: the room's card events, as they come."""

import json
import time
from collections.abc import Iterator

import msgspec
import requests

from contract.card import CardEvent

_RETRY_S = 1.0


def card_events(url: str) -> Iterator[CardEvent]:
    """Every event from now on, for ever: a connection that ends is made again, where it ended.

    Args:
        url: a room's `/rooms/{id}/events`.
    """
    after: int | None = None
    while True:
        try:
            for event in _events(url, after):
                after = event.event_id
                yield event
        except requests.RequestException:
            pass
        time.sleep(_RETRY_S)


def _events(url: str, after: int | None) -> Iterator[CardEvent]:
    query = {} if after is None else {"after": str(after)}
    # The hub pings every 15 s.
    with requests.get(url, params=query, stream=True, timeout=(5, 45)) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines(chunk_size=1, decode_unicode=False):
            if line.startswith(b"data:"):
                message = json.loads(line[5:])
                if message.get("type") == "event":
                    yield msgspec.convert(message["event"], CardEvent)
