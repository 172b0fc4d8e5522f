"""A real Chromium as a viewer: opens the room's page, and writes down which card stands where over which frame."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from demo.errors import DemoError

if TYPE_CHECKING:
    from playwright.sync_api import Page

VARIABLE = "LIVECART_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PLAYS_S = 60.0
#: In the page: on each frame of the video, the card over it. Boxes in pixels of the stream's picture.
_RECORD = """() => {
  const cart = document.querySelector('live-cart'), video = document.querySelector('video')
  const kept = window.recorded = { from_s: null, to_s: null, seen: [] }
  const look = (_, { mediaTime }) => {
    video.requestVideoFrameCallback(look)
    const date = cart.hls?.playingDate
    if (!date) return
    const date_s = date.getTime() / 1000 + (mediaTime - video.currentTime), now_s = Date.now() / 1000
    kept.from_s ??= date_s
    kept.to_s = date_s
    const card = cart.shadowRoot.querySelector('.place:not([inert]):not([hidden]) .card')
    if (!card) return
    const name = card.getAttribute('aria-label'), before = kept.seen.at(-1)
    if (before && before.name === name && date_s - before.date_s < 0.1) return
    const v = video.getBoundingClientRect(), c = card.getBoundingClientRect()
    const scale = Math.min(v.width / video.videoWidth, v.height / video.videoHeight)
    const left = v.left + (v.width - video.videoWidth * scale) / 2
    const top = v.top + (v.height - video.videoHeight * scale) / 2
    const box = [c.left - left, c.top - top, c.right - left, c.bottom - top].map(side => side / scale)
    kept.seen.push({ name, date_s, now_s, box_xyxy_px: box })
  }
  video.requestVideoFrameCallback(look)
}"""


#: Left, top, width, height of the part of the page that the stream's picture takes.
_STREAM_RECT = """() => {
  const video = document.querySelector('video'), v = video.getBoundingClientRect()
  const scale = Math.min(v.width / video.videoWidth, v.height / video.videoHeight)
  const width = video.videoWidth * scale, height = Math.min(video.videoHeight * scale, innerHeight - v.top)
  return [v.left + (v.width - width) / 2, v.top, width, height]
}"""


class Sample(msgspec.Struct, frozen=True):
    """A card over one frame: `date_s` is the frame's date in the playlist, `now_s` when it was on the screen."""

    name: str
    date_s: float
    now_s: float
    box_xyxy_px: tuple[float, float, float, float]


class Recording(msgspec.Struct, frozen=True):
    """Frames and cards that were seen; the dates of the first and the last frame, None before the first."""

    from_s: float | None
    to_s: float | None
    seen: list[Sample]


def find_chromium() -> str:
    """Path of a Chromium.

    Raises:
        DemoError: there is none; says how to get one.
    """
    named = os.environ.get(VARIABLE, "")
    names = [named] if named else _NAMES
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise DemoError(
            f"no browser found ({', '.join(names)}): install one (Debian: apt-get install chromium), or name one in "
            f"{VARIABLE}"
        )
    return found


@contextmanager
def watching(executable: str, url: str, *, size: tuple[int, int]) -> Iterator[Page]:
    """The page in a browser without a window, its video playing and recorded.

    Raises:
        DemoError: playwright is missing, or the video does not play.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise DemoError("playwright is not installed: make setup") from error
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.goto(url)
            page.evaluate(_RECORD)
            end_s = time.monotonic() + _PLAYS_S
            while recording(page).from_s is None:
                if time.monotonic() > end_s:
                    raise DemoError(f"{url}: the video does not play: {'; '.join(errors) or 'the page says nothing'}")
                page.wait_for_timeout(200)
            yield page
        except Error as error:
            raise DemoError(f"{url}: {error}") from error
        finally:
            browser.close()


def recording(page: Page) -> Recording:
    return msgspec.convert(page.evaluate("window.recorded"), Recording, strict=False)


def picture(page: Page, path: Path) -> None:
    """The stream's picture with what is drawn over it, as it looks now: PNG or JPEG by the name."""
    left, top, width, height = page.evaluate(_STREAM_RECT)
    jpeg = path.suffix in {".jpg", ".jpeg"}
    page.screenshot(
        path=path,
        clip={"x": left, "y": top, "width": width, "height": height},
        type="jpeg" if jpeg else "png",
        quality=80 if jpeg else None,
    )
