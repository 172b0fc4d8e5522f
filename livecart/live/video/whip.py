"""A stream that the host's browser or encoder sends in: WHIP (RFC 9725), WebRTC with one HTTP request each way.

web/room_routes.py has the routes. Frames go where a `StreamReader`'s go. aiortc, an extra (`webrtc`), does the WebRTC
and decodes every frame in a thread of its own: a sender costs as much as a stream whose frames are all decoded.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from av.video.frame import VideoFrame

from livecart.core.errors import LivecartError, SettingsError, StreamError
from livecart.core.types import Frame, StreamState
from livecart.live.video.picture import Display, VideoPicture
from livecart.live.video.reader import Deliver, OnState
from livecart.live.video.sampling import SampleGrid, SamplingRate
from livecart.live.video.settings import IngestSettings
from livecart.live.video.stats import ReaderStats
from livecart.live.video.timeline import CaptureClock, wall_s
from livecart.live.video.whep import WhepViewers

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCPeerConnection

_log = logging.getLogger(__name__)

#: Of an offer: picture, sound and data are three.
_MOST_SECTIONS = 8
#: Of all sections: aioice pairs each with each of its own. Clients of several networks name about ten.
_MOST_CANDIDATES = 32
#: What aiortc decodes.
_CODECS = ("H264", "VP8")


class WhipEndpoint:
    """Takes in one room's stream; whoever posts last is the sender. All methods belong to one event loop.

    Args:
        room: goes into every frame.
        settings: `rate_hz`, `stall_after_s`, `open_timeout_s` and `max_side_px` count here.
        deliver: takes each sampled frame, in a thread that is not the event loop's.
        on_state: takes each change of state, in the event loop: "connecting" with an offer, "live" with its first
            frame, "stalled" where it falls silent, "reconnecting" while no one sends, "closed" at the end.
        rate: how often to sample; None: at `settings.rate_hz` all the time. Every frame is decoded all the same.

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
        rate: SamplingRate | None = None,
    ) -> None:
        try:
            import aiortc
        except ImportError as error:
            raise SettingsError("WHIP needs aiortc; install it with: pip install 'livecart[webrtc]'") from error
        self.room = room
        self.stats = ReaderStats()
        self.rate = rate or SamplingRate(settings.rate_hz, settings.rate_hz)
        self._aiortc = aiortc
        self.settings = settings
        self.configuration = aiortc.RTCConfiguration(
            iceServers=[aiortc.RTCIceServer(each.urls, each.username, each.credential) for each in settings.ice_servers]
        )
        #: A sender that goes away is no failure of the room.
        self.failure: LivecartError | None = None
        self._deliver = deliver
        self._on_state = on_state
        self._sender: _Sender | None = None
        self._leaving: set[_Sender] = set()

    def start(self) -> None:
        """Wait for a sender."""
        self.tell("connecting", "waiting for a sender")

    async def accept(self, offer_sdp: str) -> tuple[str, str]:
        """Take a sender in the place of the one before. Returns its id and the SDP answer.

        Raises:
            StreamError: the offer cannot be answered: no SDP, or no video in it.
        """
        sender = _Sender(self, self._aiortc.RTCPeerConnection(self.configuration))
        try:
            answer_sdp = await asyncio.wait_for(sender.answer(offer_sdp), self.settings.open_timeout_s)
        except StreamError:
            await sender.close()
            raise
        except Exception as error:  # aiortc raises nearly anything on hostile SDP
            await sender.close()
            raise StreamError(f"the offer cannot be answered: {error or type(error).__name__}") from error
        former, self._sender = self._sender, sender
        if former is not None:
            await former.close()
        self.stats.add(connections=1)
        self.tell("connecting", "a sender made an offer")
        sender.start()
        return sender.id, answer_sdp

    async def show(self, offer_sdp: str, on_end: Callable[[], None]) -> tuple[str, str]:
        """Let a viewer watch whoever sends now (whep.py). Returns its id and the SDP answer.

        `on_end` is called once the viewer's connection has ended, and not where this raises.

        Raises:
            StreamError: no one sends, or the offer cannot be answered.
        """
        sender = self._sender
        if sender is None or sender.viewers is None:
            raise StreamError("no one sends")
        try:
            _check_offer(offer_sdp)
            return await asyncio.wait_for(sender.viewers.accept(offer_sdp, on_end), self.settings.open_timeout_s)
        except StreamError:
            raise
        except Exception as error:  # aiortc raises nearly anything on hostile SDP
            raise StreamError(f"the offer cannot be answered: {error or type(error).__name__}") from error

    async def end_viewer(self, viewer: str) -> bool:
        """End a viewer's connection. Returns whether there was such a one."""
        sender = self._sender
        return sender is not None and sender.viewers is not None and await sender.viewers.end(viewer)

    async def end(self, sender_id: str) -> bool:
        """End this sender, by its own wish. Returns whether there was such a one."""
        sender = self._sender
        if sender is None or not hmac.compare_digest(sender.id, sender_id):
            return False
        await self.drop(sender, "the sender ended the stream")
        return True

    async def end_sender(self, why: str) -> None:
        """End whoever sends now, and wait for the next."""
        if self._sender is not None:
            await self.drop(self._sender, why)

    def signal(self) -> None:
        """Begin to stop; `close` is quick."""

    async def close(self, timeout_s: float) -> bool:
        """End whatever is there, for good. Returns whether it has ended within `timeout_s`."""
        sender, self._sender = self._sender, None
        leaving = self._leaving | ({sender} if sender is not None else set())
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(each.close() for each in leaving))
        except TimeoutError:
            return False
        finally:
            self.tell("closed", "stopped")
        return True

    async def drop(self, sender: _Sender, why: str) -> None:
        """End this sender and wait for the next, unless it was replaced already."""
        if self._sender is sender:
            self._sender = None
            self.stats.add(failures=1)
            self.tell("reconnecting", f"{why}; waiting for a sender")
        self._leaving.add(sender)
        try:
            await sender.close()
        finally:
            self._leaving.discard(sender)

    def tell(self, state: StreamState, detail: str) -> None:
        """Pass a state on; count what the listener raises."""
        try:
            self._on_state(state, detail)
        except Exception:  # noqa: BLE001  receiving does not depend on who listens
            self.stats.add(callback_errors=1)
            _log.exception("room %s: the state %s could not be reported", self.room, state)

    async def hand_on(self, frame: Frame) -> None:
        """Deliver a frame without holding up the event loop; count what the receiver raises."""
        try:
            await asyncio.to_thread(self._deliver, frame)
        except Exception:  # noqa: BLE001  the next frame may well be taken
            self.stats.add(callback_errors=1)
            _log.exception("room %s: a frame could not be handed on", self.room)


