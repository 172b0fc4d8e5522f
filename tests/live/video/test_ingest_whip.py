"""WHIP: an aiortc sender in the same process, over UDP on this machine."""

import asyncio
import io
import sys
from contextlib import asynccontextmanager

import av
import pytest

from livecart.core.errors import SettingsError, StreamError
from livecart.live.video import IngestSettings
from livecart.live.video.settings import IceServer
from livecart.live.video.whep import WhepViewers
from livecart.live.video.whip import WhipEndpoint, _check_offer
from tests.live.video.peers import aiortc, offer_of, peer, take_answer
from tests.live.video.streams import Seen, encode
from tests.waiting import until

SETTINGS = IngestSettings(rate_hz=5.0, stall_after_s=1.0, open_timeout_s=5.0)


@asynccontextmanager
async def endpoint_of_room():
    seen = Seen()
    endpoint = WhipEndpoint("room", SETTINGS, seen.deliver, seen.on_state)
    yield seen, endpoint
    assert await endpoint.close(5.0)
    assert seen.states[-1] == "closed"


@asynccontextmanager
async def sending(endpoint):
    """Send aiortc's test picture, with sound; gives the sender's id."""
    async with peer(aiortc.AudioStreamTrack(), aiortc.VideoStreamTrack()) as connection:
        sender, answer_sdp = await endpoint.accept(offer_of(connection))
        await take_answer(connection, answer_sdp)
        yield sender


async def test_frames_arrive_at_the_wanted_rate_until_the_sender_ends():
    async with endpoint_of_room() as (seen, endpoint), sending(endpoint) as sender:
        await until(lambda: len(seen.frames) >= 5)
        assert await endpoint.end(sender)
        assert not await endpoint.end(sender)
        assert seen.states == ["connecting", "live", "reconnecting"]
        steps = [b - a for a, b in zip(seen.pts_s, seen.pts_s[1:], strict=False)]
        assert min(steps) > 0.1
        assert set(seen.sizes_px) == {(640, 480)}
        assert seen.frames[0].picture.jpeg(320)[0].startswith(b"\xff\xd8")
        assert endpoint.stats.snapshot().frames_decoded > len(seen.frames)


async def test_a_sender_that_vanishes_and_another_that_takes_its_place():
    async with endpoint_of_room() as (seen, endpoint):
        async with sending(endpoint):
            await until(lambda: "live" in seen.states)
        await until(lambda: seen.states[-1] == "reconnecting")
        async with sending(endpoint):
            await until(lambda: seen.states.count("live") == 2)
            async with sending(endpoint):
                await until(lambda: seen.states.count("live") == 3)
        assert seen.states.count("connecting") == 3


async def test_what_is_no_offer_is_refused():
    async with endpoint_of_room() as (seen, endpoint):
        with pytest.raises(StreamError):
            await endpoint.accept("hello")
        assert not await endpoint.end("nobody")
        async with peer(aiortc.AudioStreamTrack()) as connection:
            with pytest.raises(StreamError, match="the offer has no video"):
                await endpoint.accept(offer_of(connection))
        assert seen.states == []


def test_without_aiortc_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiortc", None)
    with pytest.raises(SettingsError, match=r"livecart\[webrtc\]"):
        WhipEndpoint("room", SETTINGS, print, print)


class ObsTrack(aiortc.VideoStreamTrack):
    """H.264 as OBS's x264 encodes it for WHIP: high profile, a key frame every 2 s, no B-frames, parameters in-band."""

    def __init__(self):
        super().__init__()
        stream = io.BytesIO()
        options = {"preset": "veryfast", "profile": "high", "tune": "zerolatency"}
        encode(stream, container="h264", seconds=4.0, fps=30, key_every_s=2.0, b_frames=0, options=options)
        with av.open(io.BytesIO(stream.getvalue()), format="h264") as container:
            self._packets = [packet for packet in container.demux(video=0) if packet.size]
        self._next = 0

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        packet = self._packets[self._next % len(self._packets)]
        packet.pts = packet.dts = pts
        packet.time_base = time_base
        self._next += 1
        return packet


def as_obs_offers(sdp):
    """OBS 30 and later, through libdatachannel: H.264 alone (42e01f, packetization 1), sound first, no RTX."""
    sections = sdp.split("m=")
    head, (sound, video) = sections[0], sections[1:]
    sound = "\r\n".join(line for line in sound.split("\r\n") if not line.startswith("a=extmap"))
    numbers = {line.split()[0].split(":")[1] for line in video.split("\r\n") if "rtpmap" in line and "H264" in line}
    number = max(number for number in numbers if f"a=fmtp:{number} " in video and "42e01f" in fmtp_of(video, number))
    kept = [
        line
        for line in video.split("\r\n")
        if not line.startswith(("a=extmap", "a=rtpmap", "a=fmtp", "a=rtcp-fb"))
        or (line.startswith((f"a=rtpmap:{number} ", f"a=fmtp:{number} ", f"a=rtcp-fb:{number} ")))
    ]
    first = kept[0].split()
    kept[0] = " ".join([*first[:3], number])
    return "m=".join([head, sound, "\r\n".join(kept)])


def fmtp_of(section, number):
    return next((line for line in section.split("\r\n") if line.startswith(f"a=fmtp:{number} ")), "")


