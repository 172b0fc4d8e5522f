"""From the queue to the recogniser and back: a bounded number of requests at once, retries while they make sense.

A frame counts against the limit only while its request runs, not while it waits to be sent again, so one room's
failures delay nobody. A live room has at most one frame waiting to be sent again: its next frame takes that one's turn.
A live room's result that comes after a newer one is dropped, since the decision must never see time run backwards.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from livecart.core.background import Backoff
from livecart.core.errors import RecognizerBusy, RecognizerError
from livecart.core.types import Detections, Frame
from livecart.live.outcomes import FrameMetrics, Outcome
from livecart.live.recognise.concurrency import ConcurrencyLimiter
from livecart.live.recognise.latest_frames import Job, LatestFrames
from livecart.live.recognise.settings import DispatcherSettings

_log = logging.getLogger(__name__)

#: While the recogniser is down every frame fails alike: one line in so many seconds says it.
_LOG_EVERY_S = 10.0
#: Requests begin so far apart. TorchServe puts those that come within its `maxBatchDelay` of each other into one batch,
#: for one worker, even while another is idle; answered together they would also be followed by two at once, for ever.
_APART_S = 0.003


class Dispatcher:
    """Run `run` in one task; it ends when the queue is closed and what was in flight has ended.

    Args:
        queue: Where frames come from.
        recognize: Asks about one frame; `RecognizerClient.recognize`.
        on_result: Called with each answered frame, in the event loop, oldest first within a room.
        on_lost: Called with each frame that was polled but not answered, with its outcome.
        settings: Requests at once, and retries.
        metrics: Counts every outcome.
    """

    def __init__(
        self,
        queue: LatestFrames,
        recognize: Callable[[Frame], Awaitable[Detections]],
        *,
        on_result: Callable[[Detections], None],
        metrics: FrameMetrics,
        on_lost: Callable[[Frame, Outcome], None] = lambda _frame, _outcome: None,
        settings: DispatcherSettings | None = None,
    ) -> None:
        self._queue = queue
        self._recognize = recognize
        self._on_result = on_result
        self._on_lost = on_lost
        self._settings = settings if settings is not None else DispatcherSettings()
        self._metrics = metrics
        #: `run` keeps to it; somebody else may `follow` the recogniser's workers with it.
        self.limiter = ConcurrencyLimiter(self._settings.in_flight)
        self._tasks: set[asyncio.Task[None]] = set()
        #: For each live room with a frame that waits to be sent again: set when its next frame is polled.
        self._retrying: dict[str, asyncio.Event] = {}
        self._logged: dict[str, tuple[float, int]] = {}

    async def run(self) -> None:
        """Serve until the queue is closed, then wait up to `drain_s`; cancelled, drop what is in flight at once."""
        try:
            while (job := await self._next_job()) is not None:
                retrying = self._retrying.get(job.frame.room)
                if retrying is not None:
                    retrying.set()
                task = asyncio.create_task(self._serve(job), name=f"recognise {job.frame.room}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                await asyncio.sleep(_APART_S)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._settings.drain_s)
        finally:
            # A task cancelled before its first step would end without a word about its frame.
            await asyncio.sleep(0)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _next_job(self) -> Job | None:
        """The next frame, once its request may run; None once the queue is closed.

        The turn is waited for in line with the frames that are sent again, which would else go first for ever; the
        frame is polled once it has come, so that it is the newest. While no frame waits no turn is held.
        """
        while await self._queue.wait():
            await self.limiter.acquire()
            job = self._queue.poll()
            if job is not None:
                return job
            self.limiter.release()
        return None

    async def _serve(self, job: Job) -> None:
        """Ask about the frame and hand on what became of it."""
        outcome: Outcome = "closed"
        detections: Detections | None = None
        try:
            outcome, detections = await self._ask(job)
            if detections is not None:
                outcome = self._queue.accept(job)
        except Exception:  # noqa: BLE001 - one frame's fault, whatever it is, must not end the other rooms' service
            _log.exception("room %s: a frame was lost to a fault of livecart; please report it", job.frame.room)
            outcome = "failed"
        finally:
            self._end(job, outcome, detections)

    def _end(self, job: Job, outcome: Outcome, detections: Detections | None) -> None:
        room = job.frame.room
        self._metrics.frame(room, outcome)
        try:
            if outcome == "answered" and detections is not None:
                self._on_result(detections)
            else:
                self._on_lost(job.frame, outcome)
        except Exception:  # noqa: BLE001 - the callbacks are not ours, and the next frame's must be called all the same
            self._metrics.incident(room, "callback_failed")
            _log.exception("room %s: what was to be done with a %s frame failed", room, outcome)
        self._queue.done(job)

    async def _ask(self, job: Job) -> tuple[Outcome, Detections | None]:
        """Ask until there is an answer, or asking makes no sense any more.

        The first request's turn came with the job.
        """
        give_up_at_s = time.monotonic() + self._settings.lossless_patience_s
        backoff = Backoff(self._settings.backoff_first_s, self._settings.backoff_max_s)
        while (ended := await self._attempt(job)) is None:
            if job.lossless and time.monotonic() >= give_up_at_s:
                return "gave_up", None
            await self._back_off(job, backoff.next_wait_s())
            obstacle = self._queue.obstacle(job)
            if obstacle is not None:
                ended = obstacle, None
                break
            await self.limiter.acquire()
        outcome, detections = ended
        return ("gave_up" if backoff.failures and outcome in ("stale", "replaced") else outcome), detections

    async def _attempt(self, job: Job) -> tuple[Outcome, Detections | None] | None:
        """One request, if it still makes sense; how it ended, None where the recogniser was busy."""
        try:
            obstacle = self._queue.obstacle(job)
            if obstacle is not None:
                return obstacle, None
            detections = await self._recognize(job.frame)
        except RecognizerBusy as error:
            self._metrics.incident(job.frame.room, "busy")
            self._log_seldom("busy", job.frame.room, error)
            await self.limiter.refused()
            return None
        except RecognizerError as error:
            self._log_seldom("refused", job.frame.room, error)
            return "refused", None
        else:
            await self.limiter.answered()
            return "answered", detections
        finally:
            self.limiter.release()

    async def _back_off(self, job: Job, wait_s: float) -> None:
        """Wait before asking again, of a live room's frame until the room's next one is polled at most."""
        room = job.frame.room
        if job.lossless:
            await asyncio.sleep(wait_s)
        elif self._queue.obstacle(job) is None:
            # Only the newest frame of the room comes this far, so no other of it waits here.
            newer_came = self._retrying[room] = asyncio.Event()
            try:
                await asyncio.wait_for(newer_came.wait(), wait_s)
            except TimeoutError:
                pass
            finally:
                if self._retrying.get(room) is newer_came:
                    del self._retrying[room]

    def _log_seldom(self, kind: str, room: str, error: RecognizerError) -> None:
        now_s = time.monotonic()
        last_s, silent = self._logged.get(kind, (-_LOG_EVERY_S, 0))
        if now_s - last_s < _LOG_EVERY_S:
            self._logged[kind] = (last_s, silent + 1)
            return
        self._logged[kind] = (now_s, 0)
        more = f" (and {silent} more since the last such line)" if silent else ""
        _log.warning("room %s: %s%s", room, error, more)
