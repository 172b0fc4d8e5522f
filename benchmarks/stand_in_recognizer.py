"""A recogniser that costs nearly nothing: it knows products by the colour of the picture's middle.

    python benchmarks/stand_in_recognizer.py           prints its address, serves until it is terminated

It answers as docs/http.md says. A program of its own, so that its memory is not taken for livecart's.
"""

import asyncio
from typing import Any

import av
import numpy as np
from aiohttp import web
from numpy.typing import NDArray

#: RGB of each product; a middle that is none of them is no product.
PRODUCTS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (50, 60, 200)}
#: How far H.264 and JPEG may move a colour, 0 to 255.
_TOLERANCE = 45


def product_of(rgb: NDArray[Any]) -> str | None:
    height, width = rgb.shape[:2]
    middle = rgb[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8].mean(axis=(0, 1))
    near = (sku for sku, colour in PRODUCTS.items() if np.abs(middle - colour).max() < _TOLERANCE)
    return next(near, None)


async def _predict(request: web.Request) -> web.Response:
    body = await request.read()
    rgb = np.zeros((64, 64, 3), np.uint8)
    if request.content_type == "image/jpeg":  # else it is asked whether it is well
        (picture,) = av.CodecContext.create("mjpeg", "r").decode(av.Packet(body))
        rgb = picture.to_ndarray(format="rgb24")
    height, width = rgb.shape[:2]
    sku = product_of(rgb)
    found = {
        "sku": sku,
        "name": f"商品 {sku}",
        "url": f"https://shop.example.com/item/{sku}",
        "confidence": 0.93,
        "box": [width / 4, height / 4, width * 3 / 4, height * 3 / 4],
        "evidence": {"photo": 0.8, "text": None, "label": None},
    }
    return web.json_response(
        {
            "schema": 1,
            "model": {"name": "product_recognizer", "version": "1.0", "backbone": "colour", "catalog": "colours"},
            "image": {"width": width, "height": height},
            "labels": [],
            "products": [found] if sku else [],
            "texts": [],
            "timing_ms": {"network": 0.1},
        }
    )


async def _serve() -> None:
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/predictions/product_recognizer", _predict)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