async def test_as_obs_sends():
    async with endpoint_of_room() as (seen, endpoint), peer(aiortc.AudioStreamTrack(), ObsTrack()) as connection:
        offer = as_obs_offers(offer_of(connection))
        assert "VP8" not in offer
        sender, answer_sdp = await endpoint.accept(offer)
        assert "H264" in answer_sdp
        assert answer_sdp.count("a=recvonly") == 2
        await take_answer(connection, answer_sdp)
        await until(lambda: len(seen.frames) >= 12)
        assert set(seen.sizes_px) == {(320, 240)}
        steps = [b - a for a, b in zip(seen.pts_s, seen.pts_s[1:], strict=False)]
        assert steps == pytest.approx([0.2] * len(steps), abs=0.07)
        assert await endpoint.end(sender)


async def test_video_that_cannot_be_decoded_is_named():
    async with endpoint_of_room() as (_, endpoint), peer(ObsTrack()) as connection:
        offer = offer_of(connection).replace("VP8/", "AV1/").replace("H264/", "H265/")
        with pytest.raises(StreamError, match="video is AV1, H265"):
            await endpoint.accept(offer)


@asynccontextmanager
async def watching(endpoint):
    """A viewer by WHEP; gives its id and tracks."""
    async with peer(receives=("video", "audio")) as connection:
        tracks = {}
        connection.on("track", lambda track: tracks.setdefault(track.kind, track))
        viewer, answer_sdp = await endpoint.show(offer_of(connection), lambda: None)
        await take_answer(connection, answer_sdp)
        yield viewer, tracks, connection


async def test_viewers_see_and_hear_who_sends():
    settings = IngestSettings(rate_hz=5.0, stall_after_s=5.0, open_timeout_s=5.0, whep_viewers=1)
    seen = Seen()
    endpoint = WhipEndpoint("room", settings, seen.deliver, seen.on_state)
    try:
        with pytest.raises(StreamError, match="no one sends"):
            await endpoint.show("v=0", lambda: None)
        async with sending(endpoint), watching(endpoint) as (viewer, tracks, _):
            async with asyncio.timeout(20):
                frames = [await tracks["video"].recv() for _ in range(10)]
                await tracks["audio"].recv()
            assert {(frame.width, frame.height) for frame in frames} == {(640, 480)}
            with pytest.raises(StreamError, match="1 viewers watch already"):
                async with watching(endpoint):
                    pass
            assert await endpoint.end_viewer(viewer)
            assert not await endpoint.end_viewer(viewer)
            before = len(seen.frames)
            await until(lambda: len(seen.frames) > before + 3)
            async with watching(endpoint) as (_, _, connection):
                await until(lambda: connection.connectionState == "connected")
                await endpoint.end_sender("its ticket was revoked")
                await until(lambda: connection.connectionState == "closed")
    finally:
        assert await endpoint.close(5.0)


@asynccontextmanager
async def offer_to_watch():
    """An offer that names no candidate, nor says that there are no more: nothing can come of it."""
    async with peer(receives=("video",)) as connection:
        lines = offer_of(connection).split("\r\n")
        yield "\r\n".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of-candidates")))


def few_viewers(connect_within_s):
    relay = aiortc.contrib.media.MediaRelay()
    configuration = aiortc.RTCConfiguration(iceServers=[])
    tracks = [aiortc.VideoStreamTrack()]
    return WhepViewers(tracks, relay, configuration, most=1, connect_within_s=connect_within_s)


async def test_a_viewer_that_does_not_connect_in_time_leaves_its_place_to_others():
    viewers, ended = few_viewers(0.05), []
    async with offer_to_watch() as offer_sdp:
        viewer, _ = await viewers.accept(offer_sdp, lambda: ended.append(1))
        with pytest.raises(StreamError, match="1 viewers watch already"):
            await viewers.accept(offer_sdp, lambda: ended.append(2))
        await until(lambda: ended, 5.0)
        assert not await viewers.end(viewer)
        await viewers.accept(offer_sdp, lambda: ended.append(3))
        await viewers.close()
        assert ended == [1, 3]


async def test_an_offer_of_more_candidates_than_could_be_tried_is_refused():
    async with offer_to_watch() as offer_sdp:
        line = "a=candidate:{0} 1 udp 2130706431 192.0.2.1 {0} typ host\r\n"
        _check_offer(offer_sdp + "".join(line.format(port) for port in range(1000, 1032)))
        with pytest.raises(StreamError, match="33 candidates, more than 32"):
            _check_offer(offer_sdp + "".join(line.format(port) for port in range(1000, 1033)))


def test_ice_servers_are_handed_to_webrtc_and_told_to_senders():
    servers = (
        IceServer(urls="stun:stun.example.com:3478"),
        IceServer(urls="turn:turn.example.com?transport=tcp", username='a "b"', credential="secret"),
    )
    endpoint = WhipEndpoint("room", IngestSettings(ice_servers=servers), print, print)
    assert [(each.urls, each.username) for each in endpoint.configuration.iceServers] == [
        ("stun:stun.example.com:3478", None),
        ("turn:turn.example.com?transport=tcp", 'a "b"'),
    ]
    assert servers[0].link == '<stun:stun.example.com:3478>; rel="ice-server"'
    assert servers[1].link.endswith('username="a \\"b\\""; credential="secret"; credential-type="password"')


@pytest.mark.parametrize(
    ("urls", "says"), [("https://x", "no stun:"), ("turn:x", "needs username"), ("stun:a\r\nb", "no stun:")]
)
def test_what_is_no_ice_server_is_refused(urls, says):
    with pytest.raises(SettingsError, match=says):
        IceServer(urls=urls)
