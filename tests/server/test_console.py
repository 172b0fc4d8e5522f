"""The host's console: what its feed tells, and who is let in."""

import asyncio
import re
import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import get_args, get_type_hints

import pytest

from contract.card import CardEvent, WithdrawReason
from livecart.core.types import Detections, StreamState
from livecart.live.gate.gate import LookReason, SkipReason
from livecart.live.outcomes import Outcome
from livecart.live.video.stats import DecodeMode
from livecart.web.console.feed import ConsoleFeed
from livecart.web.console.messages import ConsoleUpdate
from livecart.web.hub import TicketSigner
from tests.conftest import ROOT
from tests.live.video.streams import ByteServer
from tests.server.consoles import SECRET, TOKEN, Host, client_of, console
from tests.waiting import until


@pytest.fixture
def stream(flv):
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as server:
        yield server.url


async def test_a_host_sees_looks_state_and_events(engine, archive, tmp_path, stream):
    archive.texts = [{"text": "好欢螺", "confidence": 0.97, "box": [10.0, 10.0, 60.0, 30.0]}]
    async with console(engine, tmp_path, stream) as running, Host(running.api) as host:
        await until(lambda: any(event["event"] == "card" for event in host.events))
        await until(lambda: host.messages[-1]["cards"])
        look, last = host.looks[0], host.messages[-1]
        (seen,) = look["products"]
        assert (seen["sku"], seen["confidence"], seen["is_shown"]) == ("red", 0.93, True)
        assert seen["evidence"] == {"photo": 0.8}
        assert (look["frame_width"], look["frame_height"]) == (192, 256)
        assert seen["box"] == [48.0, 64.0, 144.0, 192.0]
        assert [line["text"] for line in look["texts"]] == ["好欢螺"]
        assert 0 < look["decided_at_s"] - look["captured_at_s"] < 5
        assert [(card["sku"], card["name"]) for card in last["cards"]] == [("red", "商品 red")]
        assert last["room"]["state"] == "live"
        assert last["room"]["gate"]["first"] == 1
        assert last["outcomes"]["answered"] >= 2
        # Four frames a second, but no more than two messages.
        assert min(b - a for a, b in zip(host.at_s, host.at_s[1:], strict=False)) >= 0.49
        assert engine.rooms.watchers.watchers_of("r") == 1
    assert engine.rooms.watchers.watchers_of("r") == 0


async def test_a_slow_host_gets_the_newest_look_and_holds_up_nobody(engine, tmp_path):
    async with (
        console(engine, tmp_path, "whip") as running,
        Host(running.api) as slow,
        Host(running.api) as quick,
    ):
        await until(lambda: slow.messages)
        slow.reads.clear()
        before = len(slow.messages)
        number = 0
        while len(quick.looks) < 3:
            number += 1
            engine.rooms.watchers.tell(Detections("r", float(number), time.time(), 192, 256, (), {}))
            await asyncio.sleep(0.05)
        assert len(slow.messages) == before
        slow.reads.set()
        await until(lambda: any(look["pts_s"] == float(number) for look in slow.looks))
        # What was being sent when it stopped, and then the newest, which says how many it passed over.
        assert len(slow.looks) <= 2
        assert slow.looks[-1]["skipped"] >= 10


async def test_a_room_that_goes_ends_the_stream_and_an_unknown_one_is_none(engine, tmp_path, stream):
    async with console(engine, tmp_path, stream) as running:
        async with Host(running.api) as host:
            await until(lambda: host.messages)
            await running.book.delete("r")
            await asyncio.wait_for(host.task, 5)
        async with Host(running.api) as host:
            assert host.status == 404


async def test_closing_ends_every_stream(engine, tmp_path, stream):
    async with console(engine, tmp_path, stream) as running, Host(running.api) as host:
        await until(lambda: host.messages)
        await running.made.feed.close()
        await asyncio.wait_for(host.task, 5)
        async with client_of(running) as client:
            assert (await client.get("/rooms/r/detections")).status_code == 503


async def test_consoles_of_a_room_are_bounded(engine, tmp_path, stream):
    async with console(engine, tmp_path, stream) as running, asyncio.TaskGroup() as group, client_of(running) as client:
        hosts = [Host(running.api) for _ in range(16)]
        entered = [group.create_task(host.__aenter__()) for host in hosts]
        await asyncio.gather(*entered)
        await until(lambda: engine.rooms.watchers.watchers_of("r") == 16)
        answer = await client.get("/rooms/r/detections")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "room_full")
        for host in hosts:
            await host.__aexit__()


async def test_a_host_that_reads_nothing_is_ended(monkeypatch):
    monkeypatch.setattr("livecart.web.console.feed._TAKEN_WITHIN_S", 0.05)
    source = SimpleNamespace(watch=lambda _: nullcontext((asyncio.Event(), _update)))

    async def never(_message):
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await ConsoleFeed(source, at_most_every_s=0.01, at_least_every_s=0.02).serve("r", never)


