"""The viewer's element in a real browser: its card beside the product, on the stream's clock, and for everybody."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browsing import axe_source
from tests.e2e.firefox import firefox
from tests.e2e.viewer_page import FRAME_HEIGHT, FRAME_WIDTH, FakeHub, served
from tests.e2e.viewer_visits import CARD, VIEWPORTS, Open, expect, gone, pass_by, settled
from tests.waiting import until

pytest.importorskip("playwright.async_api", reason="playwright is not installed: make setup")

pytestmark = pytest.mark.asyncio(loop_scope="session")


#: Lines that leave the element. The text's own rectangles: what flows out of an element does not make it larger.
OUTSIDE = """element => {
    const range = document.createRange(), box = element.getBoundingClientRect()
    return [...element.querySelectorAll('.cost :not(.unseen), .buy')].flatMap(inner => {
        range.selectNodeContents(inner)
        return [...range.getClientRects()].filter(r => r.right > box.right || r.bottom > box.bottom)
    }).length
}"""
SELLING = {
    "usual_price": "1079.00", "sale_ends_at_s": 4e9, "stock_left": 3, "coupon": "满 200 减 20", "limit_per_buyer": 2,
}  # fmt: skip


async def box_of(locator: Any) -> tuple[float, float, float, float]:
    box = await (await expect(locator)).bounding_box()
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


async def on_screen(page: Any, boxes: list[list[float]], fit: str) -> list[tuple[float, float, float, float]]:
    """Where boxes of the stream's picture are in the window: reckoned here, not by the element."""
    left, top, right, bottom = await box_of(page.locator("#stream"))
    scales = ((right - left) / FRAME_WIDTH, (bottom - top) / FRAME_HEIGHT)
    scale = min(scales) if fit == "contain" else max(scales)
    x0 = (left + right - FRAME_WIDTH * scale) / 2
    y0 = (top + bottom - FRAME_HEIGHT * scale) / 2
    return [(x0 + x1 * scale, y0 + y1 * scale, x0 + x2 * scale, y0 + y2 * scale) for x1, y1, x2, y2 in boxes]


