"""The dispatcher and its client against a server that is full, refuses, cuts, hangs, dies and comes back on its port.

What is asserted holds however slow the machine is: steps wait for what follows from the one before.
"""

import asyncio
from collections import Counter

from livecart.live.recognise.client import RecognizerClient
from livecart.live.recognise.settings import RecognizerSettings
from tests.live.recognise.archive_stand_in import Archive, answering, busy, cut_at_once, hang
from tests.live.recognise.dispatching import frame, running
from tests.live.recognise.tally import Tally

ROOMS = [f"room {number}" for number in range(6)]
REFUSED = answering(400, {"schema": 1, "error": {"code": "bad_image", "message": "no"}})
LAST = 29.0


async def test_each_frame_outlives_the_servers_faults_but_its_refusal():
    async with Archive(faults=[busy, REFUSED, cut_at_once, busy, busy, REFUSED]) as archive:
        settings = RecognizerSettings(base_url=archive.url, timeout_s=30)
        async with RecognizerClient(settings, metrics=Tally()) as client, running(client.recognize, *ROOMS) as service:
            for room in ROOMS:
                assert service.queue.offer(frame(room))
            await service.until(lambda: service.tally.outcomes.total() == len(ROOMS))
    assert service.tally.outcomes == {"answered": 4, "refused": 2}
    assert service.tally.incidents == {"busy": 4}
    assert [outcome for _, outcome in service.lost] == ["refused", "refused"]
    assert {look.room for look in service.looks} | {each.room for each, _ in service.lost} == set(ROOMS)


async def test_a_server_that_hangs_costs_one_attempt():
    async with Archive(faults=[hang]) as archive:
        settings = RecognizerSettings(base_url=archive.url, timeout_s=0.2)
        async with RecognizerClient(settings, metrics=Tally()) as client, running(client.recognize, "a") as service:
            service.queue.offer(frame("a"))
            await service.outcome("answered")
    assert service.tally.outcomes == {"answered": 1}
    assert service.tally.incidents["busy"] >= 1


async def test_while_a_server_is_dead_every_frame_comes_to_one_end_and_the_last_is_answered():
    put = 0
    async with Archive() as archive:
        settings = RecognizerSettings(base_url=archive.url, timeout_s=30)
        async with RecognizerClient(settings, metrics=Tally()) as client, running(client.recognize, *ROOMS) as service:
            for turn in range(int(LAST) + 1):
                if turn == 10:
                    await archive.stop()
                if turn == 18:
                    await service.until(lambda: service.tally.incidents["busy"] > 0)
                    await archive.start()
                for room in ROOMS:
                    put += service.queue.offer(frame(room, turn))
                await asyncio.sleep(0.01)
            await service.until(lambda: service.tally.outcomes.total() == put)
    outcomes, lost = service.tally.outcomes, Counter(outcome for _, outcome in service.lost)
    assert put == 180
    assert {look.room: look.pts_s for look in service.looks} == dict.fromkeys(ROOMS, LAST)
    assert outcomes["answered"] == len(service.looks)
    # A newer frame replaces one in the queue, or one taken from it before it was sent: only of the latter it is told.
    assert lost["replaced"] <= outcomes["replaced"]
    assert set(outcomes) <= {"answered", "replaced", "gave_up", "overtaken"}
    assert {key: lost[key] for key in ("gave_up", "overtaken")} == {
        key: outcomes[key] for key in ("gave_up", "overtaken")
    }
    for room in ROOMS:
        times = [look.pts_s for look in service.looks if look.room == room]
        assert times == sorted(set(times))
