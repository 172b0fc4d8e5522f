"""What viewers do with cards in a real browser, and its connection to the hub. The rest of both: viewer/test/."""

import asyncio

import pytest

from tests.e2e.viewer_page import FakeHub
from tests.e2e.viewer_visits import CARD, Open, expect, gone, pass_by
from tests.waiting import until

pytest.importorskip("playwright.async_api", reason="playwright is not installed: make setup")

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
