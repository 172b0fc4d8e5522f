"""Buses by URL."""

import subprocess
import sys

import pytest

from livecart.core.errors import SettingsError
from livecart.events import open_bus
from livecart.events.memory import MemoryBus
from livecart.events.redis_bus import RedisBus


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory://", MemoryBus),
        ("redis://127.0.0.1:6379/3?prefix=shop", RedisBus),
        ("redis://localhost", RedisBus),
        ("rediss://user:word@redis.example.com:6380/0?ssl_cert_reqs=required", RedisBus),
    ],
)
async def test_the_scheme_picks_the_bus(url, kind):
    bus = open_bus(url)
    assert type(bus) is kind
    await bus.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "give memory:// or redis://"),
        ("kafka://host", "give memory:// or redis://"),
        ("memory://host", "takes nothing more"),
        ("redis://", "needs a host"),
        ("redis://host/zero", "a number as its path"),
        ("redis://host:port/0", "cannot be read"),
        ("redis://host/0?prefx=a", "prefx is not understood; known are prefix"),
        ("redis://host/0?prefix=", "an empty prefix"),
        ("redis://host/0?ssl_cert_reqs=none", "ssl_cert_reqs is not understood"),
    ],
)
def test_a_wrong_url_is_told(url, told):
    with pytest.raises(SettingsError, match="bus URL") as error:
        open_bus(url)
    assert told in str(error.value)


def test_no_password_in_messages():
    with pytest.raises(SettingsError) as error:
        open_bus("redis://user:secret@host/x")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("wrong", [{"history": 0}, {"queue_size": 0}, {"outbox_size": 0}, {"cards_ttl_s": 0}])
def test_wrong_sizes_are_told(wrong):
    with pytest.raises(SettingsError, match="must be more than 0"):
        open_bus("memory://", **wrong)


def test_without_the_extra_memory_works_and_redis_says_what_to_install():
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from livecart.events import open_bus\n"
        "open_bus('memory://')\n"
        "try:\n    open_bus('redis://h')\nexcept Exception as e:\n    print(type(e).__name__, e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("SettingsError a redis:// bus needs the extra: pip install 'livecart[redis]'")