def _update():
    return ConsoleUpdate(
        server_time_s=1.0, room=None, cards=[], outcomes={}, viewers=0, detections=None, events=[], events_missed=0
    )


async def test_the_token_or_a_hosts_ticket_of_the_room_lets_in(engine, tmp_path, clip):
    async with console(engine, tmp_path, clip[0], f'[viewers]\nsecret = "{SECRET}"\n', token=TOKEN) as running:
        async with client_of(running, TOKEN) as operator:
            host = (await operator.post("/rooms/r/tickets", json={"role": "host"})).json()["ticket"]
            viewer = (await operator.post("/rooms/r/tickets")).json()["ticket"]
            other = (await operator.post("/rooms/other/tickets", json={"role": "host"})).json()["ticket"]
            assert (await operator.post("/rooms/r/tickets", json={"role": "boss"})).status_code == 422
        office = TicketSigner(SECRET)
        assert office.admits("r", host, "host")
        assert office.admits("r", host)
        assert not office.admits("r", viewer, "host")
        assert not office.admits("r", viewer.replace("viewer", "host"), "host")
        for credential, status in ((None, 401), ("wrong", 401), (viewer, 401), (other, 401), (host, 200), (TOKEN, 200)):
            async with client_of(running, credential) as client:
                assert (await client.post("/rooms/r/mute", json={"sku": "9"})).status_code == status
                assert (await client.post("/rooms/r/pin", json={"sku": "9"})).status_code == status
                assert (await client.delete("/rooms/r/pin")).status_code == status
                assert (await client.delete("/rooms/r/mute/9%2Fa")).status_code == status
                assert (await client.post("/rooms/r/withdraw", json={"sku": "9"})).status_code == status
                # The rest of the API is the operator's.
                assert (await client.get("/rooms")).status_code == (200 if credential == TOKEN else 401)
                assert (await client.delete("/rooms/none")).status_code == (404 if credential == TOKEN else 401)
            async with Host(running.api, credential=credential) as watching:
                assert watching.status == status


async def test_the_page_wants_a_hosts_ticket_and_tells_strangers_nothing(engine, tmp_path, clip):
    async with console(engine, tmp_path, clip[0], token=TOKEN) as running:
        async with client_of(running, TOKEN) as operator:
            # Without viewers.secret there are no viewers' tickets, but hosts' of this process.
            assert (await operator.post("/rooms/r/tickets")).status_code == 409
            ticket = (await operator.post("/rooms/r/tickets", json={"role": "host"})).json()["ticket"]
        async with client_of(running) as client:
            known, unknown = await client.get("/rooms/r/console"), await client.get("/rooms/none/console")
            assert (known.status_code, known.text) == (401, unknown.text)
            assert known.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
            page = await client.get("/rooms/r/console", params={"ticket": ticket})
            assert page.status_code == 200
            assert f'data-ticket="{ticket}"' in page.text
            assert 'data-source="/live.m3u8"' in page.text
            assert "unsafe" not in page.headers["content-security-policy"]
            for name in ("console.js", "sign_in.js", "feed.js", "console.css"):
                assert (await client.get(f"/console/{name}")).status_code == 200


async def test_without_a_token_the_page_is_open_and_has_a_ticket_for_the_hub(engine, tmp_path, clip):
    text = f'[viewers]\nsecret = "{SECRET}"\n'
    async with console(engine, tmp_path, clip[0], text) as running, client_of(running) as client:
        page = await client.get("/rooms/r/console")
        assert page.status_code == 200
        ticket = page.text.split('data-ticket="')[1].split('"')[0]
        assert TicketSigner(SECRET).admits("r", ticket)
        assert (await client.get("/rooms/none/console")).status_code == 404


def test_every_word_that_the_page_may_show_has_both_languages():
    """What it has no word for it shows as the API says it, in English."""
    page = (ROOT / "livecart" / "web" / "console" / "page" / "texts.js").read_text(encoding="utf-8")
    table = page[page.index("const WORDS") : page.index("const LANGUAGE_KEY")]
    words = dict(re.findall(r"^  '?([a-z_:]+)'?: \['([^']+)', '[^']+'\],$", table, re.MULTILINE))
    kinds = (LookReason, SkipReason, Outcome, StreamState, DecodeMode, get_type_hints(CardEvent)["event"])
    shown = {name for kind in kinds for name in get_args(kind)}
    assert shown - words.keys() == set()
    assert set(get_args(WithdrawReason)) - {name.removeprefix("reason:") for name in words} == set()
    chinese = [text for name, text in words.items() if name != "unknown"]
    assert all(any("\u4e00" <= each <= "\u9fff" for each in text) for text in chinese)
