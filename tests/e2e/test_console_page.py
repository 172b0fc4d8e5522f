"""The host's console in a real browser, over a running room: live HLS, a stand-in recogniser, the real hub."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from livecart.server.app import run_rooms
from tests.e2e.browsing import axe_source, chromium
from tests.e2e.live_hls import HEIGHT_PX, WIDTH_PX, LiveHls, write_hls
from tests.live.recognise.archive_stand_in import product
from tests.server.stand_in import COLOURS, ColourArchive
from tests.waiting import PATIENCE_S

pytest.importorskip("playwright.async_api", reason="playwright is not installed: make setup")

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = "let-me-in-please"
CONFIG = """
[recognizer]
base_url = "{archive}"
[http]
port = 0
token = "{token}"
[viewers]
secret = "a-secret-of-enough-characters"
viewer_dist = "{element}"
[[rooms]]
id = "room-1"
source = "{stream}"
rate_hz = 2.0
playback_url = "{stream}"
[[rooms]]
id = "whip-1"
source = "whip"
"""


class Recogniser(ColourArchive):
    """Sees also a product of which it is not sure, and reads something."""

    def reply(self, width: int, height: int) -> dict[str, Any]:
        said = super().reply(width, height)
        uncertain = {"name": "手工皂 薰衣草 120g", "confidence": 0.52, "threshold": 0.95, "evidence": {"photo": 0.5}}
        box = [width * 0.05, height * 0.7, width * 0.22, height * 0.9]
        said["products"] = [
            *({**each, "threshold": 0.8} for each in said["products"]),
            product("4471", box=box, **uncertain),
        ]
        said["texts"] = [
            {"text": "好欢螺", "confidence": 0.97, "box": [width * 0.4, height * 0.5, width * 0.6, height * 0.56]}
        ]
        return said


#: Diagonal stripes, of which each frame has a part.
_STRIPES = np.where(np.indices((HEIGHT_PX, WIDTH_PX + 32)).sum(0)[..., None] // 16 % 2, (120, 120, 130), (90, 90, 100))
_STRIPES = _STRIPES.astype(np.uint8)


def _scene(time_s: float) -> np.ndarray:
    moved = int(time_s * 40) % 32
    rgb = _STRIPES[:, moved : moved + WIDTH_PX].copy()
    shift = round(4 * np.sin(time_s * 2))
    rgb[HEIGHT_PX // 4 + shift : HEIGHT_PX * 3 // 4 + shift, WIDTH_PX // 4 : WIDTH_PX * 3 // 4] = COLOURS["red"]
    return rgb


@asynccontextmanager
async def running(folder: Path, element: Path, stream: LiveHls) -> AsyncIterator[str]:
    """`livecart run` over the stream; the address."""
    async with Recogniser() as archive:
        config = folder / "rooms.toml"
        config.write_text(CONFIG.format(archive=archive.url, token=TOKEN, element=element, stream=stream.url))
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        task = asyncio.create_task(run_rooms(config, stop, on_ready=ready.set_result))
        try:
            await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
            yield ready.result() if ready.done() else task.result()
        finally:
            stop.set()
            await task


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def address(viewer_script: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    chromium()
    folder = tmp_path_factory.mktemp("console")
    write_hls(folder, 180.0, _scene, fps=10)
    async with LiveHls(folder) as stream, running(folder, viewer_script.parent, stream) as url:
        yield url


Open = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Any, address: str) -> AsyncIterator[Open]:
    """Opens the console of a room, signed in; afterwards nothing may have been written to its console as an error."""
    errors: list[str] = []
    contexts = []

    async def open_console(
        room: str = "room-1", viewport: tuple[int, int] = (1440, 900), sign_in: bool = True, **context: Any
    ) -> Any:
        made = await browser.new_context(viewport={"width": viewport[0], "height": viewport[1]}, **context)
        contexts.append(made)
        page = await made.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        # That it asks for the token is written there by the browser.
        page.on("console", lambda said: said.type == "error" and "401" not in said.text and errors.append(said.text))
        await page.goto(f"{address}/rooms/{room}/console")
        if sign_in:
            await page.get_by_label("访问令牌").fill(TOKEN)
            await page.get_by_role("button", name="进入").click()
            await page.locator("#state[data-state]").wait_for()
        return page

    yield open_console
    for made in contexts:
        await made.close()
    assert errors == []


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_the_token_lets_in_and_stays_out_of_the_address(visit: Open) -> None:
    page = await visit(sign_in=False)
    await page.get_by_label("访问令牌").fill("wrong-token-wrong")
    await page.keyboard.press("Enter")
    await page.get_by_text("令牌不正确").wait_for()
    await page.get_by_label("访问令牌").fill(TOKEN)
    await page.keyboard.press("Enter")
    await page.locator("#state[data-state=live]").wait_for()
    assert page.url.endswith("/rooms/room-1/console")
    await page.reload()
    await page.locator("#state[data-state=live]").wait_for()
    kept = await page.evaluate("JSON.stringify(Object.entries({...sessionStorage, ...localStorage}))")
    assert TOKEN not in kept
    # The ticket is of this room only.
    await page.goto(page.url.replace("room-1", "whip-1"))
    await page.get_by_label("访问令牌").wait_for()


async def test_a_ticket_that_is_no_more_asks_for_the_token(visit: Open, address: str) -> None:
    page = await visit(sign_in=False)
    await page.goto(f"{address}/rooms/room-1/console?ticket=1.host.{'x' * 43}")
    await page.get_by_text("凭证无效或已过期").wait_for()
    assert "ticket" not in page.url


async def test_boxes_texts_figures_and_cards_of_the_room(visit: Open) -> None:
    page = await visit()
    # The room as viewers see it: their card over the picture. First of all, since it goes away by itself.
    await page.locator("live-cart .card").wait_for()
    sure, uncertain = page.locator("#sights .sure"), page.locator("#sights .uncertain")
    await sure.wait_for(state="attached")
    assert "商品 red 93%" in await sure.text_content()
    assert "手工皂" in await uncertain.text_content()
    assert "好欢螺" in await page.locator("#sights .read").text_content()
    # The box stands where the product is in the picture.
    stage, box = await page.locator("#stage").bounding_box(), await sure.locator("rect").bounding_box()
    scale = min(stage["width"] / WIDTH_PX, stage["height"] / HEIGHT_PX)
    left = stage["x"] + stage["width"] / 2 - WIDTH_PX * scale / 4
    assert abs(box["x"] - left) < 3
    assert abs(box["width"] - WIDTH_PX * scale / 2) < 6
    seen = page.locator("#seen li", has_text="手工皂")
    for fact in ("4471", "52%", "阈值 95%", "图 50%", "不确定"):
        await seen.get_by_text(fact, exact=True).wait_for()
    await page.locator("#texts", has_text="好欢螺 97%").wait_for()
    await page.locator("#cards li", has_text="商品 red").wait_for()
    await page.locator("#figures", has_text="拍摄 → 识别").get_by_text("中位").first.wait_for()
    await page.locator("#gate", has_text="首帧").wait_for()
    await page.locator("#outcomes", has_text="已识别").wait_for()
    await page.locator("#picture-note", has_text="同步").wait_for()
    # Labels keep their size when the picture's changes.
    label = sure.locator("text")
    before = await label.bounding_box()
    await page.set_viewport_size({"width": 820, "height": 600})
    await asyncio.sleep(0.5)
    after = await label.bounding_box()
    assert abs(after["height"] - before["height"]) < 3


async def test_the_host_pins_mutes_and_withdraws_by_keyboard(visit: Open) -> None:
    page = await visit()
    card = page.locator("#cards li", has_text="商品 red")
    await card.get_by_role("button", name="置顶：商品 red", exact=True).focus()
    await page.keyboard.press("Enter")
    await page.locator("#wishes li", has_text="已置顶").wait_for()
    # Drawn anew twice a second, and the focus is where it was.
    mute = card.get_by_role("button", name="屏蔽：商品 red")
    await mute.focus()
    await asyncio.sleep(1.5)
    assert await mute.evaluate("button => button === document.activeElement")
    await page.keyboard.press("Enter")
    await page.locator("#wishes li", has_text="已屏蔽").wait_for()
    await card.wait_for(state="detached")
    await page.locator("#log li", has_text="已屏蔽").first.wait_for()
    await page.locator("#wishes").get_by_role("button", name="取消屏蔽：商品 red").press("Enter")
    await page.locator("#wishes li", has_text="已屏蔽").wait_for(state="detached")
    await page.locator("#seen li", has_text="商品 red").get_by_role("button", name="置顶").press("Enter")
    await card.get_by_role("button", name="收回：商品 red").press("Enter")
    await page.locator("#log li", has_text="主播收回").first.wait_for()
    await page.locator("#seen li", has_text="商品 red").get_by_role("button", name="置顶").press("Enter")
    await card.get_by_role("button", name="取消置顶").press("Enter")
    await page.locator("#wishes li").wait_for(state="detached")
    await page.get_by_label("按货号置顶").fill("4471")
    await page.keyboard.press("Enter")
    await page.locator("#wishes li", has_text="手工皂").get_by_role("button", name="取消置顶").press("Enter")


async def test_odd_skus_and_names_do_no_harm(visit: Open, address: str) -> None:
    page = await visit()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    # In a path, a browser takes it for the room itself.
    await page.request.post(f"{address}/rooms/room-1/mute", data={"sku": ".."}, headers=bearer)
    muted = page.locator("#wishes li", has_text="已屏蔽")
    await muted.get_by_role("button", name="取消屏蔽：..").press("Enter")
    await muted.wait_for(state="detached")
    name = "<img src=x onerror=alert(1)>" + "长" * 400
    pin = {"sku": "1", "name": name, "url": "https://shop.example.com/1"}
    await page.request.post(f"{address}/rooms/room-1/pin", data=pin, headers=bearer)
    shown = page.locator("#cards .name", has_text=name)
    await shown.wait_for()
    assert (await shown.bounding_box())["height"] < 100
    assert await page.locator("#cards img").count() == 0
    await page.locator("#wishes").get_by_role("button", name="取消置顶").press("Enter")
    await page.locator("#wishes li").wait_for(state="detached")
    assert (await page.request.get(f"{address}/rooms/room-1", headers=bearer)).status == 200


async def test_without_a_picture_it_says_so(visit: Open) -> None:
    page = await visit("whip-1")
    await page.get_by_text("未设置 playback_url").wait_for()
    await page.get_by_role("button", name="English").click()
    await page.get_by_text("No playback_url is set").wait_for()
    await page.get_by_role("heading", name="Host console").wait_for()
    await page.reload()
    await page.get_by_role("heading", name="Host console").wait_for()


@pytest.mark.parametrize(("viewport", "scheme"), [((360, 800), "dark"), ((820, 1180), "light")])
async def test_axe_finds_nothing_and_all_fits(
    visit: Open, address: str, viewport: tuple[int, int], scheme: str
) -> None:
    page = await visit(viewport=viewport, color_scheme=scheme)
    # A card and a muted product, whatever the host did before.
    for wish, sku in (("pin", "red"), ("mute", "4471")):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        await page.request.post(f"{address}/rooms/room-1/{wish}", data={"sku": sku}, headers=headers)
    await page.locator("#cards li").first.wait_for()
    await page.locator("#wishes li").nth(1).wait_for()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = await page.evaluate(
        """() => [...document.querySelectorAll('button, input:not([type=checkbox]), label:has(input)')]
             .filter(element => element.checkVisibility() && (element.offsetHeight < 44 || element.offsetWidth < 44))
             .map(element => element.outerHTML)"""
    )
    assert small == []
    await page.evaluate(axe_source())
    for language in ("中文", "English"):
        # What fades in has another contrast.
        await page.evaluate(
            """() => Promise.allSettled([...document.getAnimations(),
                 ...document.querySelector('live-cart').shadowRoot.getAnimations()].map(each => each.finished))"""
        )
        found = await page.evaluate("async () => (await axe.run()).violations")
        told = json.dumps(
            [[each["id"], [node["html"] for node in each["nodes"]]] for each in found], ensure_ascii=False
        )
        assert found == [], (language, told)
        await page.locator("#language").click()


async def test_axe_finds_nothing_where_the_token_is_asked_for(visit: Open) -> None:
    page = await visit(viewport=(360, 800), sign_in=False)
    await page.evaluate(axe_source())
    found = await page.evaluate("async () => (await axe.run()).violations")
    assert found == []
