"""Events made by hand, and readers that never wait for ever."""

from __future__ import annotations

import asyncio

from livecart.types import CardEvent


def made(event_id, event="card", *, room="r", card_id="c1", box=(1.0, 2.0, 3.0, 4.0), name="好欢螺螺蛳粉"):
    return CardEvent(
        event=event,
        event_id=event_id,
        card_id=card_id,
        room=room,
        sku="1001",
        name=name,
        url="https://shop.example.com/item/1001",
        price="12.90",
        currency="CNY",
        confidence=0.93,
        box=box,
        frame_width=720,
        frame_height=1280,
        pts_s=float(event_id),
        captured_at_s=1000.0 + event_id,
        decided_at_s=1000.3 + event_id,
        emitted_at_s=1000.4 + event_id,
        reason="gone" if event == "withdraw" else None,
    )


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


async def until(condition, timeout_s=60):
    """Wait for what another task does."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)
