"""The counters of a reader, readable from any thread."""

import threading
from dataclasses import dataclass, replace
from typing import Literal

#: Which frames are decoded: key frames alone, or all that a sampled one needs. "unknown" before anything was.
DecodeMode = Literal["unknown", "key_frames", "all_frames"]


@dataclass(frozen=True, slots=True)
class ReaderCounts:
    """Totals since the reader was made; times in seconds."""

    #: Video packets that came, decoded or not.
    packets: int = 0
    #: Packets and frames that were damaged or could not be decoded.
    corrupt: int = 0
    frames_decoded: int = 0
    frames_sampled: int = 0
    #: Connections that were opened.
    connections: int = 0
    #: Times the stream was lost or could not be opened.
    failures: int = 0
    #: Of those, because nothing new came.
    stalls: int = 0
    #: Times `deliver` or `on_state` raised.
    callback_errors: int = 0
    decode_mode: DecodeMode = "unknown"
    #: Longest of the last distances between key frames; None: not known yet.
    key_distance_s: float | None = None


class ReaderStats:
    """Thread-safe holder of `ReaderCounts`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = ReaderCounts()

    def add(self, **increments: int) -> None:
        with self._lock:
            now = self._counts
            self._counts = replace(now, **{key: getattr(now, key) + more for key, more in increments.items()})

    def set_decoding(self, mode: DecodeMode, key_distance_s: float | None) -> None:
        """Note how the stream is decoded from here on."""
        with self._lock:
            self._counts = replace(self._counts, decode_mode=mode, key_distance_s=key_distance_s)

    def snapshot(self) -> ReaderCounts:
        with self._lock:
            return self._counts
