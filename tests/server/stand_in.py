"""A recogniser that knows products by the colour of the picture's middle, and clips that show such products.

The colours stay apart through H.264 and JPEG; the scene moves, so that the gate lets frames through as in life.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from aiohttp import web

from livecart.cli.clip_score import ClipTruth, ShownProduct
from tests.live.recognise.archive_stand_in import Archive, product

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (50, 60, 200)}
#: No product's.
GREY = (120, 120, 120)
WIDTH_PX, HEIGHT_PX = 192, 256
FPS = 10


def middle_of(jpeg: bytes) -> tuple[np.ndarray, int, int]:
    """Mean colour of the middle, and the picture's width and height."""
    (picture,) = av.CodecContext.create("mjpeg", "r").decode(av.Packet(jpeg))
    rgb = picture.to_ndarray(format="rgb24").astype(float)
    height, width = rgb.shape[:2]
    middle = rgb[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8]
    return middle.mean(axis=(0, 1)), width, height


class ColourArchive(Archive):
    """Answers with the product whose colour the middle of the picture has."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port=port)
        self.always = self._by_colour
        #: X-Room of each frame asked about.
        self.rooms: list[str | None] = []
        #: X-Roi of each.
        self.places: list[str | None] = []
        #: X-Mirror of each.
        self.mirrors: list[str | None] = []
        self.delay_s = 0.0
        #: Of one room, how many it was asked about at once.
        self.most_at_once = 0
        self._at_work: Counter[str | None] = Counter()

    async def _by_colour(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        room = request.headers.get("X-Room")
        self._at_work[room] += 1
        self.most_at_once = max(self.most_at_once, self._at_work[room])
        try:
            return await self._answer(request, body)
        finally:
            self._at_work[room] -= 1

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if request.content_type != "image/jpeg":
            return web.json_response(self.reply(64, 64))
        self.rooms.append(request.headers.get("X-Room"))
        self.places.append(request.headers.get("X-Roi"))
        self.mirrors.append(request.headers.get("X-Mirror"))
        colour, width, height = middle_of(body)
        self.products = []
        for sku, wanted in COLOURS.items():
            if np.abs(colour - wanted).max() < 45:
                box = [width * 0.25, height * 0.25, width * 0.75, height * 0.75]
                self.products = [product(sku, name=f"商品 {sku}", box=box)]
        return web.json_response(self.reply(width, height))


@contextmanager
def archive_in_thread(port: int = 0):
    """The same for programs that run in processes of their own."""
    loop = asyncio.new_event_loop()
    archive = ColourArchive(port)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(archive.start(), loop).result(10)
    try:
        yield archive
    finally:
        asyncio.run_coroutine_threadsafe(archive.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def scene(time_s: float, sku: str | None) -> np.ndarray:
    """One picture: a striped background that moves, and a product in the middle, held a little unsteadily."""
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    stripes = ((columns + rows + int(time_s * 40)) // 16) % 2
    rgb = np.where(stripes[..., None] == 1, (150, 150, 150), (90, 90, 90)).astype(np.uint8)
    shift = round(4 * np.sin(time_s * 2))
    top, bottom = HEIGHT_PX // 4 + shift, HEIGHT_PX * 3 // 4 + shift
    rgb[top:bottom, WIDTH_PX // 4 : WIDTH_PX * 3 // 4] = COLOURS[sku] if sku else GREY
    return rgb


def write_clip(
    path: Path | str,
    shows: list[tuple[str, float, float]],
    duration_s: float,
    *,
    container: str | None = None,
    moving: bool = True,
    draw: Callable[[np.ndarray, float], None] = lambda rgb, time_s: None,
) -> ClipTruth:
    """A clip in which each product is shown from when to when; what it shows. `draw` draws over each picture."""
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.codec_context.gop_size = FPS
        stream.codec_context.thread_count = 1
        for index in range(round(duration_s * FPS)):
            time_s = index / FPS
            sku = next((sku for sku, from_s, to_s in shows if from_s <= time_s < to_s), None)
            rgb = scene(time_s if moving else 0.0, sku)
            draw(rgb, time_s)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return ClipTruth(
        schema=1,
        clip=Path(path).name,
        fps=FPS,
        width=WIDTH_PX,
        height=HEIGHT_PX,
        duration_s=duration_s,
        shows=[ShownProduct(sku=sku, name=f"商品 {sku}", from_s=a, to_s=b) for sku, a, b in shows],
    )


SHOWS = [("red", 2.0, 8.0), ("green", 10.0, 16.0), ("blue", 18.0, 24.0)]
DURATION_S = 28.0
