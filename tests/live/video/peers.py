"""WebRTC's other end: who sends a room by WHIP, who watches one by WHEP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

aiortc = pytest.importorskip("aiortc", reason="needs aiortc: pip install '.[webrtc]'")


@asynccontextmanager
async def peer(*tracks: Any, receives: tuple[str, ...] = ()) -> AsyncIterator[Any]:
    """A connection that sends `tracks` and takes tracks of the kinds `receives`; its offer is made."""
    connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    for track in tracks:
        connection.addTransceiver(track, direction="sendonly")
    for kind in receives:
        connection.addTransceiver(kind, direction="recvonly")
    try:
        await connection.setLocalDescription(await connection.createOffer())
        yield connection
    finally:
        await connection.close()


def offer_of(connection: Any) -> str:
    sdp: str = connection.localDescription.sdp
    return sdp


async def take_answer(connection: Any, sdp: str) -> None:
    await connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp=sdp, type="answer"))
