"""The viewer's element for everybody, in a real browser: by keyboard alone, with less motion, by axe's rules."""

import json

import pytest

from tests.e2e.browsing import axe_source
from tests.e2e.viewer_page import FakeHub
from tests.e2e.viewer_visits import CARD, VIEWPORTS, Open, expect, gone, pass_by, settled

pytest.importorskip("playwright.async_api", reason="playwright is not installed: make setup")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_source()


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
