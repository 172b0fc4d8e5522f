"""A live HLS stream for tests: made once by PyAV's hls muxer, then told as if it were sent now.

The playlist's window moves on with the clock, and EXT-X-PROGRAM-DATE-TIME is the time at which each frame "was taken".
Every frame has its number in it, as a row of black and white fields, so that a test need not believe the player.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
from aiohttp import web
from numpy.typing import NDArray

FPS = 25
WIDTH_PX, HEIGHT_PX = 240, 320
#: The number's fields, most significant first, along the upper edge.
BITS, FIELD_PX = 12, 20
_WINDOW = 6
#: The stream runs already when the first viewer comes.
_HEAD_START_S = 6.0

Scene = Callable[[float], NDArray[np.uint8]]


def write_hls(folder: Path, seconds: float, scene: Scene, *, fps: int = FPS) -> None:
    """Segments of one second in `folder`.

    Args:
        folder: is there.
        seconds: length.
        scene: the picture at a time in seconds, (HEIGHT_PX, WIDTH_PX, 3).
        fps: pictures a second; `LiveHls.taken_at_s` goes by the default.
    """
    options = {"hls_time": "1", "hls_list_size": "0", "hls_segment_filename": str(folder / "%d.ts")}
    with av.open(str(folder / "all.m3u8"), "w", format="hls", options=options) as output:
        stream = output.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "x264-params": "scenecut=0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.codec_context.gop_size = fps
        stream.codec_context.thread_count = 1
        for number in range(round(seconds * fps)):
            rgb = scene(number / fps).copy()
            for bit in range(BITS):
                white = number >> (BITS - 1 - bit) & 1
                rgb[:FIELD_PX, bit * FIELD_PX : (bit + 1) * FIELD_PX] = 255 if white else 0
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


class LiveHls:
    """Serves what `write_hls` wrote, from when it is entered; `url` is the playlist's.

    Its dates are UTC, and say so unless `says_zone` is False.
    """

    def __init__(self, folder: Path, *, says_zone: bool = True) -> None:
        self._says_zone = says_zone
        self._folder = folder
        text = (folder / "all.m3u8").read_text(encoding="utf-8")
        self._durations_s = [float(found) for found in re.findall(r"#EXTINF:([\d.]+)", text)]
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.began_s = 0.0

    def taken_at_s(self, number: int) -> float:
        """UNIX time that the playlist gives to the frame of that number."""
        return self.began_s + number / FPS

    async def __aenter__(self) -> LiveHls:
        self.began_s = time.time() - _HEAD_START_S
        app = web.Application()
        app.router.add_get("/live.m3u8", self._playlist)
        app.router.add_get("/{name:\\d+}.ts", self._segment)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/live.m3u8"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _playlist(self, _request: web.Request) -> web.Response:
        starts_s = np.concatenate([[0.0], np.cumsum(self._durations_s)])
        there = int(np.searchsorted(starts_s[1:], time.time() - self.began_s, side="right"))
        first = max(0, there - _WINDOW)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for number in range(first, there):
            date = datetime.fromtimestamp(self.began_s + starts_s[number], UTC)
            written = date if self._says_zone else date.replace(tzinfo=None)
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{written.isoformat(timespec='milliseconds')}")
            lines += [f"#EXTINF:{self._durations_s[number]:.6f},", f"{number}.ts"]
        return web.Response(text="\n".join(lines) + "\n", content_type="application/vnd.apple.mpegurl", headers=_ANYONE)

    async def _segment(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(self._folder / f"{request.match_info['name']}.ts", headers=_ANYONE)


_ANYONE = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}

#: In a page: the number of the frame on the screen, read from its fields; -1 before the first.
READ_NUMBER = f"""(video) => {{
  if (video.readyState < 2) return -1
  const canvas = Object.assign(document.createElement('canvas'), {{ width: {WIDTH_PX}, height: {HEIGHT_PX} }})
  const context = canvas.getContext('2d', {{ willReadFrequently: true }})
  context.drawImage(video, 0, 0, {WIDTH_PX}, {HEIGHT_PX})
  const row = context.getImageData(0, {FIELD_PX // 2}, {WIDTH_PX}, 1).data
  let number = 0
  for (let bit = 0; bit < {BITS}; bit++) number = number * 2 + (row[(bit + 0.5) * {FIELD_PX} * 4] > 127 ? 1 : 0)
  return number
}}"""
