"""Rooms on a Redis bus that is killed and comes back empty, while cards come: what a reader in another process gets."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from contract.card import CardEvent
from livecart.events import Bus, Gap, open_bus
from livecart.events.base import BusItem
from livecart.live.recognise.settings import RecognizerSettings
from livecart.server.app import Engine, open_engine
from tests.live.recognise.archive_stand_in import Archive, product
from tests.live.video.streams import ByteServer
from tests.server.conftest import plan
from tests.shop.own_servers import OwnRedis
from tests.waiting import until

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

ROOMS = ["room-1", "room-2", "room-3"]
#: Cards follow the product quickly, and go soon after it.
DECISION = {"agreeing_results": 1, "absence_s": 0.5, "smoothing_s": 0.0, "update_min_interval_s": 0.2}


class Host(Archive):
    """Every frame shows the product that the test says, a little to the left or right of where it was."""

    async def _predict(self, request):
        for each in self.products:
            shift_px = 20.0 * (len(self.requests) // len(ROOMS) % 2)
            each["box"] = [20.0 + shift_px, 20.0, 120.0 + shift_px, 200.0]
        return await super()._predict(request)


@dataclass
class Air:
    """Rooms that run, what they emitted, and what came over the bus."""

    host: Host
    engine: Engine
    reader: Bus
    emitted: list[CardEvent] = field(default_factory=list)
    got: list[BusItem] = field(default_factory=list)

    def events(self, room: str) -> list[CardEvent]:
        return [item for item in self.got if isinstance(item, CardEvent) and item.room == room]

    def missed(self, room: str) -> list[int]:
        return [item.missed for item in self.got if isinstance(item, Gap) and item.room in (room, None)]

    def looks(self) -> list[int]:
        return [self.engine.metrics.outcomes(room).get("answered", 0) for room in ROOMS]

    async def show(self, sku: str) -> None:
        """Show the product until every room emitted its card, and some looks more."""
        self.host.products = [product(sku)]
        await until(lambda: rooms_of(self.emitted, sku) == set(ROOMS))
        before = self.looks()
        await until(lambda: all(now >= then + 5 for now, then in zip(self.looks(), before, strict=True)))

    async def arrived(self, sku: str) -> None:
        await until(lambda: rooms_of(self.got, sku) == set(ROOMS) and self.engine.bus.stats.queued == 0)


def rooms_of(items, sku: str) -> set[str]:
    """Rooms that announced the product."""
    return {item.room for item in items if isinstance(item, CardEvent) and (item.event, item.sku) == ("card", sku)}


@pytest.fixture
def server(tmp_path):
    own = OwnRedis(tmp_path)
    own.start()
    yield own
    own.kill()


@asynccontextmanager
async def on_air(server: OwnRedis, flv: bytes):
    """Three rooms of one live stream. After it they are closed, and everything that was sent is in `got`."""
    async with closed_bus(server.url) as reader, Host(products=[]) as host, reader.subscribe() as items:
        with ByteServer(flv, bytes_per_s=len(flv) / 6.0) as stream:
            async with open_engine(RecognizerSettings(base_url=host.url), bus_url=server.url) as engine:
                air = Air(host, engine, reader)
                engine.outbox.listen(air.emitted.append)

                async def collect() -> None:
                    async for item in items:
                        air.got.append(item)

                collecting = asyncio.create_task(collect())
                for room in ROOMS:
                    # Key frames alone, where the machine is short, would only make the test slower.
                    how = {"ingest": {"load_shedding": "never"}, "decision": DECISION}
                    await engine.rooms.put(plan(room, stream.url, gate=False, rate_hz=5, **how))
                yield air
        await until(lambda: all(air.events(room)[-1] == newest(air.emitted, room) for room in ROOMS))
        await reader.close()
        await collecting


@asynccontextmanager
async def closed_bus(url: str):
    """A bus that is closed after the block, whatever happens in it."""
    bus = open_bus(url)
    try:
        yield bus
    finally:
        await bus.close()


def newest(events: list[CardEvent], room: str) -> CardEvent:
    return [event for event in events if event.room == room][-1]


def check_delivery(air: Air) -> Counter[str]:
    """Each event came once and in order or is in a gap, no card twice; the kinds of those that did not come."""
    lost: Counter[str] = Counter()
    for room in ROOMS:
        emitted, got = [event for event in air.emitted if event.room == room], air.events(room)
        assert [event.event_id for event in emitted] == list(range(1, len(emitted) + 1))
        came = {event.event_id for event in got}
        assert got == [event for event in emitted if event.event_id in came]
        assert sum(air.missed(room)) == len(emitted) - len(got)
        lost.update(event.event for event in emitted if event.event_id not in came)
    cards = Counter((event.room, event.sku) for room in ROOMS for event in air.events(room) if event.event == "card")
    assert set(cards.values()) == {1}
    return lost


async def test_cards_of_an_outage_come_once_and_rooms_look_on(server, flv):
    async with on_air(server, flv) as air:
        await air.show("1001")
        await air.arrived("1001")
        for sku in ("1002", "1003"):
            await asyncio.to_thread(server.kill)
            failures = air.engine.bus.stats.publish_failures
            await air.show(sku)
            assert air.engine.bus.stats.publish_failures > failures
            assert rooms_of(air.got, sku) == set()
            await asyncio.to_thread(server.start)
            await air.arrived(sku)
            for room in ROOMS:
                assert [card.sku for card in await air.reader.latest(room)] == [sku]
        for room in ROOMS:
            assert not {"failed", "refused", "closed"} & set(air.engine.metrics.outcomes(room))
        assert air.engine.bus.stats.dropped == 0
    lost = check_delivery(air)
    # An update that was on its way to the reader when Redis died is gone with it, and the reader is told.
    assert set(lost) <= {"update"}
    told = Counter((event.event, event.sku) for event in air.events("room-1") if event.event != "update")
    assert told == {(kind, sku): 1 for kind in ("card", "withdraw") for sku in ("1001", "1002", "1003")}


async def test_a_full_outbox_costs_updates_and_no_card(server, flv, monkeypatch):
    # Room for a withdrawal and a card of each room, and a few updates.
    monkeypatch.setattr("livecart.server.app.open_bus", lambda url: open_bus(url, outbox_size=10))
    async with on_air(server, flv) as air:
        await air.show("1001")
        await air.arrived("1001")
        await asyncio.to_thread(server.kill)
        await air.show("1002")
        await until(lambda: air.engine.bus.stats.dropped >= 10)
        assert air.engine.bus.stats.queued == 10
        await asyncio.to_thread(server.start)
        await air.arrived("1002")
        dropped = air.engine.bus.stats.dropped
    lost = check_delivery(air)
    assert set(lost) == {"update"}
    assert lost["update"] >= dropped >= 10
