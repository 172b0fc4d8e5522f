"""What every bus promises, on each of them."""

import asyncio

import pytest

from livecart.core.errors import BusError
from livecart.events import Gap
from tests.events.bus_events import made, quiet, take
from tests.waiting import until


async def sent(bus, *events):
    """Publish, and wait until all of it is on the bus."""
    for event in events:
        await bus.publish(event)
    await until(lambda: bus.stats.queued == 0)


async def test_a_subscriber_gets_every_field_in_order(buses):
    bus = buses()
    events = [made(1), made(2, "update", box=None), made(3, "withdraw")]
    async with bus.subscribe("r") as items:
        await sent(bus, *events)
        assert await take(items, 3) == events


async def test_each_subscriber_gets_all(buses):
    publisher, other = buses(), buses()
    async with other.subscribe("r") as one, other.subscribe("r") as two, publisher.subscribe() as everything:
        await sent(publisher, made(1), made(2))
        for items in (one, two, everything):
            assert [event.event_id for event in await take(items, 2)] == [1, 2]


async def test_a_rooms_subscriber_gets_no_other_room(buses):
    bus = buses()
    async with bus.subscribe("r") as items, bus.subscribe() as everything:
        await sent(bus, made(1, room="other"), made(1), made(2, room="other"))
        assert await take(items, 1) == [made(1)]
        assert [(event.room, event.event_id) for event in await take(everything, 3)] == [
            ("other", 1),
            ("r", 1),
            ("other", 2),
        ]
        assert await quiet(items)


async def test_without_an_id_only_what_comes_from_now_on(buses):
    bus = buses()
    await sent(bus, made(1))
    async with bus.subscribe("r") as items, bus.subscribe() as everything:
        await sent(bus, made(2))
        assert await take(items, 1) == [made(2)]
        assert await take(everything, 1) == [made(2)]


async def test_resuming_gives_what_came_after_the_id_and_what_comes(buses):
    bus = buses()
    await sent(bus, *(made(number) for number in range(1, 6)))
    async with bus.subscribe("r", 3) as items:
        await sent(bus, made(6))
        assert [event.event_id for event in await take(items, 3)] == [4, 5, 6]
        assert await quiet(items)


async def test_resuming_at_the_newest_or_before_the_first_misses_nothing(buses):
    bus = buses()
    async with bus.subscribe("r", 0) as items:
        await sent(bus, made(1))
        assert await take(items, 1) == [made(1)]
    async with bus.subscribe("r", 1) as items:
        assert await quiet(items)


async def test_an_event_published_twice_comes_once(buses):
    bus = buses()
    async with bus.subscribe("r") as items, bus.subscribe() as everything:
        await sent(bus, made(1), made(2), made(1), made(2), made(3))
        assert [event.event_id for event in await take(items, 3)] == [1, 2, 3]
        assert [event.event_id for event in await take(everything, 3)] == [1, 2, 3]
    assert bus.stats.duplicates == 2
    assert bus.stats.published == 3


async def test_a_room_that_numbers_anew_is_told_by_a_gap(buses):
    first, second = buses(), buses()
    async with first.subscribe("r") as items, first.subscribe() as everything:
        await sent(first, made(1), made(2), made(3))
        await sent(second, made(1, card_id="new"), made(2, "update", card_id="new"))
        for reader in (items, everything):
            got = await take(reader, 6)
            assert got[3] == Gap("r", 0)
            assert [event.card_id for event in got[:3] + got[4:]] == ["c1"] * 3 + ["new"] * 2
    async with second.subscribe("r", 3) as items:
        gap, *rest = await take(items, 3)
        assert gap == Gap("r", 0)
        assert [event.event_id for event in rest] == [1, 2]
    assert await second.last_event_id("r") == 2


async def test_missing_events_are_told_by_a_gap(buses):
    bus = buses()
    await sent(bus, made(1))
    async with bus.subscribe("r", 1) as items:
        await sent(bus, made(5))
        assert await take(items, 2) == [Gap("r", 3), made(5)]