def _check_offer(offer_sdp: str) -> None:
    """Refuse what aiortc would take and not be able to close again: each section opens sockets.

    Raises:
        StreamError: too many sections or candidates, or they are bundled with one that is not there.
        ValueError, LookupError, AssertionError: it is no SDP.
    """
    from aiortc.sdp import SessionDescription

    offer = SessionDescription.parse(offer_sdp)
    if len(offer.media) > _MOST_SECTIONS:
        raise StreamError(f"the offer has {len(offer.media)} sections, more than {_MOST_SECTIONS}")
    candidates = sum(len(media.ice_candidates) for media in offer.media)
    if candidates > _MOST_CANDIDATES:
        raise StreamError(f"the offer has {candidates} candidates, more than {_MOST_CANDIDATES}")
    offered = {codec.name for media in offer.media if media.kind == "video" for codec in media.rtp.codecs}
    if offered and offered.isdisjoint(_CODECS):
        raise StreamError(f"the offer's video is {', '.join(sorted(offered))}; taken are {' and '.join(_CODECS)}")
    mids = {media.rtp.muxId for media in offer.media if media.kind in {"audio", "video", "application"}}
    for group in offer.group:
        if group.semantic == "BUNDLE" and not mids.issuperset(map(str, group.items[:1])):
            raise StreamError(f"the offer bundles its sections with {group.items[0]!r}, which it does not have")


async def _first_of(track: MediaStreamTrack) -> None:
    from aiortc import MediaStreamError

    with suppress(MediaStreamError):
        await track.recv()


class _Sender:
    """One WebRTC connection and the task that takes its frames."""

    def __init__(self, endpoint: WhipEndpoint, connection: RTCPeerConnection) -> None:
        self.id = secrets.token_urlsafe(16)
        self._endpoint = endpoint
        self._connection = connection
        self._track: MediaStreamTrack | None = None
        self._tasks: list[asyncio.Task[None]] = []
        #: None before the answer.
        self.viewers: WhepViewers | None = None
        self._sound: MediaStreamTrack | None = None

    async def answer(self, offer_sdp: str) -> str:
        from aiortc import RTCSessionDescription
        from aiortc.contrib.media import MediaRelay

        _check_offer(offer_sdp)
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=offer_sdp, type="offer"))
        tracks: dict[str, MediaStreamTrack] = {}
        for transceiver in self._connection.getTransceivers():
            is_first = transceiver.kind not in tracks
            transceiver.direction = "recvonly" if is_first else "inactive"
            tracks.setdefault(transceiver.kind, transceiver.receiver.track)
        if "video" not in tracks:
            raise StreamError("the offer has no video")
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        relay, settings = MediaRelay(), self._endpoint.settings
        self._track = relay.subscribe(tracks["video"])
        # Nobody here listens; a relay that has begun takes what comes.
        self._sound = relay.subscribe(tracks["audio"], buffered=False) if "audio" in tracks else None
        self.viewers = WhepViewers(
            list(tracks.values()),
            relay,
            self._endpoint.configuration,
            most=settings.whep_viewers,
            connect_within_s=settings.open_timeout_s,
        )
        return self._connection.localDescription.sdp

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(), name=f"whip-{self._endpoint.room}")]
        if self._sound is not None:
            self._tasks.append(asyncio.create_task(_first_of(self._sound), name=f"whip-sound-{self._endpoint.room}"))

    async def close(self) -> None:
        tasks, self._tasks = self._tasks, []
        others = [task for task in tasks if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self.viewers is not None:
            await self.viewers.close()
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
        rate = endpoint.rate
        live = False
        while True:
            frame = await self._next_frame(settings.stall_after_s if live else settings.open_timeout_s)
            if isinstance(frame, str):
                return frame
            if max(frame.width, frame.height) > settings.max_side_px:
                return f"pictures of {frame.width} x {frame.height} px; ingest.max_side_px is {settings.max_side_px}"
            pts_s = frame.time
            clock.observe(pts_s, time.monotonic())
            grid.follow_jump(pts_s)
            grid.set_period(rate.period_s(pts_s))
            endpoint.stats.add(packets=1, frames_decoded=1)
            if not grid.take(pts_s):
                continue
            if not live:
                endpoint.tell("live", f"{frame.width} x {frame.height}")
            live = True
            endpoint.stats.add(frames_sampled=1)
            captured_at_s = wall_s(clock.captured_s(pts_s))
            await endpoint.hand_on(Frame(endpoint.room, VideoPicture(frame, Display.of(frame)), pts_s, captured_at_s))

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
