"""WHEP's routes: who may watch a room may ask for its stream."""

import httpx
import pytest

from livecart.core.errors import StreamError
from livecart.web.hub import TicketSigner, whep_router
from tests.web.hub_clients import running_hub

SECRET = "a-secret-of-enough-characters"
SDP = {"Content-Type": "application/sdp"}


class Shows:
    """Shows room-1 to one viewer; room-2 has no sender."""

    def __init__(self):
        self.ended = []

    async def whep_accept(self, room, offer_sdp, on_end):
        if room == "room-2":
            raise StreamError("no one sends")
        return "viewer-1", f"answer to {offer_sdp}"

    async def whep_end(self, room, viewer):
        self.ended.append((room, viewer))
        return viewer == "viewer-1"


@pytest.fixture
async def client():
    async with running_hub(secret=SECRET) as hub:
        hub.api.include_router(whep_router(hub.hub.admission, Shows()))
        transport = httpx.ASGITransport(app=hub.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            client.params = {"ticket": TicketSigner(SECRET).mint("room-1", 60).text}
            yield client


async def test_an_offer_is_answered_and_ended(client):
    answer = await client.post("/rooms/room-1/whep", content="an offer", headers=SDP)
    assert (answer.status_code, answer.text) == (201, "answer to an offer")
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["Location"] == "/rooms/room-1/whep/viewer-1"
    assert (await client.delete(answer.headers["Location"])).status_code == 200
    assert (await client.delete("/rooms/room-1/whep/viewer-2")).status_code == 404


async def test_what_is_refused_says_why(client):
    assert (await client.post("/rooms/room-1/whep", content="x")).status_code == 415
    assert (await client.post("/rooms/room-1/whep", content=b"\xff", headers=SDP)).status_code == 409
    client.params = {"ticket": TicketSigner(SECRET).mint("room-2", 60).text}
    answer = await client.post("/rooms/room-2/whep", content="x", headers=SDP)
    assert (answer.status_code, answer.json()["error"]["message"]) == (409, "no one sends")
    # Another room's ticket opens nothing.
    assert (await client.post("/rooms/room-1/whep", content="x", headers=SDP)).status_code == 401
    client.params = {}
    assert (await client.post("/rooms/room-1/whep", content="x", headers=SDP)).status_code == 401
