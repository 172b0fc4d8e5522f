"""WHIP: an aiortc sender in the same process, over HTTP and UDP on this machine."""

import asyncio
import sys
import time
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from streams import Seen

from livecart.errors import SettingsError
from livecart.pipeline.ingest import IngestSettings
from livecart.pipeline.whip import WhipEndpoint

aiortc = pytest.importorskip("aiortc", reason="needs aiortc: pip install '.[webrtc]'")

SETTINGS = IngestSettings(rate_hz=5.0, stall_after_s=1.0, open_timeout_s=5.0)


@asynccontextmanager
async def endpoint_and_client(**how):
    seen = Seen()
    endpoint = WhipEndpoint("room", SETTINGS, seen.deliver, seen.on_state, **how)
    app = web.Application()
    endpoint.add_routes(app, "/whip/room")
    async with TestClient(TestServer(app)) as client:
        yield seen, endpoint, client
    assert seen.states[-1] == "closed"


@asynccontextmanager
async def sending(client, *, token=None):
    """Send aiortc's test picture, with sound; gives the connection and its Location."""
    connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    connection.addTrack(aiortc.AudioStreamTrack())
    connection.addTrack(aiortc.VideoStreamTrack())
    try:
        await connection.setLocalDescription(await connection.createOffer())
        headers = {"Content-Type": "application/sdp"} | ({"Authorization": f"Bearer {token}"} if token else {})
        reply = await client.post("/whip/room", data=connection.localDescription.sdp, headers=headers)
        assert reply.status == 201, await reply.text()
        assert reply.content_type == "application/sdp"
        await connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp=await reply.text(), type="answer"))
        yield connection, reply.headers["Location"]
    finally:
        await connection.close()


async def until(condition, timeout_s=60.0):
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        await asyncio.sleep(0.02)


async def test_frames_arrive_at_the_wanted_rate_and_delete_ends_it():
    async with endpoint_and_client() as (seen, endpoint, client), sending(client) as (_, location):
        await until(lambda: len(seen.frames) >= 5)
        assert (await client.delete(location)).status == 200
        assert (await client.delete(location)).status == 404
        assert seen.states == ["connecting", "live", "reconnecting"]
        steps = [b - a for a, b in zip(seen.pts_s, seen.pts_s[1:], strict=False)]
        assert min(steps) > 0.1
        assert set(seen.sizes_px) == {(640, 480)}
        assert seen.frames[0].picture.jpeg(320)[0].startswith(b"\xff\xd8")
        assert endpoint.stats.snapshot().frames_decoded > len(seen.frames)


async def test_a_sender_that_vanishes_and_another_that_takes_its_place():
    async with endpoint_and_client() as (seen, _, client):
        async with sending(client):
            await until(lambda: "live" in seen.states)
        await until(lambda: seen.states[-1] == "reconnecting")
        async with sending(client):
            await until(lambda: seen.states.count("live") == 2)
            async with sending(client):
                await until(lambda: seen.states.count("live") == 3)
        assert seen.states.count("connecting") == 3


async def test_what_is_no_offer_is_refused():
    async with endpoint_and_client() as (seen, _, client):
        headers = {"Content-Type": "application/sdp"}
        assert (await client.post("/whip/room", data="hello", headers=headers)).status == 400
        assert (await client.post("/whip/room", data=b"\xff\xfe", headers=headers)).status == 400
        assert (await client.post("/whip/room", json={})).status == 415
        assert (await client.delete("/whip/room/nobody")).status == 404
        connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        connection.addTrack(aiortc.AudioStreamTrack())
        await connection.setLocalDescription(await connection.createOffer())
        reply = await client.post("/whip/room", data=connection.localDescription.sdp, headers=headers)
        assert (reply.status, await reply.text()) == (400, "the offer has no video")
        await connection.close()
        assert seen.states == []


async def test_only_who_has_the_token_may_send():
    async with endpoint_and_client(token="s3cret") as (seen, _, client):
        headers = {"Content-Type": "application/sdp", "Authorization": "Bearer wrong"}
        assert (await client.post("/whip/room", data="v=0", headers=headers)).status == 401
        assert (await client.delete("/whip/room/x", headers=headers)).status == 401
        async with sending(client, token="s3cret"):
            await until(lambda: "live" in seen.states)


def test_without_aiortc_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiortc", None)
    with pytest.raises(SettingsError, match=r"livecart\[webrtc\]"):
        WhipEndpoint("room", SETTINGS, print, print)
