"""Visits of the page with the viewer's element in a real browser: opening it, waiting for it, time that passes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.e2e.viewer_page import FakeHub, served
from tests.waiting import PATIENCE_S, until

VIEWPORTS = [(360, 800), (820, 1180), (1440, 900)]
CARD = ".place:not([inert]) .card"

Open = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def visiting(browser: Any, hub: FakeHub, script: Path, stream: Path) -> AsyncIterator[Open]:
    """Opens the page; afterwards, nothing may have been written to its console as an error."""
    errors: list[str] = []
    contexts = []

    async with served(hub, script, stream) as address:

        async def visit_page(
            viewport: tuple[int, int] = (1440, 900), context: dict[str, Any] | None = None, **attributes: str
        ) -> Any:
            made = await browser.new_context(viewport={"width": viewport[0], "height": viewport[1]}, **(context or {}))
            contexts.append(made)
            page = await made.new_page()
            page.set_default_timeout(PATIENCE_S * 1000)
            await page.clock.install()
            page.on("console", lambda message: message.type == "error" and errors.append(message.text))
            page.on("pageerror", lambda error: errors.append(str(error)))
            before = hub.connected
            await page.goto(f"{address}?{urlencode({k.replace('_', '-'): v for k, v in attributes.items()})}")
            await page.locator("#stream").evaluate(
                "video => video.readyState >= 2 || new Promise(done => video.addEventListener('loadeddata', done))"
            )
            await until(lambda: hub.connected > before)
            return page

        yield visit_page
        for made in contexts:
            await made.close()
    assert errors == []


async def expect(locator: Any) -> Any:
    """The locator, once it is visible."""
    await locator.wait_for(state="visible")
    return locator


async def gone(locator: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await locator.count():
            await asyncio.sleep(0.02)


async def pass_by(page: Any, seconds: float) -> None:
    """So much time passes in the page: its timers fire that are due by then."""
    await page.clock.run_for(seconds * 1000)


async def settled(page: Any) -> None:
    """Once every animation and transition has ended."""
    await page.evaluate(
        """() => Promise.allSettled(document.querySelector('live-cart').shadowRoot.getAnimations()
             .map(animation => animation.finished))"""
    )
