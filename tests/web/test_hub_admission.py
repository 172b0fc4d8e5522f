"""Who is let in: tickets, origins, rooms, limits."""

import time
from contextlib import AsyncExitStack

import httpx
import pytest

from livecart.core.rate_limits import network_of
from livecart.web.hub import TicketSigner
from livecart.web.hub.admission import ConnectionLimiter
from tests.web.hub_clients import TOKEN, Viewer, event, running_hub, sample

SECRET = "a-secret-of-enough-characters"


def client_of(api, **more):
    return httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://127.0.0.1", **more)


async def code_of(api, *args, **more) -> int | None:
    async with Viewer(api, *args, **more) as viewer:
        return viewer.close_code


async def test_a_minted_ticket_lets_into_its_room():
    async with running_hub(secret=SECRET, token=TOKEN) as hub, client_of(hub.api) as client:
        assert (await client.post("/rooms/room-1/tickets")).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = await client.post("/rooms/room-1/tickets", headers=headers, json={"for_s": 600})
        assert answer.status_code == 201
        assert 590 < answer.json()["expires_at_s"] - time.time() <= 600
        ticket = answer.json()["ticket"]
        async with Viewer(hub.api, query=f"ticket={ticket}") as viewer:
            assert viewer.messages[0]["type"] == "hello"
        assert await code_of(hub.api, "room-2", query=f"ticket={ticket}") == 4401
        lasting = await client.post("/rooms/room-1/tickets", headers=headers)
        assert lasting.json()["expires_at_s"] - time.time() > 6 * 3600 - 10
        assert (await client.post("/rooms/room-1/tickets", headers=headers, json={"for_s": 1})).status_code == 422


@pytest.mark.parametrize(
    "spoil",
    [
        lambda ticket: "",
        lambda ticket: ticket[:-1],
        lambda ticket: ticket[:-2] + ("A" if ticket[-2] != "A" else "B") + ticket[-1],
        lambda ticket: str(int(ticket.split(".")[0]) + 1) + "." + ticket.split(".")[1],
        lambda ticket: ticket + ".x",
        lambda ticket: "１" + ticket[1:],
        lambda ticket: TicketSigner("another-secret-of-enough-length").mint("room-1", 600).text,
        lambda ticket: TicketSigner(SECRET).mint("room-2", 600).text,
        lambda ticket: TicketSigner(SECRET).mint("room-1", -1).text,
    ],
)
def test_other_tickets_do_not(spoil):
    office = TicketSigner(SECRET)
    ticket = office.mint("room-1", 600).text
    assert office.admits("room-1", ticket)
    assert not office.admits("room-1", spoil(ticket))


async def test_without_a_good_ticket_rooms_are_not_told_apart():
    async with running_hub(secret=SECRET) as hub:
        assert await code_of(hub.api) == 4401
        assert await code_of(hub.api, "no-such-room") == 4401
        expired = TicketSigner(SECRET).mint("room-1", -5).text
        assert await code_of(hub.api, query=f"ticket={expired}") == 4401
        assert sample(hub, "refused_total", reason="ticket") == 3
        ticket = TicketSigner(SECRET).mint("no-such-room", 60).text
        assert await code_of(hub.api, "no-such-room", query=f"ticket={ticket}") == 4404


async def test_without_a_secret_there_are_no_tickets():
    async with running_hub() as hub, client_of(hub.api) as client:
        answer = await client.post("/rooms/room-1/tickets")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_tickets")
        assert await code_of(hub.api, "none") == 4404


async def test_beyond_this_machine_viewers_need_a_ticket_or_an_open_door():
    async with running_hub(is_public=True) as hub:
        assert await code_of(hub.api) == 4401
    async with running_hub(is_public=True, open=True) as hub, Viewer(hub.api) as viewer:
        assert viewer.messages


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://127.0.0.1:8090", True),
        ("https://shop.example.com", True),
        ("https://SHOP.example.com", True),
        ("https://shop.example.com.evil.example", False),
        ("http://shop.example.com", False),
        ("http://127.0.0.1:8091", False),
        ("null", False),
        ("http://[broken", False),
    ],
)
async def test_pages_of_other_origins(origin, allowed):
    async with running_hub(origins=("https://shop.example.com",)) as hub:
        assert await code_of(hub.api, origin=origin) == (None if allowed else 4403)


async def test_all_origins_where_the_operator_says_so():
    async with running_hub(origins=("*",)) as hub:
        assert await code_of(hub.api, origin="https://anything.example") is None


async def test_limits_of_process_room_and_address():
    async with running_hub(most_viewers=5, most_per_room=3, most_per_ip=2) as hub, AsyncExitStack() as stack:

        async def enter(room, ip):
            return (await stack.enter_async_context(Viewer(hub.api, room, ip=ip))).close_code

        assert [await enter("room-1", "10.0.0.1") for _ in range(3)] == [None, None, 1013]
        assert [await enter("room-1", "10.0.0.2") for _ in range(2)] == [None, 1013]
        assert [await enter("room-2", ip) for ip in ("10.0.0.3", "10.0.0.4", "10.0.0.5")] == [None, None, 1013]
        reasons = ("ip_full", "room_full", "full")
        assert [sample(hub, "refused_total", reason=reason) for reason in reasons] == [1, 1, 1]
        await stack.aclose()
        assert hub.hub.admission.limiter.taken == 0
        assert await code_of(hub.api, ip="10.0.0.1") is None


def test_addresses_of_one_network_count_as_one():
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::1")
    assert network_of("2001:db8:1:3::4") != network_of("2001:db8:1:2::4")
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1")
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("unknown") == network_of("a proxy may pass on what its client made up") == "unknown"
    limiter = ConnectionLimiter(most=9, most_per_room=9, most_per_ip=1)
    assert limiter.take("r", "10.0.0.1") is None
    limiter.give_back("r", "10.0.0.1")
    assert not limiter._by_room
    assert not limiter._by_network


async def test_a_refused_viewer_leaves_no_trace():
    async with running_hub() as hub:
        assert await code_of(hub.api, "none") == 4404
        await hub.bus.publish(event("card", 1))
        assert hub.hub.viewers_by_room() == {}
