"""Firefox without a driver: WebDriver BiDi (w3.org/TR/webdriver-bidi), which it speaks itself."""

import asyncio
import base64
import itertools
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

_LISTENS = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
PATIENCE_S = 60.0


class FirefoxPage:
    """A page; `errors` are what it wrote to its console as such, and what its scripts threw."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.errors: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._context = ""

    async def start(self) -> None:
        await self._ask("session.new", capabilities={})
        await self._ask("session.subscribe", events=["log.entryAdded"])
        tree = await self._ask("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    async def goto(self, url: str, viewport: tuple[int, int] = (1440, 900)) -> None:
        size = {"width": viewport[0], "height": viewport[1]}
        await self._ask("browsingContext.setViewport", context=self._context, viewport=size)
        await self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression; only text, numbers and booleans come back."""
        target = {"context": self._context}
        asked = {"expression": expression, "target": target, "awaitPromise": True}
        answer = await self._ask("script.evaluate", **asked)
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    async def wait_for(self, expression: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not await self.evaluate(f"Boolean({expression})"):
                await asyncio.sleep(0.05)

    async def screenshot(self, path: Path) -> None:
        answer = await self._ask("browsingContext.captureScreenshot", context=self._context)
        path.write_bytes(base64.b64decode(answer["data"]))

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE_S):
            while True:
                said = await self._socket.receive_json()
                if said.get("method") == "log.entryAdded" and said["params"]["level"] == "error":
                    self.errors.append(said["params"]["text"])
                if said.get("id") == number:
                    assert said["type"] == "success", said
                    result: dict[str, Any] = said["result"]
                    return result


@asynccontextmanager
async def firefox(folder: Path) -> AsyncIterator[FirefoxPage]:
    """A page in a Firefox of its own, whose profile is in `folder`; skips the test without one."""
    program = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
    if program is None:
        pytest.skip("no Firefox found: apt install firefox-esr")
    profile = folder / "profile"
    profile.mkdir()
    command = [program, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(profile)]
    environment = {**os.environ, "HOME": str(folder)}
    process = await asyncio.create_subprocess_exec(
        *command, "about:blank", env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    drain: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := _LISTENS.search(line := await process.stderr.readline())):
                assert line, "Firefox ended"
        # It must not wait for somebody to read what it says.
        drain = asyncio.create_task(process.stderr.read())
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(found[1].decode() + "/session", max_msg_size=0) as socket,
        ):
            page = FirefoxPage(socket)
            await page.start()
            yield page
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()
        if drain is not None:
            await drain
