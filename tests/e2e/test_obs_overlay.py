"""The overlay and the controller's page in a real browser, over a `livecart run` of its own, which dies at the end."""

import asyncio
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import pytest_asyncio
import requests
from PIL import Image

from livecart.core.overlay_position import share_box
from livecart.shop.repositories import products
from tests.e2e.browsing import axe_source, chromium
from tests.e2e.firefox import firefox
from tests.shop.catalog_stores import allow_shop, open_upgraded, patch
from torchserve_plan import free_port

pytest.importorskip("playwright.async_api", reason="playwright is not installed: make setup")

pytestmark = pytest.mark.asyncio(loop_scope="session")

CARD = "live-cart .place:not([inert]):not([hidden]) .card"
PATIENCE_S = 30.0
POSITIONS = ["upper-left", "upper-right", "middle-left", "middle-right", "lower-left", "lower-right"]
#: What phones and platforms leave free of the picture; docs/overlay.md.
SAFE = {(1080, 1920): (120, 288, 888, 1248), (1920, 1080): (96, 54, 1824, 1026)}
NAMES = {
    "zh": "【官方旗舰】好欢螺正宗柳州螺蛳粉礼盒装300克×10袋加量不加价送卤蛋买一送一" * 3,
    "en": "Incomprehensibly long-lasting velvet matte lipstick with hyaluronic acid, rose 07, limited edition "
    + "W" * 100,
    "1001": "玫瑰口红 07",
}
#: As long as a QR code takes.
LONGEST = "https://shop.example.com/".ljust(213, "7")
CONFIG = """
http = {{port = {port}}}
viewers = {{viewer_dist = "{element}"}}
rooms = [{{id = "room-1", source = "whip", ignore_regions = ["upper-right"]}}]
[catalog]
url = "{catalog}"
folder = "{folder}"
publish = false
"""


@dataclass
class Run:
    """`livecart run`, with one room that shows what is pinned."""

    process: subprocess.Popen[bytes]
    url: str

    def pin(self, sku: str) -> None:
        requests.post(f"{self.url}/rooms/room-1/pin", json={"sku": sku}, timeout=10).raise_for_status()

    def unpin(self, sku: str) -> None:
        requests.post(f"{self.url}/rooms/room-1/withdraw", json={"sku": sku}, timeout=10).raise_for_status()

    @property
    def viewers(self) -> float:
        lines = requests.get(f"{self.url}/metrics", timeout=10).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("livecart_hub_viewers{"))


@pytest.fixture(scope="module")
def run(viewer_script: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    chromium()
    folder, port = tmp_path_factory.mktemp("overlay"), free_port()
    catalog = f"sqlite:///{folder / 'catalog.db'}"
    store = open_upgraded(catalog)
    allow_shop(store)
    with store.write("setup") as session:
        terms = {"sale_to_s": 4e9, "stock": 3, "coupon": "满 200 减 20", "limit_per_buyer": 2}
        sale = {"price": Decimal("1599.00"), "sale_price": Decimal("1299.00"), **terms}
        for sku, name in NAMES.items():
            prices = {"price": Decimal("1299.00")} if sku == "1001" else sale
            products.create(session, patch(sku, name=name[:255], currency="CNY", url=LONGEST, **prices))
    store.close()
    config = folder / "rooms.toml"
    text = CONFIG.format(port=port, element=viewer_script.parent, catalog=catalog, folder=folder / "files")
    config.write_text(text, encoding="utf-8")
    log = (folder / "log").open("wb")
    process = subprocess.Popen([sys.executable, "-m", "livecart", "run", "--config", config], stdout=log, stderr=log)
    made = Run(process, f"http://127.0.0.1:{port}")
    try:
        for _ in range(300):
            try:
                if requests.get(f"{made.url}/rooms/room-1", timeout=5).ok:
                    break
            except requests.RequestException:
                assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield made
    finally:
        process.kill()
        process.wait(10)
        log.close()


Open = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Any, run: Run) -> AsyncIterator[Open]:
    """Opens a page of the room; afterwards nothing may have been written to its console as an error."""
    errors: list[str] = []
    contexts = []

    async def open_page(what: str, viewport: tuple[int, int] = (1080, 1920), **context: Any) -> Any:
        made = await browser.new_context(viewport={"width": viewport[0], "height": viewport[1]}, **context)
        contexts.append(made)
        page = await made.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        await page.goto(f"{run.url}/rooms/room-1/{what}")
        return page

    yield open_page
    for made in contexts:
        await made.close()
    assert [error for error in errors if "WebSocket" not in error and "422" not in error] == []


async def rgba(page: Any) -> np.ndarray:
    shot = await page.screenshot(omit_background=True)
    return np.array(Image.open(io.BytesIO(shot)).convert("RGBA"))


async def until(condition: Callable[[], Awaitable[Any]], within_s: float = PATIENCE_S) -> float:
    began_s = time.monotonic()
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.02)
    return time.monotonic() - began_s


