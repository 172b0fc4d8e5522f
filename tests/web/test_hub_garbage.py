"""Python's garbage collector under thousands of viewers."""

import gc

from livecart.web.hub.garbage import GarbagePolicy
from tests.web.hub_clients import running_hub


def test_thresholds_are_raised_for_many_viewers_only_and_given_back():
    own = gc.get_threshold()
    policy = GarbagePolicy()
    try:
        policy.adjust(999, 0)
        assert gc.get_threshold() == own
        policy.adjust(1000, 0)
        assert gc.get_threshold()[0] > own[0]
        assert gc.get_threshold()[1:] == own[1:]
        policy.adjust(10, 0)
        assert gc.get_threshold() == own
        policy.adjust(5000, 0)
    finally:
        policy.restore()
    assert gc.get_threshold() == own


def test_what_ended_connections_leave_is_collected_after_a_while(monkeypatch):
    collected = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    policy = GarbagePolicy()
    try:
        for ended in range(0, 20_001, 1000):
            policy.adjust(2000, ended)
        assert len(collected) == 4
    finally:
        policy.restore()


async def test_the_hub_gives_the_process_its_own_back():
    own = gc.get_threshold()
    async with running_hub() as hub:
        hub.hub.viewers_by_room = lambda: {"room-1": 3000}
        hub.hub.tend_memory()
        assert gc.get_threshold() != own
    assert gc.get_threshold() == own
