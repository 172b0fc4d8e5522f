"""Sends a feed out twice, packets as they are: HLS with dates for viewers, HTTP-FLV for livecart.

Viewers' players stay seconds behind; livecart gets each frame at once, as from the server that a host sends to, so that
a card is there before viewers see its frame. Both go by one clock: the playlist's date of a frame is when it was sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet

from demo.errors import DemoError
from demo.feed import Feed, open_feed

_log = logging.getLogger(__name__)

PLAYLIST = "live.m3u8"
_HLS = {
    "hls_time": "2",
    "hls_list_size": "6",
    "hls_delete_threshold": "4",
    # Each file is there whole or not at all.
    "hls_flags": "delete_segments+temp_file+program_date_time",
}
#: What comes after an interruption goes on in the same playlist, marked as another beginning.
_AGAIN = "+append_list+discont_start"
_FLV = {"flush_packets": "1", "flvflags": "no_duration_filesize"}
_RETRY_S = 2.0


class FlvFanOut:
    """Output of the FLV muxer, for everybody who reads along; joins in at the last key frame.

    A reader that leaves more than 8 MB waiting is cut off; livecart then connects anew.
    """

    _MOST_BYTES = 8_000_000

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._header = b""
        self._since_key: list[bytes] = []
        self._readers: list[_Reader] = []
        self._header_done = False

    def write(self, data: bytes) -> int:
        with self._changed:
            if not self._header_done:
                self._header += data
            else:
                self._since_key.append(bytes(data))
            for reader in self._readers:
                reader.take(bytes(data), self._MOST_BYTES)
            self._changed.notify_all()
        return len(data)

    def header_written(self) -> None:
        """The muxer has said what comes; now come frames."""
        with self._changed:
            self._header_done = True

    def key_frame_next(self) -> None:
        """Whoever joins from now on begins here."""
        with self._changed:
            self._since_key.clear()

    def cut_off(self) -> None:
        """End every reader's connection."""
        with self._changed:
            for reader in self._readers:
                reader.closed = True
            self._changed.notify_all()

    def restart(self) -> None:
        """Another stream begins: readers are cut off, and come again."""
        self.cut_off()
        with self._changed:
            self._header, self._header_done = b"", False
            self._since_key.clear()

    @contextmanager
    def reading(self) -> Iterator[_Reader]:
        with self._changed:
            reader = _Reader(self._changed, [self._header, *self._since_key])
            self._readers.append(reader)
        try:
            yield reader
        finally:
            with self._changed:
                self._readers.remove(reader)


class _Reader:
    def __init__(self, changed: threading.Condition, data: list[bytes]) -> None:
        self._changed = changed
        self._data = data
        self.closed = False

    def take(self, data: bytes, most_bytes: int) -> None:
        self._data.append(data)
        self.closed = self.closed or sum(map(len, self._data)) > most_bytes

    def read(self, timeout_s: float) -> bytes | None:
        """Bytes that have come, b"" if none came in time; None: cut off."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._data, timeout_s)
            if self.closed:
                return None
            data = b"".join(self._data)
            self._data.clear()
            return data


class Station:
    """Sends one source, from `start` to `stop`, in a thread of its own.

    Args:
        source: a file, sent over and over, or a URL, opened again when it breaks off.
        folder: playlist and segments are written here.
    """

    def __init__(self, source: str, folder: Path) -> None:
        self.flv = FlvFanOut()
        self.playlist = folder / PLAYLIST
        #: UNIX time at which the first frame was sent, its date in the playlist; None before.
        self.began_at_s: float | None = None
        #: The last thing that went wrong; None while it is well.
        self.problem: str | None = None
        self._source = source
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="station", daemon=True)
        self._first = open_feed(source)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End; returns when nothing is written any more."""
        self._stop.set()
        self.flv.restart()
        if self._thread.is_alive():
            self._thread.join(10)
        else:
            self._first.close()

    def _run(self) -> None:
        feed: Feed | None = self._first
        while not self._stop.is_set():
            try:
                feed = feed or open_feed(self._source)
                with ExitStack() as stack:
                    stack.callback(feed.close)
                    self._send(feed, stack)
            except (DemoError, av.FFmpegError, OSError) as error:
                self.problem = str(error)
                _log.warning("the stream is interrupted, another try in %g s: %s", _RETRY_S, error)
                self.flv.restart()
                self._stop.wait(_RETRY_S)
            feed = None

    def _send(self, feed: Feed, stack: ExitStack) -> None:
        flags = _HLS["hls_flags"] + ("" if self.began_at_s is None else _AGAIN)
        names = str(self._folder / f"{int(time.time())}-%d.ts")
        options = _HLS | {"hls_flags": flags, "hls_segment_filename": names}
        hls = stack.enter_context(av.open(str(self.playlist), "w", format="hls", options=options))
        flv = stack.enter_context(av.open(self.flv, "w", format="flv", options=_FLV))
        for_viewers = {stream.index: hls.add_stream_from_template(stream) for stream in feed.streams}
        for_livecart = flv.add_stream_from_template(feed.video)
        flv.start_encoding()
        self.flv.header_written()
        for timed in feed.packets(self._stop):
            packet, index = timed.packet, timed.packet.stream.index
            if self.began_at_s is None:
                self.began_at_s = time.time()
            _mux(hls, for_viewers[index], packet)
            if index == feed.video.index:
                if packet.is_keyframe:
                    self.flv.key_frame_next()
                _mux(flv, for_livecart, packet)
            self.problem = None


def _mux(container: OutputContainer, stream: Any, packet: Packet[Any]) -> None:
    packet.stream = stream
    container.mux_one(packet)
