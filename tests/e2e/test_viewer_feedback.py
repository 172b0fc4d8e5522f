"""What a viewer does with cards in a real browser: close, buy, hold, mute, call wrong; and what the hub is told."""

import pytest

from tests.e2e.viewer_page import FakeHub
from tests.e2e.viewer_visits import CARD, Open, expect, gone, pass_by, until

pytest.importorskip("playwright.async_api", reason="playwright is not installed: make setup")

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