def overlap_px2(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    # Places are whole pixels, boxes are not: half a pixel is no overlap.
    return width * height if width > 0.5 and height > 0.5 else 0.0


@pytest.mark.parametrize(("viewport", "fit"), list(zip(VIEWPORTS, ("cover", "contain", "cover"), strict=True)))
async def test_card_stands_beside_the_product_and_off_faces(
    visit: Open, hub: FakeHub, viewport: tuple[int, int], fit: str
) -> None:
    page = await visit(viewport=viewport, fit=fit)
    box, face = [280.0, 620.0, 440.0, 900.0], [260.0, 420.0, 460.0, 600.0]
    await hub.publish("card", "a", box=box, avoid=[face])
    card = page.locator(CARD)
    await expect(card)
    await settled(page)
    shown = await box_of(card)
    kept_clear = [*await on_screen(page, [box, face], fit), await box_of(page.locator(".caption"))]
    assert [overlap_px2(shown, area) for area in kept_clear] == [0, 0, 0]
    video = await box_of(page.locator("#stream"))
    assert min(shown[0] - video[0], shown[1] - video[1], video[2] - shown[2], video[3] - shown[3]) >= -0.5
    assert await page.locator(".place").get_attribute("data-placement") == "free"


async def test_card_comes_with_its_frame_moves_and_leaves(visit: Open, hub: FakeHub) -> None:
    page = await visit(clock="pts", clock_offset="1")
    for kind, pts_s, box in (
        ("card", 2.0, [260, 100, 460, 300]),
        ("update", 3.0, [260, 950, 460, 1150]),
        ("withdraw", 4.0, None),
    ):
        await hub.publish(kind, "a", pts_s=pts_s, box=box)
    seen = await page.evaluate(
        """() => new Promise(resolve => {
          const video = document.querySelector('video'), root = document.querySelector('live-cart').shadowRoot
          const seen = {}, now = () => video.currentTime
          const look = (_, frame) => {
            const place = root.querySelector('.place:not([inert]):not([hidden])')
            const x = place?.style.transform
            if (place && seen.card === undefined) { seen.card = frame.mediaTime; seen.at = x }
            if (place && seen.update === undefined && seen.at !== x) seen.update = frame.mediaTime
            if (!place && seen.card !== undefined) { seen.withdraw = frame.mediaTime; return resolve(seen) }
            video.requestVideoFrameCallback(look)
          }
          video.requestVideoFrameCallback(look)
          video.play()
        })"""
    )
    # In time of the stream, not of this machine: currentTime is 1 s after pts_s, and 300 ms is what may be waited.
    for kind, due_s in (("card", 3.0), ("update", 4.0), ("withdraw", 5.0)):
        assert due_s - 0.03 <= seen[kind] <= due_s + 0.3, seen


@pytest.mark.parametrize(("viewport", "lang"), [(VIEWPORTS[0], "zh-CN"), ((360, 800), "en"), ((1280, 800), "en")])
async def test_a_sale_and_its_terms_stay_inside_card_and_tray(
    visit: Open, hub: FakeHub, viewport: tuple[int, int], lang: str
) -> None:
    page = await visit(viewport=viewport, lang=lang)
    await hub.publish("card", "a", price="59.90", selling=SELLING)
    await hub.publish("card", "b", price="59.90", selling=SELLING | {"coupon": "券" * 40})
    await expect(page.locator(CARD))
    await settled(page)
    assert await page.locator(f"{CARD} s").inner_text() == "¥1,079.00"
    assert await page.locator(CARD).evaluate(OUTSIDE) == 0
    await page.locator(".tray-button").click()
    await expect(page.locator(".tray"))
    assert await page.locator(".tray .terms").count() == 1
    assert await page.locator(".tray").evaluate(OUTSIDE) == 0


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)></script>", "W" * 10_000])
async def test_whatever_a_shop_writes_stays_inside_the_card(visit: Open, hub: FakeHub, name: str) -> None:
    page = await visit()
    await hub.publish("card", "a", name=name, price="999999999999.9999", currency="<b>" * 2000)
    await expect(page.locator(CARD))
    assert await page.locator(CARD).evaluate(OUTSIDE) == 0
    assert await page.locator(f"{CARD} .name").inner_text() != ""
    assert await page.locator("img, b").count() == 0


async def full_screen(page: Any, selector: str) -> None:
    button = page.locator("#fullscreen")
    await button.evaluate(
        "(button, selector) => { button.onclick = () => document.querySelector(selector).requestFullscreen() }",
        selector,
    )
    await button.click()
    await page.evaluate(
        """() => document.fullscreenElement ||
             new Promise(done => document.addEventListener('fullscreenchange', () => requestAnimationFrame(done)))"""
    )


async def test_full_screen_of_a_container(visit: Open, hub: FakeHub) -> None:
    page = await visit()
    await hub.publish("card", "a", box=(box := [260.0, 560.0, 460.0, 900.0]))
    await expect(page.locator(CARD))
    await full_screen(page, ".frame")
    await settled(page)
    [product] = await on_screen(page, [box], "contain")
    assert overlap_px2(await box_of(page.locator(CARD)), product) == 0
    await page.locator(CARD).get_by_role("button", name="关闭").click()
    await gone(page.locator(CARD))


async def test_in_full_screen_of_the_video_alone_a_card_waits(visit: Open, hub: FakeHub) -> None:
    page = await visit(dismiss_after="3")
    await full_screen(page, "video")
    await hub.publish("card", "a")
    await pass_by(page, 3.5)
    assert hub.feedback == [], "it was counted as seen"
    await page.evaluate("document.exitFullscreen()")
    await expect(page.locator(CARD))


async def test_follows_the_video_when_the_window_changes(visit: Open, hub: FakeHub) -> None:
    page = await visit()
    box = [260.0, 560.0, 460.0, 900.0]
    await hub.publish("card", "a", box=box)
    await expect(page.locator(CARD))
    for width, height in [(820, 1180), (360, 800), (1440, 900)]:
        await page.set_viewport_size({"width": width, "height": height})
        await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        await settled(page)
        [product] = await on_screen(page, [box], "contain")
        assert overlap_px2(await box_of(page.locator(CARD)), product) == 0