async def test_a_slow_subscriber_loses_the_oldest_and_is_told(buses):
    bus = buses(queue_size=4)
    async with bus.subscribe("r") as slow:
        await sent(bus, *(made(number) for number in range(1, 11)))
        await until(lambda: bus.stats.subscriber_dropped == 6)
        gap, *rest = await take(slow, 5)
        assert gap == Gap("r", 6)
        assert [event.event_id for event in rest] == [7, 8, 9, 10]


async def test_publishing_does_not_wait_for_a_slow_subscriber(buses):
    bus = buses(queue_size=1)
    async with bus.subscribe("r") as slow, bus.subscribe("r", 0):
        async with asyncio.timeout(10):
            await sent(bus, *(made(number) for number in range(1, 200)))
        await until(lambda: bus.stats.subscriber_dropped >= 2 * 198)
        assert await take(slow, 2) == [Gap("r", 198), made(199)]


async def test_latest_is_what_a_late_viewer_needs(buses):
    publisher, other = buses(), buses()
    assert await other.latest("r") == []
    await sent(publisher, made(1), made(2, card_id="c2"), made(3, "update", box=(5.0, 6.0, 7.0, 8.0)))
    cards = await other.latest("r")
    assert [(card.event, card.card_id, card.event_id) for card in cards] == [("card", "c2", 2), ("card", "c1", 3)]
    assert cards[1].box == (5.0, 6.0, 7.0, 8.0)
    await sent(publisher, made(4, "withdraw", card_id="c2"), made(1, room="other"))
    assert [card.card_id for card in await other.latest("r")] == ["c1"]
    await sent(publisher, made(5, "withdraw"))
    assert await other.latest("r") == []


async def test_the_last_event_id_is_where_a_room_goes_on(buses):
    bus = buses()
    assert await bus.last_event_id("r") == 0
    await sent(bus, made(1), made(2))
    assert await bus.last_event_id("r") == 2


async def test_only_so_much_is_kept(buses):
    bus = buses(history=10)
    await sent(bus, *(made(number) for number in range(1, 400)))
    async with bus.subscribe("r", 1) as items:
        gap, first = await take(items, 2)
        assert gap == Gap("r", first.event_id - 2)
        assert first.event_id > 200


async def test_closing_ends_the_iteration_and_what_follows_is_refused(buses):
    bus = buses()
    async with bus.subscribe("r") as items:
        await sent(bus, made(1))
        await take(items, 1)
        await bus.close()
        with pytest.raises(StopAsyncIteration):
            await take(items, 1)
    await bus.close()
    for refused in (bus.publish(made(2)), bus.latest("r"), bus.last_event_id("r")):
        with pytest.raises(BusError, match="the bus is closed"):
            await refused
    with pytest.raises(BusError, match="the bus is closed"):
        async with bus.subscribe("r"):
            pass


async def test_closing_sends_what_waits(buses):
    first, second = buses(), buses()
    async with second.subscribe("r") as items:
        await first.publish(made(1))
        await first.publish(made(2))
        if first is not second:
            await first.close()
        assert [event.event_id for event in await take(items, 2)] == [1, 2]


async def test_no_task_outlives_its_bus(buses):
    before = asyncio.all_tasks()
    bus = buses()
    async with bus.subscribe("r") as items, bus.subscribe():
        await sent(bus, made(1))
        await take(items, 1)
        assert bus.stats.subscribers == 2
    assert bus.stats.subscribers == 0
    await bus.close()
    await asyncio.sleep(0)
    assert {task for task in asyncio.all_tasks() - before if task.get_name().startswith("livecart")} == set()


@pytest.mark.parametrize(("room", "after"), [(None, 3), ("r", -1)])
async def test_an_id_without_a_room_is_refused(buses, room, after):
    with pytest.raises(ValueError, match=r"after_event_id .* needs a room"):
        async with buses().subscribe(room, after):
            pass
