"""A clip as a live stream: HTTP-FLV at the clip's own pace, over and over, as many channels as are asked for.

`/live/12500.flv` is a channel that is 12.5 s ahead of `/live/0.flv`. Like a real server it sends the last key frame
and what followed it at once, then each frame when it is due, with timestamps that grow for ever. Nothing is decoded or
encoded here: the clip's packets are sent as they are, so that a room costs this program little.

    python benchmarks/live_source.py clip.mp4          prints its address, serves until it is terminated
"""

import argparse
import asyncio
import bisect
import io
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
from aiohttp import web

_FILE_HEADER_BYTES = 9
_TAG_HEADER_BYTES = 11
_SIZE_BYTES = 4
_VIDEO_TAG = 9
#: First byte of a video tag's data: the frame's kind in the upper half, 1 is a key frame.
_KEY_FRAME = 1
#: Second byte with H.264: 0 is the decoder's configuration, 1 a frame, 2 the end of the sequence.
_CONFIGURATION, _FRAME = 0, 1


@dataclass(frozen=True, slots=True)
class Tag:
    """One frame as FLV has it. `at_ms` is its decoding time from the clip's beginning."""

    at_ms: int
    is_key: bool
    data: bytes

    def bytes_at(self, time_ms: int) -> bytes:
        """The tag with another timestamp, and its size after it."""
        header = (
            bytes([_VIDEO_TAG])
            + len(self.data).to_bytes(3, "big")
            + (time_ms & 0xFFFFFF).to_bytes(3, "big")
            # The upper byte follows the lower three. 31 bits are 24 days.
            + (time_ms >> 24 & 0x7F).to_bytes(1, "big")
            + bytes(3)
        )
        return header + self.data + (len(header) + len(self.data)).to_bytes(_SIZE_BYTES, "big")


class LoopedClip:
    """A clip's frames in an endless row; frame `number` is due at `due_ms(number)` of the channel's time.

    Args:
        clip: a file with H.264 video.

    Raises:
        ValueError: it holds no H.264 key frame.
    """

    def __init__(self, clip: Path) -> None:
        flv, self.duration_ms = _remuxed(clip)
        self._header = flv[: _FILE_HEADER_BYTES + _SIZE_BYTES]
        self._configuration, self._tags = _video_tags(flv)
        if not self._tags or not self._tags[0].is_key or self._configuration is None:
            raise ValueError(f"{clip}: needs H.264 video that begins with a key frame")
        self._times_ms = [tag.at_ms for tag in self._tags]

    def opening(self) -> bytes:
        """The first bytes of every viewer."""
        assert self._configuration is not None
        return self._header + self._configuration.bytes_at(0)

    def due_ms(self, number: int) -> int:
        cycle, index = divmod(number, len(self._tags))
        return cycle * self.duration_ms + self._times_ms[index]

    def bytes_of(self, number: int) -> bytes:
        """A frame as it is sent."""
        return self._tags[number % len(self._tags)].bytes_at(self.due_ms(number))

    def last_key_frame(self, time_ms: int) -> int:
        """Number of the newest key frame that was due by then."""
        cycle, within_ms = divmod(time_ms, self.duration_ms)
        index = max(0, bisect.bisect_right(self._times_ms, within_ms) - 1)
        while not self._tags[index].is_key:
            index -= 1
        return cycle * len(self._tags) + index


def _remuxed(clip: Path) -> tuple[bytes, int]:
    """The clip's video as FLV, and its length in milliseconds."""
    buffer = io.BytesIO()
    with av.open(str(clip)) as source, av.open(buffer, "w", format="flv") as target:
        video = source.streams.video[0]
        stream = target.add_stream_from_template(video)
        frames = 0
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
                frames += 1
        duration_ms = round(1000 * frames / float(video.average_rate or 25))
    return buffer.getvalue(), duration_ms


def _video_tags(flv: bytes) -> tuple[Tag | None, list[Tag]]:
    """The decoder's configuration and all frames, times counted from the first one."""
    configuration: Tag | None = None
    frames: list[Tag] = []
    first_ms = 0
    at = _FILE_HEADER_BYTES + _SIZE_BYTES
    while at + _TAG_HEADER_BYTES <= len(flv):
        size = int.from_bytes(flv[at + 1 : at + 4], "big")
        time_ms = int.from_bytes(flv[at + 4 : at + 7], "big") | flv[at + 7] << 24
        data = flv[at + _TAG_HEADER_BYTES : at + _TAG_HEADER_BYTES + size]
        if flv[at] == _VIDEO_TAG and data[1] == _CONFIGURATION:
            configuration = Tag(0, False, data)
        elif flv[at] == _VIDEO_TAG and data[1] == _FRAME:
            first_ms = first_ms if frames else time_ms
            frames.append(Tag(time_ms - first_ms, data[0] >> 4 == _KEY_FRAME, data))
        at += _TAG_HEADER_BYTES + size + _SIZE_BYTES
    return configuration, frames


def create_app(clip: LoopedClip) -> web.Application:
    """The server. All channels' time begins now."""
    began_s = time.monotonic()

    async def channel(request: web.Request) -> web.StreamResponse:
        ahead_ms = int(request.match_info["ahead_ms"])
        response = web.StreamResponse(headers={"Content-Type": "video/x-flv"})
        await response.prepare(request)
        # It is the viewer who ends it.
        with suppress(ConnectionResetError):
            await response.write(clip.opening())
            number = clip.last_key_frame(round(1000 * (time.monotonic() - began_s)) + ahead_ms)
            while True:
                early_s = (clip.due_ms(number) - ahead_ms) / 1000 - (time.monotonic() - began_s)
                if early_s > 0:
                    await asyncio.sleep(early_s)
                await response.write(clip.bytes_of(number))
                number += 1
        return response

    app = web.Application()
    app.router.add_get(r"/live/{ahead_ms:\d+}.flv", channel)
    return app


async def _serve(clip: LoopedClip) -> None:
    runner = web.AppRunner(create_app(clip), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    asyncio.run(_serve(LoopedClip(parser.parse_args().clip)))


if __name__ == "__main__":
    main()
