"""A room's stream, kept alive: one thread that reads, hands on sampled frames, and reconnects until it is stopped."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from random import Random

from livecart.core.background import Backoff
from livecart.core.errors import LivecartError, StreamError
from livecart.core.types import Frame, StreamState
from livecart.live.video.connection import Connection, open_connection
from livecart.live.video.read_guard import ReadGuard
from livecart.live.video.sampling import SamplingRate
from livecart.live.video.settings import IngestSettings
from livecart.live.video.source import parse_source
from livecart.live.video.stats import ReaderStats
from livecart.live.video.timeline import StreamStalled

_log = logging.getLogger(__name__)

Deliver = Callable[[Frame], None]
OnState = Callable[[StreamState, str], None]


class StreamReader:
    """Reads one source in one daemon thread.

    Args:
        source: a path, or a URL of one of `settings.schemes`: HLS, HTTP-FLV, MPEG-TS, RTMP, RTSP, a recording.
        room: goes into every frame.
        settings: how to read.
        deliver: takes each sampled frame, in the reader's thread. A recording waits for it; a live stream piles up at
            the server meanwhile, so it should return at once.
        on_state: takes each change of state and a sentence about it. In the reader's thread; "closed", always the last
            one, in the thread that stops the reader. A stream that reconnects goes through "stalled" if it only fell
            silent, then "reconnecting", then "live". A recording goes to "ended".
        rate: how often to sample; None: at `settings.rate_hz` all the time.
        rng: of the backoff.

    Raises:
        SettingsError: the source cannot be one; see `parse_source`.
    """

    def __init__(
        self,
        source: str,
        room: str,
        settings: IngestSettings,
        deliver: Deliver,
        on_state: OnState,
        *,
        rate: SamplingRate | None = None,
        rng: Random | None = None,
    ) -> None:
        self.room = room
        self.stats = ReaderStats()
        #: What went wrong last; of a recording that could not be read to its end, why.
        self.failure: LivecartError | None = None
        self._source = parse_source(source, settings)
        self._settings = settings
        self._rate = rate or SamplingRate(settings.rate_hz, settings.rate_hz)
        self._deliver = deliver
        self._on_state = on_state
        # Jitter spreads load; nothing secret depends on it.
        self._backoff = Backoff(settings.backoff_first_s, settings.backoff_max_s, rng)
        self._guard = ReadGuard()
        self._is_closed = False
        self._was_live = False
        self._is_recording = self._source.is_file
        self._thread = threading.Thread(target=self._run, name=f"ingest-{room}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def signal(self) -> None:
        self.stop(timeout_s=0)

    async def close(self, timeout_s: float) -> bool:
        """Stop without holding up the event loop. Returns as `stop` does."""
        # Asked again and again, not waited for in a thread: hundreds of readers may have to end together.
        end_s, wait_s = time.monotonic() + timeout_s, 0.005
        while not self.stop(timeout_s=0):
            if time.monotonic() >= end_s:
                return False
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, 0.1)
        return True

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End reading and tell "closed". May be called again.

        Returns:
            Whether the thread has ended within `timeout_s`. One that has not delivers nothing more, and ends with what
            it is in: `deliver`, `on_state`, a name look-up, or a read of RTMP or RTSP, which lasts as long as
            `stall_after_s` and `open_timeout_s` say, and `first_frame_within_s` where RTMP brings sound alone. Reads
            over HTTP and SRT end at once.
        """
        self._guard.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self._is_closed:
            self._is_closed = True
            self._tell("closed", "stopped", even_if_stopped=True)
        return not self._thread.is_alive()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for a recording's end. Returns whether the thread has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._tell("connecting", f"opening {self._source.shown}")
        while not self._guard.stopped.is_set():
            try:
                ended = self._read_once()
            except StreamError as error:
                failure: LivecartError = error
            except Exception as error:  # noqa: BLE001  whatever it was, the room has to come back
                _log.exception("room %s: reading %s", self.room, self._source.shown)
                failure = StreamError(f"unexpected {type(error).__name__}: {error}")
            else:
                if ended:
                    self._tell("ended", f"{self._source.shown} is read to its end")
                    return
                failure = StreamError("the server ended the stream")
            if not self._recover(failure):
                return

    def _read_once(self) -> bool:
        """Open the source and read it. Returns whether it is over for good."""
        with open_connection(self._source, self._settings, self._guard, self.stats) as connection:
            if connection.on_demand and self._was_live:
                return True  # a live playlist that was closed: what it still offers was seen
            self._was_live = not connection.on_demand
            # Read again from its beginning it would show everything twice.
            self._is_recording = connection.on_demand
            self._hand_on(connection)
            return connection.on_demand

    def _hand_on(self, connection: Connection) -> None:
        live_since_s: float | None = None
        for frame in connection.frames(self.room, self._rate):
            now_s = time.monotonic()
            if live_since_s is None:
                live_since_s = now_s
                self._tell("live", f"{self._source.shown}, {frame.picture.width_px} x {frame.picture.height_px}")
            elif now_s - live_since_s >= self._settings.backoff_reset_after_s:
                self._backoff.reset()
            try:
                self._deliver(frame)
            except Exception:  # noqa: BLE001  the next frame may well be taken
                self.stats.add(callback_errors=1)
                _log.exception("room %s: a frame could not be handed on", self.room)

    def _recover(self, failure: LivecartError) -> bool:
        """Tell what happened and wait for the next try. Returns whether there is one; none where it is to stop."""
        if self._guard.stopped.is_set():
            return False
        self.failure = failure
        stalled = isinstance(failure, StreamStalled)
        self.stats.add(failures=1, stalls=int(stalled))
        if self._is_recording:
            _log.error("room %s: %s: %s", self.room, self._source.shown, failure)
            self._tell("ended", f"{self._source.shown}: {failure}")
            return False
        if stalled:
            self._tell("stalled", f"{self._source.shown}: {failure}")
        wait_s = self._backoff.next_wait_s()
        _log.warning("room %s: %s: %s; next try in %.1f s", self.room, self._source.shown, failure, wait_s)
        self._tell("reconnecting", f"{self._source.shown}: {failure}; next try in {wait_s:.1f} s")
        return not self._guard.stopped.wait(wait_s)

    def _tell(self, state: StreamState, detail: str, *, even_if_stopped: bool = False) -> None:
        if self._guard.stopped.is_set() and not even_if_stopped:
            return
        try:
            self._on_state(state, detail)
        except Exception:  # noqa: BLE001  reading does not depend on who listens
            self.stats.add(callback_errors=1)
            _log.exception("room %s: the state %s could not be reported", self.room, state)
