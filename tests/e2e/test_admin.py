"""The staff's pages in a real browser, at phone and desktop width: from signing in to what is seen in a photo."""

import socket
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from contract.catalog import Variant
from livecart.shop.repositories import photos, products, reviews, rooms
from tests.e2e.browsing import axe_source, chromium
from tests.shop.admin_pages import SHOP, Pages, detection, pages
from tests.shop.catalog_stores import patch
from tests.shop.photo_files import photo

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make setup")

SIZES = {"phone": (360, 800), "desktop": (1280, 900)}
PATHS = [
    "/",
    "/products/list",
    "/products/create",
    "/products/edit?pk=1001",
    "/photos?sku=1001",
    "/rooms/list",
    "/rooms/edit?pk=room-1",
    "/live",
    "/reviews",
    "/figures",
    "/sync",
    "/audit/list",
    "/access",
]
LONG = "农夫山泉东方树叶青柑普洱茶饮料无糖零卡零脂零糖整箱装 500ml×15瓶 " * 3


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pages, str]]:
    """Pages with something on each, and their address."""
    with pages(tmp_path_factory.mktemp("admin")) as opened:
        _fill(opened)
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(opened.app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield opened, f"http://127.0.0.1:{listening.getsockname()[1]}/admin"
        finally:
            server.should_exit = True
            thread.join(10)
            listening.close()


def _fill(site: Pages) -> None:
    with site.service.store.write("setup") as session:
        rooms.save(session, "room-1", "零食专场")
        for number in range(30):
            name = LONG[:200] if number % 3 == 0 else f"好欢螺螺蛳粉 {number}"
            extra = {"price": Decimal("12.90"), "currency": "CNY", "stock": number % 4, "rooms": ("room-1",)}
            if number == 0:
                prices = zip(("红色 M", "红色 L"), (Decimal("59.00"), Decimal("69.00")), strict=True)
                extra["variants"] = tuple(Variant(sku=name, name=name, price=price) for name, price in prices)
            products.create(session, patch(str(1001 + number), name=name, **extra))
        photos.add(session, site.service.photos, "1001", photo(1, width_px=480, height_px=640), name="front.jpg")
        for number in range(3):
            crop = photo(50 + number, width_px=200, height_px=300)
            reviews.submit(session, site.service.crops, crop, reason="low_margin", room="room-1", sku="1001")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium())
        yield launched
        launched.close()


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Any) -> Iterator[Any]:
    """A phone's page, or of the size asked for; it notes every complaint: refused scripts, faults, missing files."""
    width, height = SIZES[getattr(request, "param", "phone")]
    context = browser.new_context(viewport={"width": width, "height": height})
    opened = context.new_page()
    opened.complaints = []
    opened.on("console", lambda said: said.type == "error" and opened.complaints.append(said.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    yield opened
    context.close()


def sign_in(page: Any, address: str, token: str) -> None:
    page.goto(f"{address}/")
    page.get_by_label("访问令牌").fill(token)
    page.get_by_role("button", name="登录").click()
    page.wait_for_url(f"{address}/")


def test_from_signing_in_to_a_look_alike(site: tuple[Pages, str], page: Any, tmp_path: Path) -> None:
    pages_, address = site
    sku = "new-1"
    pages_.recogniser.products = (detection("1001", "加辣加臭螺蛳粉", 0.97, threshold=0.95),)
    picture = tmp_path / "front.jpg"
    picture.write_bytes(photo(360, width_px=300, height_px=400))

    sign_in(page, address, pages_.tokens["edit"])
    page.goto(f"{address}/products/list")
    page.get_by_role("link", name="新增商品").click()
    page.get_by_label("货号").fill(sku)
    page.get_by_label("商品名称").fill("新品 <b>螺蛳粉</b> 300g")
    page.get_by_label("购买链接").fill(f"https://{SHOP}/item/{sku}")
    page.get_by_label("价格").fill("15.80")
    page.get_by_label("库存").fill("20")
    page.get_by_role("button", name="保存并继续编辑").click()
    page.wait_for_url("**/products/edit?**")
    assert page.get_by_text("添加成功").count() or page.get_by_text(sku).count()

    page.get_by_role("link", name="照片 0").click()
    page.get_by_label("上传照片").set_input_files(str(picture))
    page.get_by_role("button", name="上传", exact=True).click()
    # It is looked at without being asked for.
    warning = page.locator('[data-lc-verdict="confused"]')
    warning.wait_for(timeout=10_000)
    assert "无法区分" in warning.inner_text()
    assert page.locator("svg .lc-box").count() == 1
    assert page.get_by_text("好欢螺", exact=True).count() == 1

    with pages_.service.store.read() as session:
        made = products.get(session, sku)
    assert (made.name, str(made.price), made.stock, len(made.photos)) == ("新品 <b>螺蛳粉</b> 300g", "15.80", 20, 1)
    # Words are tags; the switch decides about rooms.
    page.goto(f"{address}/products/edit?pk={sku}")
    words = page.locator("#words + .select2 input, #words + .select2 textarea").first
    words.fill("螺蛳粉")
    words.press("Enter")
    page.get_by_role("button", name="保存", exact=True).click()
    page.wait_for_url("**/products/list**")
    with pages_.service.store.read() as session:
        assert products.get(session, sku).words == ("螺蛳粉",)
    assert page.complaints == []


@pytest.mark.parametrize("page", SIZES, indirect=True)
def test_every_page_fits_and_is_accessible(site: tuple[Pages, str], page: Any) -> None:
    pages_, address = site
    pages_.recogniser.products = ()
    sign_in(page, address, pages_.tokens["admin"])
    axe = axe_source()
    for path in PATHS:
        page.goto(address + path)
        page.wait_for_load_state("networkidle")
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, (path, overflow)
        # On a desktop the same stands beside a menu, which is the same on every page.
        if page.viewport_size["width"] < 500 or path == "/":
            page.evaluate(axe)
            found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa']})")
            serious = [
                (violation["id"], violation["nodes"][0]["html"][:160])
                for violation in found["violations"]
                if violation["impact"] in {"serious", "critical"}
            ]
            assert serious == [], path
    assert page.complaints == []


def test_the_language_switch_and_signing_out(site: tuple[Pages, str], page: Any) -> None:
    pages_, address = site
    page.goto(f"{address}/login")
    page.get_by_role("link", name="English").click()
    page.get_by_label("Access token").fill("lc_wrong")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("The token is unknown, expired or revoked").wait_for()
    page.get_by_label("Access token").fill(pages_.tokens["read"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview").wait_for()
    page.get_by_label("Open user menu").locator("visible=true").click()
    page.get_by_role("button", name="Logout").locator("visible=true").click()
    page.get_by_label("Access token").wait_for()


def test_the_live_view_follows_and_acts(site: tuple[Pages, str], page: Any) -> None:
    pages_, address = site
    sign_in(page, address, pages_.tokens["edit"])
    page.goto(f"{address}/live")
    card = page.locator("[data-lc-room='room-1']")
    card.get_by_text("1001 ·").wait_for()
    before, pages_.rooms.shown = pages_.rooms.shown, []
    try:
        page.get_by_text("现在没有直播间在运行").wait_for(timeout=8_000)
    finally:
        pages_.rooms.shown = before
    card.get_by_role("button", name="撤下").first.wait_for(timeout=8_000)
    pages_.rooms.asked.clear()
    card.get_by_role("button", name="撤下").first.click()
    page.wait_for_url(f"{address}/live")
    assert pages_.rooms.asked == [("withdraw", "room-1", "1001")]
    assert page.complaints == []


def test_a_slow_save_meets_a_faster_one(site: tuple[Pages, str], page: Any) -> None:
    pages_, address = site
    sku = "1005"
    mine = "我改的"
    sign_in(page, address, pages_.tokens["edit"])
    page.goto(f"{address}/products/edit?pk={sku}")
    with pages_.service.store.write("till") as session:
        changed = patch(sku, name="别人改的")
        products.update(session, changed, expected_version=None)
    page.get_by_label("商品名称").fill(mine)
    page.get_by_role("button", name="保存", exact=True).click()
    page.get_by_text("对方已改为：别人改的").wait_for()
    assert page.get_by_label("商品名称").input_value() == mine
    page.get_by_role("button", name="保存", exact=True).click()
    page.wait_for_url("**/products/list**")
    with pages_.service.store.read() as session:
        assert products.get(session, sku).name == mine
    # The browser notes the 409 itself.
    assert all("409" in complaint for complaint in page.complaints)
