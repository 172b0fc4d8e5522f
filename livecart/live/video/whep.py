"""A WHIP room's stream, for a few who watch it: WHEP (draft-ietf-wish-whep), WebRTC with one HTTP request each way.

aiortc decodes what the sender sends and encodes it anew for each viewer. An audience watches by a media server
(docs/streams.md).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from livecart.core.errors import StreamError

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
    from aiortc.contrib.media import MediaRelay


class WhepViewers:
    """Those who watch one sender. All methods belong to one event loop.

    Args:
        tracks: the sender's.
        relay: gives each viewer a track of their own.
        configuration: of WebRTC.
        most: viewers at once.
        connect_within_s: a viewer whose connection does not stand after it is ended.
    """

    def __init__(
        self,
        tracks: list[MediaStreamTrack],
        relay: MediaRelay,
        configuration: RTCConfiguration,
        *,
        most: int,
        connect_within_s: float,
    ) -> None:
        self._tracks = tracks
        self._relay = relay
        self._configuration = configuration
        self._most = most
        self._connect_within_s = connect_within_s
        self._connections: dict[str, RTCPeerConnection] = {}
        self._on_end: dict[str, Callable[[], None]] = {}
        self._watches: set[asyncio.Task[None]] = set()

    async def accept(self, offer_sdp: str, on_end: Callable[[], None]) -> tuple[str, str]:
        """Let a viewer in. Returns its id and the SDP answer.

        `on_end` is called once the viewer's connection has ended, and not where this raises.

        Raises:
            StreamError: there are as many as may be, or the offer cannot be answered.
        """
        from aiortc import RTCPeerConnection, RTCSessionDescription

        if len(self._connections) >= self._most:
            raise StreamError(f"{self._most} viewers watch already (ingest.whep_viewers); others need a media server")
        connection = RTCPeerConnection(self._configuration)
        viewer = secrets.token_urlsafe(16)
        self._connections[viewer] = connection

        @connection.on("connectionstatechange")
        async def changed() -> None:
            if connection.connectionState in {"failed", "closed"}:
                await self.end(viewer)

        try:
            await connection.setRemoteDescription(RTCSessionDescription(sdp=offer_sdp, type="offer"))
            asked = {transceiver.kind for transceiver in connection.getTransceivers()}
            for track in self._tracks:
                if track.kind in asked:
                    # The newest frame: whoever is slow misses some.
                    connection.addTrack(self._relay.subscribe(track, buffered=False))
            await connection.setLocalDescription(await connection.createAnswer())
        except BaseException:
            await self.end(viewer)
            raise
        if viewer not in self._connections:
            raise StreamError("the sender went away")
        self._on_end[viewer] = on_end
        watch = asyncio.create_task(self._end_unless_connected(viewer, connection), name="whep-connect")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return viewer, connection.localDescription.sdp

    async def end(self, viewer: str) -> bool:
        """End a viewer's connection. Returns whether there was such a one."""
        connection = self._connections.pop(viewer, None)
        on_end = self._on_end.pop(viewer, None)
        if on_end is not None:
            on_end()
        if connection is not None:
            await connection.close()
        return connection is not None

    async def close(self) -> None:
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*(self.end(viewer) for viewer in list(self._connections)))

    async def _end_unless_connected(self, viewer: str, connection: RTCPeerConnection) -> None:
        """ICE may wait for ever for candidates that are yet to come."""
        await asyncio.sleep(self._connect_within_s)
        if connection.connectionState != "connected":
            await self.end(viewer)
