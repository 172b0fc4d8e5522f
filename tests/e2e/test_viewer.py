"""The viewer's element in a real browser: on its clock, in its place, with its manners."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from browsing import axe_source, build_element
from viewer_page import FRAME_HEIGHT, FRAME_WIDTH, FakeHub, served, write_stream

pytest.importorskip("playwright.async_api", reason="playwright is not installed: make setup")

VIEWPORTS = [(360, 800), (820, 1180), (1440, 900)]
CARD = ".place:not([inert]) .card"
#: Patience with a busy machine; nothing here measures speed.
PATIENCE_S = 60.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The element as the sources are now."""
    return build_element(tmp_path_factory.mktemp("viewer"))


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stream") / "stream.webm"
    write_stream(path)
    return path


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_source()


Open = Callable[..., Awaitable[Any]]


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Any, hub: FakeHub, script: Path, stream: Path) -> AsyncIterator[Open]:
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


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)


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


@pytest.mark.parametrize("fit", ["contain", "cover"])
@pytest.mark.parametrize("viewport", VIEWPORTS)
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


async def test_late_joiner_gets_what_is_current(visit: Open, hub: FakeHub) -> None:
    await hub.publish("card", "gone")
    await hub.publish("withdraw", "gone")
    await hub.publish("card", "now", name="现在的商品")
    page = await visit()
    await expect(page.locator(CARD).get_by_text("现在的商品"))
    assert await page.locator(".place").count() == 1


async def test_close_is_for_good_and_is_reported(visit: Open, hub: FakeHub) -> None:
    page = await visit()
    await hub.publish("card", "a", sku="1001")
    await (await expect(page.locator(CARD))).get_by_role("button", name="关闭").click()
    await gone(page.locator(CARD))
    await hub.publish("card", "b", sku="1001")
    await hub.publish("card", "c", sku="1002", name="另一件")
    await expect(page.locator(CARD).get_by_text("另一件"))
    await until(lambda: ("close", "a") in hub.feedback)
    assert [event for event in hub.feedback if event[1] == "a"] == [("impression", "a"), ("close", "a"), ("dwell", "a")]
    # Of this tab's session, not of this page only.
    await page.reload()
    await hub.publish("withdraw", "c")
    await expect(page.get_by_role("button", name="本场商品"))
    await gone(page.locator(CARD))


async def test_buy_opens_the_shop_and_tells_it_nothing(visit: Open, hub: FakeHub) -> None:
    page = await visit()
    await page.context.route("https://shop.example.com/**", lambda route: route.fulfill(body="shop"))
    await hub.publish("card", "a")
    async with page.context.expect_page() as opened:
        await page.locator(CARD).get_by_role("link", name="去购买").click()
    shop = await opened.value
    await shop.wait_for_load_state()
    assert shop.url == "https://shop.example.com/item/1001"
    assert await shop.evaluate("[window.opener, document.referrer]") == [None, ""]
    await until(lambda: ("click", "a") in hub.feedback)


async def test_stays_under_the_pointer_and_leaves_without(visit: Open, hub: FakeHub) -> None:
    page = await visit(dismiss_after="3")
    await hub.publish("card", "a")
    await (await expect(page.locator(CARD))).hover()
    await hub.publish("withdraw", "a", reason="gone")
    await pass_by(page, 3.5)
    assert await page.locator(CARD).count() == 1
    await page.mouse.move(0, 0)
    await gone(page.locator(CARD))
    await hub.publish("card", "b")
    await expect(page.locator(CARD))
    await pass_by(page, 3.5)
    await gone(page.locator(CARD))
    assert await page.locator(".count").text_content() == "2"


async def test_touch_holds_the_card(visit: Open, hub: FakeHub) -> None:
    page = await visit(viewport=(360, 800), context={"has_touch": True, "is_mobile": True}, dismiss_after="3")
    await hub.publish("card", "a")
    await (await expect(page.locator(CARD))).locator(".name").tap()
    await pass_by(page, 3.5)
    assert await page.locator(CARD).count() == 1
    await page.touchscreen.tap(5, 795)
    await pass_by(page, 3.5)
    await gone(page.locator(CARD))


async def test_one_card_at_a_time_the_others_in_the_tray(visit: Open, hub: FakeHub) -> None:
    page = await visit()
    for number in range(3):
        await hub.publish("card", str(number), sku=str(number), name=f"商品{number}")
    await expect(page.locator(CARD).get_by_text("商品2"))
    assert await page.locator(CARD).count() == 1
    button = page.get_by_role("button", name="本场商品，共 2 件")
    await button.click()
    tray = await expect(page.get_by_role("dialog", name="本场商品"))
    assert await tray.locator("li .name").all_text_contents() == ["商品1", "商品0"]
    await tray.get_by_role("button", name="不是这个商品：商品1").click()
    assert await tray.locator("li .name").all_text_contents() == ["商品0"]
    await page.keyboard.press("Escape")
    assert await tray.count() == 0
    assert (
        await page.evaluate("document.querySelector('live-cart').shadowRoot.activeElement.className") == "tray-button"
    )
    await until(lambda: ("wrong", "1") in hub.feedback)


