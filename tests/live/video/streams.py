"""Streams made on the spot with PyAV, and small servers that send them, for tests of reading streams."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from livecart.core.types import Frame


def numbered_picture(index: int, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """A picture whose brightness tells its number, with a red upper left corner and a moving bar."""
    rgb = np.full((height_px, width_px, 3), 40 + index % 160, dtype=np.uint8)
    rgb[: height_px // 4, : width_px // 4] = (230, 20, 20)
    bar = (index * 4) % (width_px - 8)
    rgb[height_px // 2 : height_px // 2 + 8, bar : bar + 8] = 255
    return rgb


def numbered_frame(index: int, width_px: int, height_px: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(numbered_picture(index, width_px, height_px), format="rgb24")


def encode(
    target: str | Path | io.BytesIO,
    *,
    seconds: float = 6.0,
    fps: int = 30,
    key_every_s: float = 2.0,
    size_px: tuple[int, int] = (320, 240),
    container: str | None = None,
    codec: str = "libx264",
    start_s: float = 0.0,
    b_frames: int = 2,
    audio: bool = False,
    options: dict[str, str] | None = None,
    muxer_options: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    is_uneven: bool = False,
    draw: Callable[[int, int, int], av.VideoFrame] = numbered_frame,
    prepare: Callable[[VideoStream], None] = lambda stream: None,
) -> None:
    """Encode a numbered video.

    Args:
        start_s: moves its timestamps.
        is_uneven: every third frame is left out.
        draw: makes the frame of a number, width and height.
        prepare: changes the stream before its first frame.
    """
    width_px, height_px = size_px
    key_every = round(key_every_s * fps)
    name = target if isinstance(target, io.BytesIO) else str(target)
    with av.open(name, "w", format=container, options=muxer_options or {}) as output:
        stream = output.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, pixel_format
        stream.codec_context.gop_size = key_every
        stream.codec_context.thread_count = 1
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.time_base = Fraction(1, fps)
        x264 = {"preset": "ultrafast", "x264-params": f"scenecut=0:keyint={key_every}:min-keyint={key_every}"}
        stream.options = x264 if codec == "libx264" else {"preset": "ultrafast"} if codec == "libx265" else {}
        stream.options |= options or {}
        prepare(stream)
        sound = output.add_stream("aac", rate=44100) if audio else None
        for index in range(round(seconds * fps)):
            if is_uneven and index % 3 == 2:
                continue
            frame = draw(index, width_px, height_px)
            frame.pts = index + round(start_s * fps)
            frame.time_base = Fraction(1, fps)
            output.mux(stream.encode(frame))
            if sound is not None and index % fps == 0:
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 44100), dtype=np.int16), format="s16", layout="mono")
                silence.sample_rate, silence.pts = 44100, 44100 * (index // fps)
                output.mux(sound.encode(silence))
        output.mux(stream.encode(None))
        if sound is not None:
            output.mux(sound.encode(None))


def encoded(container: str, **how: object) -> bytes:
    """As `encode`, in memory."""
    target = io.BytesIO()
    encode(target, container=container, **how)  # type: ignore[arg-type]
    return target.getvalue()


def late_video(container: str, *, sound_s: float = 5.0, video_s: float = 3.0) -> bytes:
    """Sound alone, then with video. FLV: as of an encoder that knows of no camera before it is switched on."""
    target, packets = io.BytesIO(), []
    with av.open(target, "w", format=container) as output:
        video = output.add_stream("libx264", rate=30, options={"preset": "ultrafast", "tune": "zerolatency"})
        video.width, video.height, video.pix_fmt, video.codec_context.gop_size = 320, 240, "yuv420p", 30
        sound = output.add_stream("aac", rate=44100)
        for index in range(round((sound_s + video_s) * 44100 / 1024)):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts, silence.time_base = 44100, index * 1024, Fraction(1, 44100)
            packets += sound.encode(silence)
        for index in range(round(video_s * 30)):
            frame = numbered_frame(index, 320, 240)
            frame.pts, frame.time_base = index + round(sound_s * 30), Fraction(1, 30)
            packets += video.encode(frame)
        packets += [*sound.encode(None), *video.encode(None)]
        packets = [packet for packet in packets if packet.dts is not None]
        output.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    data = target.getvalue()
    if container != "flv":
        return data
    tags = [tag for tag in flv_tags(data) if tag[0] != 18]
    (configuration,) = [tag for tag in tags if tag[0] == 9 and tag[12] == 0]
    tags.remove(configuration)
    first = next(place for place, tag in enumerate(tags) if tag[0] == 9)
    tags.insert(first, configuration[:4] + tags[first][4:8] + configuration[8:])
    return data[:13] + b"".join(tags)


def flv_tags(data: bytes) -> list[bytes]:
    """The tags of an FLV file (Adobe, Video File Format Specification 10.1, E.4.1), each with its length behind it."""
    tags, begin = [], 13
    while begin + 11 <= len(data):
        length = 11 + int.from_bytes(data[begin + 1 : begin + 4]) + 4
        tags.append(data[begin : begin + length])
        begin += length
    return tags


@dataclass
class Seen:
    """Collects what a reader tells."""

    frames: list[Frame] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def deliver(self, frame: Frame) -> None:
        self.frames.append(frame)

    def on_state(self, state: str, detail: str) -> None:
        self.states.append(state)
        self.details.append(detail)

    @property
    def pts_s(self) -> list[float]:
        return [round(frame.pts_s, 3) for frame in self.frames]

    @property
    def sizes_px(self) -> list[tuple[int, int]]:
        return [(frame.picture.width_px, frame.picture.height_px) for frame in self.frames]


class ByteServer:
    """An HTTP server on one port that sends bytes to whoever connects: all at once, then nothing, or paced.

    Args:
        body: what it sends.
        then: "close" the connection after it, or "hang" with it open.
        bytes_per_s: pace; None: at once.
        port: to come back where another server was; 0: any.
    """

    def __init__(self, body: bytes, *, then: str = "close", bytes_per_s: float | None = None, port: int = 0) -> None:
        self._body, self._then, self._bytes_per_s = body, then, bytes_per_s
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._stopped = threading.Event()
        self.connections = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/live.flv"

    def __enter__(self) -> ByteServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(5)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
                for piece in self._body_of_connection():
                    connection.sendall(piece)
            except OSError:
                return

    def _body_of_connection(self) -> Iterator[bytes]:
        step = len(self._body) if self._bytes_per_s is None else max(1, round(self._bytes_per_s / 20))
        for begin in range(0, len(self._body), max(1, step)):
            yield self._body[begin : begin + step]
            if self._bytes_per_s is not None and self._stopped.wait(1 / 20):
                return
        if self._then == "hang":
            self._stopped.wait()


class BroadcastServer(ByteServer):
    """An HTTP server that everyone joins where the stream is now.

    Args:
        header: what each connection begins with.
        pieces: times in seconds and bytes, in order.
        times_faster: than their times say.
    """

    def __init__(self, header: bytes, pieces: list[tuple[float, bytes]], *, times_faster: float = 1.0) -> None:
        self._header, self._pieces, self._times_faster = header, pieces, times_faster
        self._began_s = time.monotonic()
        super().__init__(b"")

    @property
    def at_s(self) -> float:
        """Where the stream is."""
        return (time.monotonic() - self._began_s) * self._times_faster

    def _body_of_connection(self) -> Iterator[bytes]:
        yield self._header
        joined_at_s = self.at_s
        for piece_s, piece in self._pieces:
            if piece_s < joined_at_s:
                continue
            if self._stopped.wait(max(0.0, (piece_s - self.at_s) / self._times_faster)):
                return
            yield piece
        self._stopped.wait()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def folder_server(folder: Path) -> Iterator[str]:
    """Serve a folder's files over HTTP; gives the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
