"""The viewer's connection in a real browser: joining late, coming back, gaps, server-sent events, a refused ticket."""

import asyncio

import pytest

from tests.e2e.viewer_page import FakeHub
from tests.e2e.viewer_visits import CARD, Open, expect, until

pytest.importorskip("playwright.async_api", reason="playwright is not installed: make setup")

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_late_joiner_gets_what_is_current(visit: Open, hub: FakeHub) -> None:
    await hub.publish("card", "gone")
    await hub.publish("withdraw", "gone")
    await hub.publish("card", "now", name="现在的商品")
    page = await visit()
    await expect(page.locator(CARD).get_by_text("现在的商品"))
    assert await page.locator(".place").count() == 1


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
