"""Tickets of hosts and publishers: what each opens, and how they are revoked."""

import asyncio
import time

import pytest

from livecart.core.errors import SettingsError
from livecart.core.settings import RoomSettings
from livecart.web.hub import TicketSigner
from tests.server.consoles import SECRET, TOKEN, Host, client_of, console
from tests.waiting import until

VIEWERS = f'[viewers]\nsecret = "{SECRET}"\n'
SDP = {"Content-Type": "application/sdp"}


async def mint(operator, role, room="r", **more):
    answer = await operator.post(f"/rooms/{room}/tickets", json={"role": role, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["ticket"]


async def test_an_encoder_sends_to_its_room_by_a_ticket_that_opens_nothing_else(engine, tmp_path):
    async with console(engine, tmp_path, "whip", VIEWERS, token=TOKEN) as running:
        async with client_of(running, TOKEN) as operator:
            publisher = await mint(operator, "publisher")
            others = [await mint(operator, role) for role in ("host", "viewer")]
            others.append(await mint(operator, "publisher", "other"))
        for credential, status in [(None, 401), *((other, 401) for other in others), (publisher, 400), (TOKEN, 400)]:
            async with client_of(running, credential) as client:
                # 400: let in, but this is no offer.
                assert (await client.post("/rooms/r/whip", content="no sdp", headers=SDP)).status_code == status
                ended = await client.delete("/rooms/r/whip/nobody")
                assert ended.status_code == (401 if status == 401 else 404)
        async with client_of(running, publisher) as client:
            for method, path in (("GET", "/rooms/r"), ("DELETE", "/rooms/r"), ("POST", "/rooms/r/tickets")):
                assert (await client.request(method, path)).status_code == 401, path
            assert (await client.post("/rooms/r/mute", json={"sku": "9"})).status_code == 401
            assert (await client.get("/rooms/r/console", params={"ticket": publisher})).status_code == 401
            assert (await client.get("/rooms/r/events", params={"ticket": publisher})).status_code == 401
        assert not TicketSigner(SECRET).admits("r", publisher)


async def test_only_a_publishers_ticket_is_good_for_more_than_a_week(engine, tmp_path):
    async with (
        console(engine, tmp_path, "whip", VIEWERS, token=TOKEN) as running,
        client_of(running, TOKEN) as operator,
    ):
        for role, for_s, status in (
            ("publisher", 366 * 86_400, 201),
            ("publisher", 367 * 86_400, 422),
            ("host", 7 * 86_400, 201),
            ("host", 7 * 86_400 + 1, 422),
            ("viewer", 8 * 86_400, 422),
        ):
            answer = await operator.post("/rooms/r/tickets", json={"role": role, "for_s": for_s})
            assert answer.status_code == status, (role, for_s)


async def test_revoking_ends_hosts_and_publishers_of_the_room_and_no_viewer(engine, tmp_path):
    async with (
        console(engine, tmp_path, "whip", VIEWERS, token=TOKEN) as running,
        client_of(running, TOKEN) as operator,
    ):
        await operator.put("/rooms/other", json={"source": "whip"})
        host, publisher, viewer = [await mint(operator, role) for role in ("host", "publisher", "viewer")]
        elsewhere = await mint(operator, "host", "other")
        async with Host(running.api, credential=host) as watching:
            await until(lambda: watching.messages)
            answer = await operator.delete("/rooms/r/tickets")
            assert (answer.status_code, answer.json()["ticket_generation"]) == (200, 1)
            await asyncio.wait_for(asyncio.shield(watching.task), 5)
        async with client_of(running, host) as client:
            assert (await client.post("/rooms/r/mute", json={"sku": "9"})).status_code == 401
            assert (await client.get("/rooms/r/events", params={"ticket": host})).status_code == 401
        async with client_of(running, publisher) as client:
            assert (await client.post("/rooms/r/whip", content="no sdp", headers=SDP)).status_code == 401
        async with client_of(running) as client:
            assert (await client.post("/rooms/r/feedback", params={"ticket": viewer}, content=b"x")).status_code == 422
        async with client_of(running, elsewhere) as client:
            assert (await client.post("/rooms/other/mute", json={"sku": "9"})).status_code == 200
        async with client_of(running, await mint(operator, "host")) as client:
            assert (await client.post("/rooms/r/mute", json={"sku": "9"})).status_code == 200
        # A room that goes and comes again revives none.
        await operator.delete("/rooms/r")
        await operator.put("/rooms/r", json={"source": "whip"})
        async with client_of(running, host) as client:
            assert (await client.post("/rooms/r/mute", json={"sku": "9"})).status_code == 401
        assert (await operator.delete("/rooms/none/tickets")).status_code == 404


async def test_a_rooms_own_lines_revoke_without_touching_its_stream(engine, tmp_path):
    async with console(engine, tmp_path, "whip", VIEWERS, token=TOKEN) as running:
        runner, room = engine.rooms.get("r"), {"source": "whip", "rate_hz": 4.0, "playback_url": "/live.m3u8"}
        async with client_of(running, TOKEN) as operator:
            first = await mint(operator, "host")
            for generation, view in ((3, 3), (2, 3)):  # it never falls
                answer = await operator.put("/rooms/r", json=room | {"ticket_generation": generation})
                assert answer.json()["ticket_generation"] == view
            third = await mint(operator, "host")
        assert third.split(".")[1:3] == ["host", "3"]
        for ticket, status in ((first, 401), (third, 200)):
            async with client_of(running, ticket) as client:
                assert (await client.post("/rooms/r/mute", json={"sku": "9"})).status_code == status
        assert engine.rooms.get("r") is runner


@pytest.mark.parametrize("generation", [-1, 10**9])
def test_a_generation_is_a_number_that_a_ticket_holds(generation):
    with pytest.raises(SettingsError, match="ticket_generation must be 0 to 999999999"):
        RoomSettings(id="r", source="whip", ticket_generation=generation)


@pytest.mark.parametrize("other", ["host", "host.1", "host.3", "host.02", "publisher.2", "viewer", "viewer.2"])
def test_generation_and_role_are_signed(other):
    office = TicketSigner(SECRET, lambda _room: 2)
    ticket = office.mint("r", 60, "host").text
    assert office.admits("r", ticket, "host")
    assert not office.admits("r", ticket.replace("host.2", other))
    assert not office.admits("r", ticket.replace("host.2", other), "host")


def test_where_a_room_runs_elsewhere_its_hosts_watch():
    ticket = TicketSigner(SECRET, lambda _room: 2).mint("r", 60, "host").text
    assert TicketSigner(SECRET).admits("r", ticket)


async def test_who_sends_by_a_revoked_ticket_is_ended(engine, tmp_path):
    peers = pytest.importorskip("tests.live.video.peers", reason="aiortc is not installed")
    async with (
        console(engine, tmp_path, "whip", VIEWERS, token=TOKEN) as running,
        client_of(running, TOKEN) as operator,
        peers.peer(peers.aiortc.VideoStreamTrack()) as sender,
        client_of(running, await mint(operator, "publisher")) as encoder,
    ):
        answer = await encoder.post("/rooms/r/whip", content=peers.offer_of(sender), headers=SDP)
        assert answer.status_code == 201
        await peers.take_answer(sender, answer.text)
        await until(lambda: engine.rooms.get("r").view().state == "live")
        since_s = time.monotonic()
        view = (await operator.delete("/rooms/r/tickets")).json()
        assert (view["state"], view["detail"]) == ("reconnecting", "its ticket was revoked; waiting for a sender")
        assert time.monotonic() - since_s < 5
        again = await encoder.post("/rooms/r/whip", content=peers.offer_of(sender), headers=SDP)
        assert again.status_code == 401