async def axe_finds_nothing(page: Any) -> None:
    await page.evaluate(axe_source())
    found = await page.evaluate("async () => (await axe.run()).violations")
    told = [[each["id"], [node["html"] for node in each["nodes"]]] for each in found]
    assert found == [], json.dumps(told, ensure_ascii=False)


@pytest.mark.parametrize("viewport", SAFE)
@pytest.mark.parametrize("sku", ["zh", "en"])
async def test_the_card_alone_is_drawn_inside_its_place(
    visit: Open, run: Run, sku: str, viewport: tuple[int, int]
) -> None:
    run.pin(sku)
    # Drawn at half the pixels, which takes a quarter of the time.
    page = await visit("overlay", viewport, device_scale_factor=0.5)
    card, safe = page.locator(CARD), SAFE[viewport]
    await page.locator(f"{CARD}[aria-label^='{NAMES[sku][:9]}']").wait_for()
    for position in POSITIONS:
        place = [side * share for side, share in zip(viewport * 2, share_box(position, *viewport), strict=True)]
        assert _is_inside(place, safe)
        await page.goto(f"{page.url.split('?')[0]}?position={position}")
        await card.wait_for()
        drawn = (await rgba(page))[..., 3]
        box = await card.bounding_box()
        x1, y1, x2, y2 = box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]
        assert _is_inside((x1, y1, x2, y2), place)
        # It keeps to the side that the position names.
        assert {"upper": y1 - place[1], "lower": place[3] - y2}.get(position[:5], 0) == pytest.approx(0, abs=1)
        assert drawn[round((y1 + y2) / 4), round((x1 + x2) / 4)] == 255
        drawn[int(y1 / 2) : int(np.ceil(y2 / 2)), int(x1 / 2) : int(np.ceil(x2 / 2))] = 0
        assert drawn.max() == 0
    name = page.locator(f"{CARD} .name")
    line_px = await name.evaluate("each => parseFloat(getComputedStyle(each).lineHeight)")
    assert (await name.bounding_box())["height"] <= 2 * line_px + 1
    assert await page.locator(f"{CARD} .price").inner_text() == "¥1,299.00"
    assert await page.locator(f"{CARD} s").inner_text() == "¥1,599.00"
    assert await page.locator(f"{CARD} .terms").is_visible()
    assert await page.locator(f"{CARD} .reason").inner_text() == "正在讲解"
    assert await page.locator(f"{CARD} :is(a, button)").filter(visible=True).count() == 0


def _is_inside(inner: Sequence[float], outer: Sequence[float]) -> bool:
    return all(inner[side] >= outer[side] - 1 for side in (0, 1)) and all(
        inner[side] <= outer[side] + 1 for side in (2, 3)
    )


async def test_a_qr_code_is_read_after_the_encoder(visit: Open, run: Run) -> None:
    zxingcpp = pytest.importorskip("zxingcpp")
    run.pin("1001")
    page = await visit("overlay?qr=true&theme=dark")
    await page.locator(f"{CARD} .picture img").wait_for()
    overlay = await rgba(page)
    is_card = overlay[..., 3:] > 127
    noise = np.random.default_rng(1).integers(0, 255, (240, 135, 3), np.uint8)
    busy = np.kron(noise, np.ones((8, 8, 1), np.uint8))
    encoded = io.BytesIO()
    with av.open(encoded, "w", format="mpegts") as output:
        rate = {"b": "2500k", "maxrate": "2500k", "bufsize": "1250k"}
        stream = output.add_stream("libx264", rate=30, options={"preset": "veryfast", "tune": "zerolatency", **rate})
        stream.width, stream.height, stream.pix_fmt = 1080, 1920, "yuv420p"
        stream.time_base = Fraction(1, 30)
        stream.codec_context.thread_count = 2
        for index in range(30):
            # All of the picture moves, as under a camera in a hand.
            moved = np.roll(busy, (4 * index, 2 * index), axis=(0, 1))
            frame = av.VideoFrame.from_ndarray(np.where(is_card, overlay[..., :3], moved), format="rgb24")
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert encoded.tell() * 8 < 3_000_000, "a second is held to its rate"
    encoded.seek(0)
    with av.open(encoded) as source:
        *_, last = source.decode(video=0)
    assert await page.locator(f"{CARD} .price").evaluate("each => each.scrollWidth <= each.clientWidth"), "it is cut"
    (code,) = zxingcpp.read_barcodes(last.to_ndarray(format="rgb24"))
    assert code.text == LONGEST


