"""Events made by hand, and readers that never wait for ever."""

import asyncio

from tests.card_events import card_event


def made(event_id, event="card", *, room="r", box=(1.0, 2.0, 3.0, 4.0), **values):
    reason = "gone" if event == "withdraw" else None
    at_s = 1000.0 + event_id
    return card_event(event=event, event_id=event_id, room=room, box=box, at_s=at_s, reason=reason, **values)


async def take(items, count, timeout_s=10):
    """The next so many items."""

    async def read():
        return [await anext(items) for _ in range(count)]

    return await asyncio.wait_for(read(), timeout_s)


async def quiet(items, for_s=0.15):
    """Whether nothing comes for a moment."""
    try:
        await asyncio.wait_for(anext(items), for_s)
    except TimeoutError:
        return True
    return False
