"""The WHEP route over HTTP: who may watch, what is an offer, and the place that a viewer takes."""

import httpx
import pytest

from livecart.core.errors import StreamError
from livecart.web.hub import TicketSigner, whep_router
from tests.web.hub_clients import running_hub

SECRET = "a-secret-of-enough-characters"
SDP = {"Content-Type": "application/sdp"}


class Sender:
    """One room that is sent; `refusal` is raised for each offer."""

    def __init__(self):
        self.refusal = None
        self.on_end = {}

    async def whep_accept(self, room, offer_sdp, on_end):
        if self.refusal is not None:
            raise self.refusal
        if room != "room-1":
            return None
        viewer = f"viewer-{len(self.on_end)}"
        self.on_end[viewer] = on_end
        return viewer, "answer"

    async def whep_end(self, room, viewer):
        on_end = self.on_end.pop(viewer, None)
        if on_end is not None:
            on_end()
        return on_end is not None


@pytest.fixture
def sender():
    return Sender()


def client_of(hub, sender):
    hub.api.include_router(whep_router(hub.hub.admission, sender))
    return httpx.AsyncClient(transport=httpx.ASGITransport(hub.api), base_url="http://127.0.0.1", headers=SDP)


async def test_a_viewer_takes_a_place_of_its_address_until_it_ends(sender):
    async with running_hub(most_per_ip=1) as hub, client_of(hub, sender) as client:
        answer = await client.post("/rooms/room-1/whep", content="v=0")
        assert (answer.status_code, answer.text) == (201, "answer")
        assert answer.headers["Content-Type"] == "application/sdp"
        assert answer.headers["Location"] == "/rooms/room-1/whep/viewer-0"
        assert (await client.post("/rooms/room-1/whep", content="v=0")).status_code == 429
        assert (await client.delete(answer.headers["Location"])).status_code == 200
        assert (await client.delete(answer.headers["Location"])).status_code == 404
        assert hub.hub.admission.limiter.taken == 0
        assert (await client.post("/rooms/room-1/whep", content="v=0")).status_code == 201


async def test_an_offer_that_is_refused_leaves_no_place_taken(sender):
    async with running_hub() as hub, client_of(hub, sender) as client:
        assert (await client.post("/rooms/room-2/whep", content="v=0")).status_code == 404
        sender.refusal = StreamError("no one sends")
        answer = await client.post("/rooms/room-1/whep", content="v=0")
        assert (answer.status_code, "no one sends" in answer.text) == (409, True)
        assert (await client.post("/rooms/room-1/whep", content=b"\xff")).status_code == 400
        assert (await client.post("/rooms/room-1/whep", content="v" * 32_769)).status_code == 413
        as_json = {"Content-Type": "application/json"}
        assert (await client.post("/rooms/room-1/whep", content="{}", headers=as_json)).status_code == 415
        assert hub.hub.admission.limiter.taken == 0


async def test_who_may_not_watch_the_room_may_not_watch_its_stream(sender):
    async with running_hub(secret=SECRET) as hub, client_of(hub, sender) as client:
        assert (await client.post("/rooms/room-1/whep", content="v=0")).status_code == 401
        elsewhere = TicketSigner(SECRET).mint("room-2", 600).text
        assert (await client.post(f"/rooms/room-1/whep?ticket={elsewhere}", content="v=0")).status_code == 401
        ticket = TicketSigner(SECRET).mint("room-1", 600).text
        there = f"/rooms/room-1/whep?ticket={ticket}"
        page = {"Origin": "https://elsewhere.example"}
        assert (await client.post(there, content="v=0", headers=page)).status_code == 403
        assert (await client.post(there, content="v=0")).status_code == 201