async def test_it_takes_a_style_of_obs_and_stops_while_obs_does_not_show_it(visit: Open, run: Run) -> None:
    run.pin("1001")
    page = await visit("overlay")
    card = page.locator(CARD)
    await card.wait_for()
    await axe_finds_nothing(page)
    # As OBS writes it into a page: past the page's policy it would not come.
    await page.evaluate(
        """() => {
          const style = document.createElement('style')
          style.textContent = 'live-cart::part(card) { background: rgb(1, 2, 3) }'
          document.head.append(style)
        }"""
    )
    assert await card.evaluate("each => getComputedStyle(each).backgroundColor") == "rgb(1, 2, 3)"
    shown = run.viewers
    say = "visible => dispatchEvent(new CustomEvent('obsSourceVisibleChanged', { detail: { visible } }))"
    await page.evaluate(say, False)
    await card.wait_for(state="detached")
    assert (await rgba(page))[..., 3].max() == 0
    async with asyncio.timeout(PATIENCE_S):
        while run.viewers >= shown:
            await asyncio.sleep(0.05)
    await page.evaluate(say, True)
    await card.wait_for()
    run.unpin("1001")
    await card.wait_for(state="detached")


@pytest.mark.parametrize(("viewport", "scheme"), [((360, 740), "light"), ((1440, 900), "dark")])
async def test_the_controller_is_told_the_number_to_press(
    visit: Open, run: Run, viewport: tuple[int, int], scheme: str
) -> None:
    page = await visit("controller", viewport, color_scheme=scheme, permissions=["clipboard-read", "clipboard-write"])
    slots = page.get_by_label("每行一个")
    await page.get_by_text("现在没有要讲解的商品").wait_for()
    await slots.fill("序号\t货号\n7\t1001\n7\tzh\n9\tnobody")
    await page.get_by_role("button", name="保存").click()
    bad = page.locator("#bad li")
    await bad.nth(1).wait_for()
    assert await bad.all_inner_texts() == ["第 3 行：序号 7 已在第 2 行", "第 4 行：没有货号为 'nobody' 的商品"]
    await slots.fill("7\t1001\n12\tzh")
    await page.get_by_role("button", name="保存").click()
    await page.get_by_text("已保存 2 个序号").wait_for()
    assert await bad.count() == 0
    run.pin("zh")
    await page.locator("#slot", has_text="№12").wait_for()
    run.pin("1001")
    await page.locator("#slot", has_text="№7").wait_for()
    assert (await page.title()).startswith("№7 玫瑰口红 07")
    await page.locator("#before li", has_text="№12").wait_for()
    await page.locator("body").click(position={"x": 2, "y": 2})
    await page.keyboard.press("c")
    await page.get_by_text("已复制 1001").wait_for()
    assert await page.evaluate("navigator.clipboard.readText()") == "1001"
    left = page.locator("#left")
    await left.get_by_text("还有 27 秒").wait_for()
    await page.keyboard.press("Space")
    await left.get_by_text("还有 30 秒").wait_for()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = await page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea')]
             .filter(element => element.offsetHeight < 44 || element.offsetWidth < 44).map(each => each.outerHTML)"""
    )
    assert small == []
    for _ in ("中文", "English"):
        await axe_finds_nothing(page)
        await page.locator("#language").click()
    run.unpin("1001")
    await page.get_by_text("现在没有要讲解的商品").wait_for()


async def test_firefox_draws_the_overlay_and_the_controllers_page(run: Run, tmp_path: Path) -> None:
    run.pin("zh")
    card = "document.querySelector('live-cart')?.shadowRoot.querySelector('.place:not([inert]):not([hidden]) .card')"
    async with firefox(tmp_path) as page:
        viewport = (1080, 1920)
        await page.goto(f"{run.url}/rooms/room-1/overlay?position=lower-left", viewport)
        await page.wait_for(f"{card}?.checkVisibility()")
        box = json.loads(await page.evaluate(f"JSON.stringify({card}.getBoundingClientRect())"))
        place = [side * share for side, share in zip(viewport * 2, share_box("lower-left", *viewport), strict=True)]
        assert _is_inside((box["left"], box["top"], box["right"], box["bottom"]), place)
        assert await page.evaluate(f"{card}.querySelector('.price').innerText.includes('¥1,299.00')")
        await page.screenshot(tmp_path / "overlay.png")
        await page.goto(f"{run.url}/rooms/room-1/controller")
        await page.wait_for("document.body.innerText.includes('好欢螺')")
        await page.screenshot(tmp_path / "controller.png")
        assert page.errors == []
    run.unpin("zh")


async def test_it_is_blank_within_three_seconds_of_the_servers_death(visit: Open, run: Run) -> None:
    run.pin("1001")
    page = await visit("overlay")
    card = page.locator(CARD)
    await card.wait_for()

    async def is_blank() -> bool:
        return await card.count() == 0

    run.process.send_signal(signal.SIGSTOP)
    try:
        assert await until(is_blank, 10) < 3
    finally:
        run.process.send_signal(signal.SIGCONT)
    await card.wait_for()
    run.process.kill()
    assert await until(is_blank, 10) < 3
    assert (await rgba(page))[..., 3].max() == 0