async def test_keyboard_alone(visit: Open, hub: FakeHub) -> None:
    page = await visit(dismiss_after="3")
    await hub.publish("card", "a")
    await expect(page.locator(CARD))
    focused = "document.querySelector('live-cart').shadowRoot.activeElement?.className"
    reached = []
    for _ in range(3):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate(focused))
    assert reached == ["buy", "more", "close"]
    await pass_by(page, 3.5)
    assert await page.locator(CARD).count() == 1, "it left under the focus"
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    assert (
        await page.evaluate("document.querySelector('live-cart').shadowRoot.activeElement.textContent")
        == "不是这个商品"
    )
    await page.keyboard.press("Escape")
    assert await page.evaluate(focused) == "more"
    await page.keyboard.press("Escape")
    await gone(page.locator(CARD))
    assert await page.evaluate(focused) == "tray-button"


async def test_less_motion_for_who_asks_for_it(visit: Open, hub: FakeHub) -> None:
    page = await visit(context={"reduced_motion": "reduce"})
    await hub.publish("card", "a")
    await expect(page.locator(CARD))
    moving = "() => document.querySelector('live-cart').shadowRoot.getAnimations().length"
    assert await page.evaluate(moving) == 0
    await hub.publish("update", "a", box=[20.0, 560.0, 120.0, 900.0])
    await page.keyboard.press("Escape")
    assert await page.evaluate(moving) == 0
    assert await page.locator(".place").count() == 0


async def test_targets_are_large_enough(visit: Open, hub: FakeHub) -> None:
    page = await visit(viewport=(360, 800))
    for number in range(2):
        await hub.publish("card", str(number))
    await expect(page.locator(CARD))
    measure = """() => [...document.querySelector('live-cart').shadowRoot.querySelectorAll('button, a')]
        .filter(element => element.checkVisibility())
        .map(element => [element.className, element.offsetWidth, element.offsetHeight])"""
    sizes = await page.evaluate(measure)
    await page.get_by_role("button", name="更多选项").click()
    sizes += await page.evaluate(measure)
    await page.keyboard.press("Escape")
    await page.locator(".tray-button").click()
    sizes += await page.evaluate(measure)
    assert len(sizes) > 10
    assert [size for size in sizes if size[1] < 44 or size[2] < 44] == []


@pytest.mark.parametrize(("scheme", "lang"), [("light", "zh-CN"), ("dark", "en")])
async def test_axe_finds_nothing(visit: Open, hub: FakeHub, scheme: str, lang: str) -> None:
    page = await visit(context={"color_scheme": scheme}, lang=lang)
    for number in range(8):
        await hub.publish("card", str(number), sku=str(number), is_from_price=number == 1, selling=SELLING)
    await expect(page.locator(CARD))
    await page.evaluate(axe_source())
    steps = [None, f"{CARD} .more", f"{CARD} .menu button:last-child", ".tray-button"]
    for step in steps:
        if step:
            await page.locator(step).click()
        await settled(page)
        found = await page.evaluate("async () => (await axe.run()).violations")
        assert found == [], json.dumps([[v["id"], [n["html"] for n in v["nodes"]]] for v in found], ensure_ascii=False)


async def test_firefox_shows_the_card_and_says_that_it_was_closed(
    hub: FakeHub, viewer_script: Path, viewer_stream: Path, tmp_path: Path
) -> None:
    card = "document.querySelector('live-cart').shadowRoot.querySelector('.place:not([inert]) .card')"
    async with served(hub, viewer_script, viewer_stream) as address, firefox(tmp_path) as page:
        await page.goto(address)
        await until(lambda: hub.connected)
        await hub.publish("card", "a")
        await page.wait_for(f"{card}?.checkVisibility()")
        await page.screenshot(tmp_path / "viewer.png")
        assert "螺蛳粉" in await page.evaluate(f"{card}.innerText")
        await page.evaluate(f"{card}.querySelector('.close').click()")
        await page.wait_for(f"!{card}")
        await until(lambda: ("close", "a") in hub.feedback)
        assert page.errors == []
