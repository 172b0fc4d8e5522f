"""Every bus there is: the contract holds for each."""

import os
import uuid

import fakeredis
import pytest
import redis
from redis.asyncio import Redis

from livecart.events import open_bus
from livecart.events.redis_bus import RedisBus

SERVER = "redis://127.0.0.1:6379/9"


def _require_server():
    try:
        with redis.Redis.from_url(SERVER, socket_connect_timeout=1) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        reason = f"no Redis at {SERVER}: {error}"
        if os.environ.get("LIVECART_TEST_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(params=["memory", "fakeredis", pytest.param("server", marks=pytest.mark.services)])
async def buses(request):
    """Gives buses that share what they carry; memory:// gives the same one each time. Closed afterwards."""
    opened = []
    prefix = f"livecart-test-{uuid.uuid4().hex}"
    server = fakeredis.FakeServer()

    def give(**options):
        if request.param == "memory":
            if not opened:
                opened.append(open_bus("memory://", **options))
        elif request.param == "fakeredis":
            # A subscription that waits too short begins without its place on the bus, and misses events.
            options = {"timeout_s": 10, **options}
            opened.append(RedisBus(fakeredis.FakeAsyncRedis(server=server), prefix=prefix, **options))
        else:
            opened.append(open_bus(f"{SERVER}?prefix={prefix}", **options))
        return opened[-1]

    if request.param == "server":
        _require_server()
    yield give
    for bus in opened:
        await bus.close()
    if request.param == "server":
        async with Redis.from_url(SERVER) as client:
            keys = [key async for key in client.scan_iter(f"{prefix}*")]
            if keys:
                await client.delete(*keys)
