"""A stream that the host's browser or encoder sends in: WHIP (RFC 9725), WebRTC with one HTTP request each way.

`POST` with an SDP offer is answered 201 with the answer and a `Location`; `DELETE` there ends it. Frames go where a
`StreamReader`'s go. aiortc, an extra (`webrtc`), does the WebRTC and decodes every frame in a thread of its own: a
sender costs as much as a stream whose frames are all decoded.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from typing import TYPE_CHECKING

from aiohttp import web
from av.video.frame import VideoFrame

from livecart.errors import SettingsError, StreamError
from livecart.pipeline.ingest import IngestSettings, Pace, ReaderStats, VideoPicture
from livecart.pipeline.ingest.capture_time import CaptureClock
from livecart.pipeline.ingest.reader import Deliver, OnState
from livecart.pipeline.ingest.sampling import SampleGrid
from livecart.types import Frame, StreamState

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCPeerConnection

_log = logging.getLogger(__name__)


class WhipEndpoint:
    """Takes in one room's stream; whoever posts last is the sender. All methods belong to one event loop.

    Args:
        room: goes into every frame.
        settings: `rate_hz`, `stall_after_s`, `open_timeout_s` and `max_side_px` count here.
        deliver: takes each sampled frame, in a thread that is not the event loop's.
        on_state: takes each change of state, in the event loop: "connecting" with an offer, "live" with its first
            frame, "stalled" where it falls silent, "reconnecting" while no one sends, "closed" at the end.
        pace: how often to sample; None: at `settings.rate_hz` all the time. Every frame is decoded all the same.
        token: what a sender has to show as `Authorization: Bearer`; None: anyone who reaches the address may send.
        ice_servers: URLs of STUN or TURN servers; none are needed where the sender reaches this machine.

    Raises:
        SettingsError: aiortc is not installed.
    """

    def __init__(
        self,
        room: str,
        settings: IngestSettings,
        deliver: Deliver,
        on_state: OnState,
        *,
        pace: Pace | None = None,
        token: str | None = None,
        ice_servers: tuple[str, ...] = (),
    ) -> None:
        try:
            import aiortc
        except ImportError as error:
            raise SettingsError("WHIP needs aiortc; install it with: pip install 'livecart[webrtc]'") from error
        self.room = room
        self.stats = ReaderStats()
        self.pace = pace or Pace(settings.rate_hz, settings.rate_hz)
        self._aiortc = aiortc
        self._settings = settings
        self._deliver = deliver
        self._on_state = on_state
        self._token = token
        self._ice_servers = ice_servers
        self._sender: _Sender | None = None

    def add_routes(self, app: web.Application, path: str) -> None:
        """Answer WHIP requests at `path` of `app`, and end with it."""
        app.router.add_post(path, self._post)
        app.router.add_delete(f"{path}/{{sender}}", self._delete)
        app.on_shutdown.append(lambda _: self.close())

    async def accept(self, offer_sdp: str) -> tuple[str, str]:
        """Take a sender in the place of the one before. Returns its id and the SDP answer.

        Raises:
            StreamError: the offer cannot be answered: no SDP, or no video in it.
        """
        sender = _Sender(self, self._connection())
        try:
            answer_sdp = await asyncio.wait_for(sender.answer(offer_sdp), self._settings.open_timeout_s)
        except (ValueError, LookupError, AssertionError, TimeoutError, self._aiortc.InvalidStateError) as error:
            await sender.close()
            raise StreamError(f"the offer cannot be answered: {error or type(error).__name__}") from error
        except StreamError:
            await sender.close()
            raise
        former, self._sender = self._sender, sender
        if former is not None:
            await former.close()
        self.stats.add(connections=1)
        self.tell("connecting", "a sender made an offer")
        sender.start()
        return sender.id, answer_sdp

    async def end(self, sender_id: str) -> bool:
        """The sender says that it has ended. Returns whether there was such a one."""
        sender = self._sender
        if sender is None or not hmac.compare_digest(sender.id, sender_id):
            return False
        await self.drop(sender, "the sender ended the stream")
        return True

    async def close(self) -> None:
        """End whatever is there; the endpoint is not used after that."""
        sender, self._sender = self._sender, None
        if sender is not None:
            await sender.close()
        self.tell("closed", "stopped")

    async def drop(self, sender: _Sender, why: str) -> None:
        """End this sender and wait for the next, unless it was replaced already."""
        if self._sender is sender:
            self._sender = None
            self.stats.add(failures=1)
            self.tell("reconnecting", f"{why}; waiting for a sender")
        await sender.close()

    def tell(self, state: StreamState, detail: str) -> None:
        """Pass a state on; what the listener raises is counted."""
        try:
            self._on_state(state, detail)
        except Exception:  # noqa: BLE001  receiving does not depend on who listens
            self.stats.add(callback_errors=1)
            _log.exception("room %s: the state %s could not be told", self.room, state)

    async def hand_on(self, frame: Frame) -> None:
        """Deliver a frame without holding up the event loop; what the receiver raises is counted."""
        try:
            await asyncio.to_thread(self._deliver, frame)
        except Exception:  # noqa: BLE001  the next frame may well be taken
            self.stats.add(callback_errors=1)
            _log.exception("room %s: a frame could not be handed on", self.room)

    @property
    def settings(self) -> IngestSettings:
        """What it was made with."""
        return self._settings

    def _connection(self) -> RTCPeerConnection:
        servers = [self._aiortc.RTCIceServer(urls=url) for url in self._ice_servers]
        return self._aiortc.RTCPeerConnection(self._aiortc.RTCConfiguration(iceServers=servers))

    def _is_allowed(self, request: web.Request) -> bool:
        if self._token is None:
            return True
        shown = request.headers.get("Authorization", "")
        return hmac.compare_digest(shown.encode(), f"Bearer {self._token}".encode())

    async def _post(self, request: web.Request) -> web.Response:
        if not self._is_allowed(request):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        if request.content_type != "application/sdp":
            return web.Response(status=415, text="send an SDP offer as application/sdp")
        try:
            sender_id, answer_sdp = await self.accept((await request.read()).decode())
        except (StreamError, UnicodeDecodeError) as error:
            return web.Response(status=400, text=str(error))
        location = f"{request.path}/{sender_id}"
        return web.Response(status=201, text=answer_sdp, content_type="application/sdp", headers={"Location": location})

    async def _delete(self, request: web.Request) -> web.Response:
        if not self._is_allowed(request):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return web.Response(status=200 if await self.end(request.match_info["sender"]) else 404)


class _Sender:
    """One WebRTC connection and the task that takes its frames."""

    def __init__(self, endpoint: WhipEndpoint, connection: RTCPeerConnection) -> None:
        self.id = secrets.token_urlsafe(16)
        self._endpoint = endpoint
        self._connection = connection
        self._track: MediaStreamTrack | None = None
        self._task: asyncio.Task[None] | None = None

    async def answer(self, offer_sdp: str) -> str:
        from aiortc import RTCSessionDescription

        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=offer_sdp, type="offer"))
        for transceiver in self._connection.getTransceivers():
            if transceiver.kind == "video" and self._track is None:
                transceiver.direction = "recvonly"
                self._track = transceiver.receiver.track
            else:
                transceiver.direction = "inactive"  # sound would be decoded, and pile up
        if self._track is None:
            raise StreamError("the offer has no video")
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return self._connection.localDescription.sdp

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"whip-{self._endpoint.room}")

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._connection.close()

    async def _run(self) -> None:
        try:
            why = await self._take_frames()
        except Exception as error:  # noqa: BLE001  whatever it was, the next sender has to find its place
            _log.exception("room %s: receiving by WHIP", self._endpoint.room)
            why = f"unexpected {type(error).__name__}: {error}"
        await self._endpoint.drop(self, why)

    async def _take_frames(self) -> str:
        """Take frames until there are none. Returns why."""
        endpoint, settings = self._endpoint, self._endpoint.settings
        grid, clock = SampleGrid(settings.rate_hz), CaptureClock()
        pace = endpoint.pace
        live = False
        while True:
            frame = await self._next_frame(settings.stall_after_s if live else settings.open_timeout_s)
            if isinstance(frame, str):
                return frame
            if max(frame.width, frame.height) > settings.max_side_px:
                return f"pictures of {frame.width} x {frame.height} px; ingest.max_side_px is {settings.max_side_px}"
            pts_s = frame.time
            clock.observe(pts_s, time.time())
            grid.follow_jump(pts_s)
            if grid.period_s != pace.period_s(pts_s):
                grid.set_period(pace.period_s(pts_s))
            endpoint.stats.add(packets=1, frames_decoded=1)
            if not grid.take(pts_s):
                continue
            if not live:
                endpoint.tell("live", f"{frame.width} x {frame.height}")
            live = True
            endpoint.stats.add(frames_sampled=1)
            captured_at_s = clock.captured_at_s(pts_s)
            await endpoint.hand_on(Frame(endpoint.room, VideoPicture(frame, frame.rotation), pts_s, captured_at_s))

    async def _next_frame(self, patience_s: float) -> VideoFrame | str:
        """The next frame, or why there is none."""
        from aiortc import MediaStreamError

        if self._track is None:
            return "the sender has no video"
        try:
            frame = await asyncio.wait_for(self._track.recv(), patience_s)
        except MediaStreamError:
            return "the sender went away"
        except TimeoutError:
            self._endpoint.stats.add(stalls=1)
            self._endpoint.tell("stalled", f"no frame for {patience_s:g} s")
            return f"no frame for {patience_s:g} s"
        return frame if isinstance(frame, VideoFrame) else "the sender sends no video"