async def test_mute_for_this_show(visit: Open, hub: FakeHub) -> None:
    page = await visit()
    await hub.publish("card", "a")
    card = await expect(page.locator(CARD))
    await card.get_by_role("button", name="更多选项").click()
    await card.get_by_role("button", name="本场不再弹出").click()
    await gone(page.locator(CARD))
    await hub.publish("card", "b")
    await page.get_by_role("button", name="本场商品，共 2 件").click()
    assert await page.locator(CARD).count() == 0
    await page.get_by_role("button", name="恢复弹出").click()
    await page.keyboard.press("Escape")
    await expect(page.locator(CARD))


async def test_wrong_product_is_reported_and_stays_away(visit: Open, hub: FakeHub) -> None:
    page = await visit(lang="en")
    await hub.publish("card", "a", sku="1001")
    card = await expect(page.locator(CARD))
    assert await card.locator(".reason").text_content() == "Recognised on screen"
    await card.get_by_role("button", name="More options").click()
    await card.get_by_role("button", name="Not this product").click()
    await hub.publish("card", "b", sku="1001")
    await hub.publish("card", "c", sku="1002", name="other")
    await expect(page.locator(CARD).get_by_text("other"))
    await until(lambda: ("wrong", "a") in hub.feedback)


async def test_reconnects_and_resumes(visit: Open, hub: FakeHub) -> None:
    page = await visit()
    first = await hub.publish("card", "a")
    await expect(page.locator(CARD))
    hub.acknowledges = False
    await until(lambda: len(hub.batches) == 1)
    await hub.drop()
    await until(lambda: hub.connected == 0)
    hub.acknowledges = True
    await hub.publish("withdraw", "a", reason="gone")
    await hub.publish("card", "missed", name="断线时的商品")
    await expect(page.locator(CARD).get_by_text("断线时的商品"))
    assert [query.get("after") for query in hub.queries] == [None, str(first["event_id"])]
    await until(lambda: len(hub.batches) >= 2)
    assert hub.batches[0] == hub.batches[1]


async def test_gap_is_filled_by_what_is_current(visit: Open, hub: FakeHub) -> None:
    page = await visit()
    await hub.publish("card", "a")
    await expect(page.locator(CARD))
    # The viewer is told neither of the withdrawal nor of the new card.
    hub.current = {"b": hub.event("card", "b", name="新商品", event_id=9)}
    await hub.say({"type": "gap"})
    await expect(page.locator(CARD).get_by_text("新商品"))


async def test_server_sent_events_do_as_well(visit: Open, hub: FakeHub) -> None:
    page = await visit(transport="eventsource")
    await hub.publish("card", "a")
    await (await expect(page.locator(CARD))).get_by_role("button", name="关闭").click()
    await until(lambda: ("close", "a") in hub.feedback)
    # A stream has no end of its own: the page has to be gone before the hub can.
    await page.close()


async def test_refused_ticket_is_told_to_the_page(visit: Open, hub: FakeHub) -> None:
    page = await visit(ticket="old")
    told = asyncio.create_task(
        page.evaluate(
            """() => new Promise(resolve =>
                 document.addEventListener('livecart-problem', ({detail}) => resolve(detail)))"""
        )
    )
    await asyncio.sleep(0.1)
    await hub.drop(4401)
    assert (await told)["problem"] == "ticket"
    await page.locator("live-cart").evaluate("element => { element.ticket = 'new' }")
    await until(lambda: [query.get("ticket") for query in hub.queries] == ["old", "new"])


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


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)></script>", "W" * 10_000, "e" + "\u0301" * 300, "a\n" * 50]
)
async def test_whatever_a_shop_writes_stays_inside_the_card(visit: Open, hub: FakeHub, name: str) -> None:
    page = await visit()
    await hub.publish("card", "a", name=name, price="999999999999.9999", currency="<b>" * 2000)
    await expect(page.locator(CARD))
    # The text's own rectangles: what flows out of an element does not make it larger.
    outside = """card => {
        const range = document.createRange(), box = card.getBoundingClientRect()
        return [...card.querySelectorAll('.price *, .buy')].flatMap(element => {
            range.selectNodeContents(element)
            return [...range.getClientRects()].filter(r => r.right > box.right || r.bottom > box.bottom)
        }).length
    }"""
    assert await page.locator(CARD).evaluate(outside) == 0
    assert await page.locator(f"{CARD} .name").inner_text() != ""
    assert await page.locator("img, b").count() == 0


@pytest.mark.parametrize("viewport", VIEWPORTS)
async def test_targets_are_large_enough(visit: Open, hub: FakeHub, viewport: tuple[int, int]) -> None:
    page = await visit(viewport=viewport)
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["zh-CN", "en"])
async def test_axe_finds_nothing(visit: Open, hub: FakeHub, axe: str, scheme: str, lang: str) -> None:
    page = await visit(context={"color_scheme": scheme}, lang=lang)
    for number in range(8):
        await hub.publish("card", str(number), sku=str(number))
    await expect(page.locator(CARD))
    await page.evaluate(axe)
    steps = [None, f"{CARD} .more", f"{CARD} .menu button:last-child", ".tray-button"]
    for step in steps:
        if step:
            await page.locator(step).click()
        await settled(page)
        found = await page.evaluate("async () => (await axe.run()).violations")
        assert found == [], json.dumps([[v["id"], [n["html"] for n in v["nodes"]]] for v in found], ensure_ascii=False)


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
