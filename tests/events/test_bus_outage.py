"""Redis killed and started again under a bus; a server of the test's own."""

import asyncio
import shutil
import socket
import subprocess

import msgspec
import psutil
import pytest
import redis

from contract.card import PlatformOffer, Selling
from livecart.core.errors import BusError
from livecart.events import Gap, open_bus
from tests.events.bus_events import made, quiet, take
from tests.waiting import until


class Server:
    """A redis-server on a free port, with an append-only file or forgetting all when it dies."""

    def __init__(self, folder, keeps):
        self._folder, self._keeps = folder, keeps
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process = None

    def start(self):
        keeping = ["--appendonly", "yes", "--appendfsync", "always"] if self._keeps else ["--appendonly", "no"]
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = subprocess.Popen(["redis-server", *where, "--save", "", *keeping], stdout=subprocess.DEVNULL)
        with redis.Redis(port=self.port) as client:
            for _ in range(500):
                try:
                    client.ping()
                except (redis.ConnectionError, redis.BusyLoadingError):
                    subprocess.run(["sleep", "0.02"], check=True)
                else:
                    return
        raise RuntimeError("redis-server did not start")

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


BOTH = pytest.mark.parametrize("server", [True, False], ids=["keeps", "forgets"], indirect=True)


@pytest.fixture
def server(request, tmp_path):
    """Keeps what it has over a kill, unless a test asks for one that forgets."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    own = Server(tmp_path, getattr(request, "param", True))
    own.start()
    yield own
    own.kill()


@pytest.fixture
async def bus(server):
    opened = open_bus(f"redis://127.0.0.1:{server.port}/0", outbox_size=50)
    yield opened
    await opened.close()


@BOTH
async def test_events_of_an_outage_arrive_in_order_and_once(server, bus):
    async with bus.subscribe("r") as items, bus.subscribe() as everything:
        await bus.publish(made(1))
        assert await take(items, 1) == await take(everything, 1) == [made(1)]
        server.kill()
        for number in range(2, 12):
            await bus.publish(made(number, "update"))
        await until(lambda: bus.stats.publish_failures > 0 and bus.stats.read_failures > 1)
        assert bus.stats.queued == 10
        with pytest.raises(BusError, match="is Redis up"):
            await bus.latest("r")
        server.start()
        for reader in (items, everything):
            assert [event.event_id for event in await take(reader, 10)] == list(range(2, 12))
            assert await quiet(reader)
    assert (bus.stats.queued, bus.stats.dropped, bus.stats.published) == (0, 0, 11)
    assert [card.event_id for card in await bus.latest("r")] == [11]


@BOTH
async def test_cards_are_shown_again_after_redis_forgot_them(server, bus):
    await bus.publish(made(1))
    await until(lambda: bus.stats.queued == 0)
    server.kill()
    await bus.publish(made(2, room="other"))
    await until(lambda: bus.stats.publish_failures > 0)
    server.start()
    await until(lambda: bus.stats.queued == 0)
    async with asyncio.timeout(10):
        while not await bus.latest("r"):
            await asyncio.sleep(0.02)
    assert [card.card_id for card in await bus.latest("r")] == ["c1"]


async def test_a_full_outbox_drops_updates_before_cards(server, bus):
    async with bus.subscribe("r", 0) as items:
        server.kill()
        await bus.publish(made(1))
        for number in range(2, 100):
            await bus.publish(made(number, "update"))
        await bus.publish(made(100, "withdraw"))
        assert bus.stats.dropped == 50
        assert bus.stats.queued == 50
        server.start()
        got = await take(items, 51)
    assert got[0] == made(1)
    assert got[1] == Gap("r", 50)
    assert [event.event_id for event in got[2:]] == list(range(52, 101))


async def test_who_subscribes_during_an_outage_is_told_of_the_gap(server, bus):
    server.kill()
    async with bus.subscribe("r") as items:
        assert await quiet(items)
        server.start()
        assert await take(items, 1) == [Gap("r", 0)]
        await bus.publish(made(1))
        assert await take(items, 1) == [made(1)]


async def test_closing_during_an_outage_is_quick_and_counted(server):
    bus = open_bus(f"redis://127.0.0.1:{server.port}/0")
    await bus.publish(made(1))
    await until(lambda: bus.stats.queued == 0)
    server.kill()
    await bus.publish(made(2))
    async with asyncio.timeout(8):
        await bus.close()
    assert bus.stats.dropped == 1


async def test_outages_leave_no_descriptor_behind(server, bus):
    process = psutil.Process()
    for number in range(3):
        async with bus.subscribe("r", number) as items:
            await bus.publish(made(number + 1))
            assert await take(items, 1) == [made(number + 1)]
            opened = process.num_fds()
            server.kill()
            await until(lambda: bus.stats.read_failures > 0)
            server.start()
        if number == 0:
            first = opened
    assert opened <= first + 2


async def test_what_is_no_event_is_counted_and_skipped(server, bus):
    with redis.Redis(port=server.port) as client:
        async with bus.subscribe("r") as items:
            await bus.publish(made(1))
            await take(items, 1)
            ((newest, _),) = client.xrevrange("livecart:room:r", count=1)
            epoch = newest.decode().split("-")[0]
            client.xadd("livecart:room:r", {"event": "garbage"}, id=f"{epoch}-2")
            await bus.publish(made(3))
            assert await take(items, 2) == [Gap("r", 1), made(3)]
    assert bus.stats.unreadable == 1


@pytest.mark.parametrize(
    "planted",
    [
        {"url": "javascript:alert(1)"},
        {"url": "https://shop.example.com@evil.example/"},
        {"image_url": "//evil.example/a.png"},
        {"room": "another"},
        {"confidence": 99.0},
        {"name": "a\u202eb"},
        {"price": "free"},
        {"selling": Selling(usual_price="free")},
        {"selling": Selling(coupon="a\u202eb")},
        {"selling": Selling(coupon="券" * 41)},
        {"selling": Selling(stock_left=-1)},
        {"offers": (PlatformOffer(platform="douyin", item_id="1", url="javascript:alert(1)"),)},
        {"offers": (PlatformOffer(platform="<b>", item_id="1", url="https://shop.example.com/1"),)},
    ],
    ids=str,
)
async def test_what_others_write_to_redis_reaches_no_viewer(server, bus, planted):
    evil = msgspec.json.encode(msgspec.structs.replace(made(2, card_id="c2"), **planted))
    with redis.Redis(port=server.port) as client:
        async with bus.subscribe("r") as items:
            await bus.publish(made(1))
            await take(items, 1)
            ((newest, _),) = client.xrevrange("livecart:room:r", count=1)
            client.xadd("livecart:room:r", {"event": evil}, id=f"{newest.decode().split('-')[0]}-2")
            client.hset("livecart:cards:r", "c2", evil)
            await bus.publish(made(3))
            assert await take(items, 2) == [Gap("r", 1), made(3)]
        assert [card.card_id for card in await bus.latest("r")] == ["c1"]


async def test_cards_expire_without_their_publisher_and_not_with_it(server):
    bus = open_bus(f"redis://127.0.0.1:{server.port}/0", cards_ttl_s=0.4)
    other = open_bus(f"redis://127.0.0.1:{server.port}/0")
    await bus.publish(made(1))
    await until(lambda: bus.stats.queued == 0)
    await asyncio.sleep(1.0)
    assert len(await other.latest("r")) == 1
    await bus.close()
    await asyncio.sleep(0.6)
    assert await other.latest("r") == []
    await other.close()
