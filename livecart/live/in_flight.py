"""The frames of one room that are at the recogniser, and what is known meanwhile of those that came after them."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from livecart.core.types import FrameKey
from livecart.live.gate.background_model import Submitted

#: For so long a result is waited for before a further frame of the room is submitted.
_PENDING_S = 1.5
#: Frames without a result that are remembered.
_MOST = 16


@dataclass(frozen=True, slots=True)
class Ended:
    """A frame came to its end.

    Attributes:
        submitted: What the gate knew of it; None: it is no longer known, or there is no gate.
        duplicate: The newest near-duplicate that was held for its result.
        passed_over: Since the frame before ended, one was passed over that was worth a look.
    """

    submitted: Submitted | None
    duplicate: FrameKey | None
    passed_over: bool


class InFlight:
    """`submit`, `hold`, `pass_over` and `is_pending` in the reader's thread, the others in the event loop."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: By frame: what the gate knows of it, and when it was submitted. Oldest first.
        self._frames: dict[FrameKey, tuple[Submitted | None, float]] = {}
        #: The newest frame submitted, until its end, and the newest near-duplicate of it.
        self._newest: FrameKey | None = None
        self._duplicate: FrameKey | None = None
        self._passed_over = False

    def submit(self, key: FrameKey, submitted: Submitted | None) -> None:
        """A frame goes to the recogniser; to be called before it does."""
        with self._lock:
            while len(self._frames) >= _MOST:
                del self._frames[next(iter(self._frames))]
            self._frames[key] = (submitted, self._clock())
            self._newest, self._duplicate = key, None

    def is_pending(self) -> bool:
        """True while a frame that was submitted a moment ago has no result."""
        with self._lock:
            since_s = self._clock() - _PENDING_S
            return any(submitted_at_s >= since_s for _, submitted_at_s in self._frames.values())

    def hold(self, key: FrameKey) -> bool:
        """Hold a near-duplicate of the newest frame until that one's result; False: it is not in flight."""
        with self._lock:
            if self._newest is None:
                return False
            self._duplicate = key
            return True

    def pass_over(self) -> None:
        """A frame was worth a look, and another is pending."""
        self._passed_over = True

    def end(self, key: FrameKey, *, is_lost: bool = False) -> Ended:
        """The result of a frame arrived, or never will. Results may arrive out of order: older frames are forgotten."""
        with self._lock:
            submitted, _ = self._frames.pop(key, (None, 0.0))
            duplicate = None
            if key == self._newest:
                duplicate = None if is_lost else self._duplicate
                self._newest = self._duplicate = None
            if not is_lost:
                for older in [each for each in self._frames if each < key]:
                    del self._frames[older]
            passed_over, self._passed_over = self._passed_over, False
            return Ended(submitted, duplicate, passed_over)

    def clear(self) -> None:
        """No result is waited for any more."""
        with self._lock:
            self._frames.clear()
            self._newest = self._duplicate = None
