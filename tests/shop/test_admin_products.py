"""Products and rooms in the staff's pages: what is written, what is refused, what happens when two edit at once."""

import html
from contextlib import closing
from decimal import Decimal

import pytest

from livecart.shop.database.store import open_store
from livecart.shop.repositories import audit, product_rows, products, rooms
from livecart.shop.schemas.product import ProductPatch
from tests.shop.admin_pages import SHOP, Client, Pages, pages
from tests.shop.catalog_stores import add, change, empty_tables, link, patch

EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


@pytest.fixture
def site(fresh_site):
    return fresh_site


@pytest.fixture
def any_site(store_url, tmp_path):
    """On each database."""
    with closing(open_store(store_url)) as store:
        empty_tables(store)
    with pages(tmp_path, url=store_url) as opened:
        yield opened


def get(site: Pages, sku: str):
    with site.service.store.read() as session:
        return products.find(session, sku)


def create(site: Pages, *patches: ProductPatch) -> None:
    add(site.service.store, *patches)


def form(**values) -> dict:
    return {"name": "好欢螺螺蛳粉", "url": link("2001"), "on_sale": "on", "all_rooms": "on", **values}


def save(client: Client, sku: str, base: str, **values):
    return client.post(f"/products/edit?pk={sku}", {"base": base, **form(**values)})


def test_a_product_is_created_with_everything(site):
    answer = site.client("edit").post(
        "/products/create",
        {
            "sku": "2001", "brand": "好欢螺", "price": "12.90", "currency": "CNY", "stock": "40", "threshold": "0.9",
            "words": ["螺蛳粉", "柳州"], "labels": ["螺蛳粉"], "rooms": ["room-1"], "name": "螺蛳粉 300g",
            "url": link("2001"), "on_sale": "on",
            "variants": "2001-M | 大 | 中 | 12.90 | 40\r\n2001-L | 特大 | 15 |  | https://cdn.example.com/l.jpg",
            "coupon": "满 200 减 20", "limit_per_buyer": "2",
            "offers": f"douyin 37 {link('d')} slot=7\r\ntaobao 9 {link('t')} sku=8\r\n",
        },
    )  # fmt: skip
    assert answer.status_code == 303, html.unescape(answer.text)
    made = get(site, "2001")
    assert (made.name, made.brand, str(made.price), made.currency) == ("螺蛳粉 300g", "好欢螺", "12.90", "CNY")
    assert [(one.sku, one.name, str(one.price), one.stock) for one in made.variants] == [
        ("2001-M", "大 | 中", "12.90", 40),
        ("2001-L", "特大", "15", None),
    ]
    assert (made.stock, made.threshold, made.words, made.labels) == (None, 0.9, ("螺蛳粉", "柳州"), ("螺蛳粉",))
    assert (made.coupon, made.limit_per_buyer) == ("满 200 减 20", 2)
    assert (made.rooms, made.on_sale, made.source) == (("room-1",), True, None)
    assert [(one.platform, one.item_id, one.sku_id, one.slot) for one in made.offers] == [
        ("douyin", "37", None, 7),
        ("taobao", "9", "8", None),
    ]
    with site.service.store.read() as session:
        entry = audit.latest(session, name="2001")[0]
    assert (entry.who, entry.action) == ("edit-person#2", "create")
    taken = site.client("edit").post("/products/create", form(sku="2001"))
    assert taken.status_code == 409
    assert "货号已被占用：螺蛳粉 300g" in html.unescape(taken.text)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("url", "javascript:alert(1)", "只接受 https 链接"),
        ("url", "https://evil.example/1", "不在允许列表内"),
        ("price", "12,90", "请填写数字"),
        ("price", "1.23456", "小数不能超过 4 位"),
        ("currency", "rmb", "三个大写字母"),
        ("stock", "many", "请填写整数"),
        ("stock", "-3", "不在 0 到"),
        ("threshold", "1.5", "不在 0 到 1 之间"),
        ("name", "   ", "不能为空"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_in_chinese(site, field, value, said):
    answer = site.client("edit").post("/products/create", form(sku="2001", **{field: value}))
    assert answer.status_code == 422
    text = html.unescape(answer.text)
    error = text.split(f'id="{field}-error"', 1)
    assert len(error) == 2, text
    assert said in error[1][:300]
    # What was typed is still there.
    assert "好欢螺螺蛳粉" in text or field == "name"
    assert get(site, "2001") is None


def test_only_what_was_changed_is_written(site):
    create(site, patch("2001", stock=5, price=Decimal("12.90")))
    client = site.client("edit")
    base = client.base_of("/products/edit?pk=2001")
    with site.service.store.write("other") as session:
        # A photo added meanwhile is no conflict.
        products.touch(session, "2001")
    answer = save(client, "2001", base, name=get(site, "2001").name, price="13.50", stock="5")
    assert answer.status_code == 303
    with site.service.store.read() as session:
        entry = audit.latest(session, name="2001")[0]
    assert entry.after == {"price": "13.50"}


def test_two_editors_lose_nothing(site):
    create(site, patch("2001", stock=5, price=Decimal("12.90")))
    mine, theirs = site.client("edit"), site.client("admin")
    base = mine.base_of("/products/edit?pk=2001")
    name = get(site, "2001").name
    assert save(theirs, "2001", base, name=name, price="20.00", stock="7").status_code == 303

    answer = save(mine, "2001", base, name=name, price="11.00", stock="5")
    assert answer.status_code == 409
    text = html.unescape(answer.text)
    # Both values of what both changed, theirs of what only they changed.
    assert 'value="11.00"' in text
    assert "对方已改为：20.00" in text
    assert 'value="7"' in text
    assert "对方已改为：7" in text
    assert str(get(site, "2001").price) == "20.00"

    again = html.unescape(answer.text.split('name="base" value="')[1].split('"')[0])
    assert save(mine, "2001", again, name=name, price="11.00", stock="7").status_code == 303
    saved = get(site, "2001")
    assert (str(saved.price), saved.stock) == ("11.00", 7)


def test_a_form_that_was_refused_still_knows_what_it_was_made_from(site):
    create(site, patch("2001", stock=5))
    mine = site.client("edit")
    base = mine.base_of("/products/edit?pk=2001")
    change(site.service.store, "2001", stock=1)
    refused = save(mine, "2001", base, name="", stock="5")
    assert refused.status_code == 422
    kept = html.unescape(refused.text.split('name="base" value="')[1].split('"')[0])
    assert kept == base
    assert save(mine, "2001", kept, name="新名", stock="9").status_code == 409


@pytest.mark.parametrize("base", ["", "{}", '{"version": "x", "values": 3}', "\ud83d"])
def test_a_form_without_its_base_saves_nothing(site, base):
    create(site, patch("2001"))
    answer = save(site.client("edit"), "2001", base.encode("utf-8", "replace").decode(), name="新名")
    assert answer.status_code == 422
    assert get(site, "2001").version == 1


def test_lists_are_searched_filtered_and_sorted(any_site):
    site = any_site
    create(
        site,
        patch("1", name="便宜咖啡", price=Decimal(5), brand="A"),
        patch("2", name="贵咖啡", price=Decimal(50), brand="B", on_sale=False),
        patch("3", name="饼干", price=Decimal(20), stock=0, rooms=("room-1",)),
    )
    client = site.client("read")

    def skus(query: str) -> list[str]:
        text = client.get(f"/products/list?{query}").text
        return [part.split('"')[0] for part in text.split('<tr data-sa-pk="')[1:]]

    assert skus("sort=price__desc") == ["2", "3", "1"]
    assert skus("q=咖啡&sort=price__asc") == ["1", "2"]
    assert skus("filter=stock__sold_out") == ["3"]
    assert skus("filter=on_sale__off_sale") == ["2"]
    assert skus("filter=brand__is=A") == ["1"]
    assert skus("filter=brand__is=A,B") == []
    assert skus("filter=rooms__is=room-1") == ["3"]
    assert sorted(skus("filter=brand__is=A OR stock__sold_out")) == ["1", "3"]
    assert client.get("/products/list?filter=url__is=x").status_code == 400
    for query, total in (("q=饼干", 1), ("q=没有", 0), ("page=9", 3), ("", 3)):
        assert f"共 {total} 条" in client.get(f"/products/list?{query}").text
    # What is equal comes as it was added, or the other way round, over pages.
    added = [f"a{number:02}" for number in range(30)]
    create(site, *[patch(sku, name="茶", price=Decimal(5)) for sku in added])
    assert skus("q=茶&sort=price__asc&page=1") + skus("q=茶&sort=price__asc&page=2") == added
    assert skus("q=茶&sort=price__desc&page=1") + skus("q=茶&sort=price__desc&page=2") == added[::-1]


def test_others_may_write_between_the_parts_of_a_long_selection(site, monkeypatch):
    monkeypatch.setattr(product_rows, "CHUNK", 2)
    create(site, *(patch(str(number)) for number in range(5)))
    versions = [get(site, str(number)).version for number in range(5)]
    edit, parts = site.service.store.edit, []
    monkeypatch.setattr(type(site.service.store), "edit", lambda _, *given: parts.append(1) or edit(*given))
    # 9 was removed meanwhile.
    selected = "&".join(f"pks={number}" for number in (*range(5), 9))
    assert site.client("edit").post(f"/_api/products/action?name=off_sale&{selected}").status_code == 200
    found = [get(site, str(number)) for number in range(5)]
    assert not any(product.on_sale for product in found)
    assert [product.version for product in found] == [version + 1 for version in versions]
    assert get(site, "9") is None
    assert len(parts) == 3
    client = site.client("edit")
    assert client.post("/_api/products/action?name=on_sale&pks=1").status_code == 200
    assert get(site, "1").on_sale
    assert client.post("/_api/products/row-action?name=delete&pk=2").status_code == 200
    assert get(site, "2") is None
    assert client.post("/_api/products/row-action?name=delete&pk=2").status_code == 400


def test_names_are_text_everywhere(site):
    create(site, patch("1001", name=EVIL, brand=EVIL, words=(EVIL,)), patch("1002", name=EVIL))
    with site.service.store.write(EVIL[:60]) as session:
        rooms.save(session, "room-1", EVIL)
    client = site.client("admin")
    paths = ["/products/list", "/products/edit?pk=1001", "/photos?sku=1001", "/rooms/list", "/rooms/edit?pk=room-1"]
    paths += ["/live", "/figures", "/audit/list", f"/products/list?q={EVIL}", f"/photos?sku=1001&fresh={EVIL}"]
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text, path
        assert "<img src=x" not in answer.text, path


def test_skus_that_look_like_paths_or_scripts_are_only_names(site):
    odd = ["../../etc/passwd", "a/b?c=d&e#f", 'x"y', "a\\", "百分%41"]
    create(site, *(patch(sku, url=f"https://{SHOP}/item") for sku in odd))
    client = site.client("edit")
    assert client.get("/products/list").status_code == 200
    for sku in odd:
        answer = client.http.get("/admin/products/edit", params={"pk": sku}, follow_redirects=False)
        assert answer.status_code == 200, sku
        assert client.http.get("/admin/photos", params={"sku": sku}).status_code == 200
    assert client.get("/products/edit?pk=none").status_code == 404


def test_a_rooms_list_is_edited_and_conflicts_are_seen(site):
    create(site, patch("1"), patch("2"), patch("3"))
    client = site.client("edit")
    assert client.post("/rooms/create", {"name": "room-1", "title": "零食", "skus": "1\n2"}).status_code == 303
    base = client.base_of("/rooms/edit?pk=room-1")
    with site.service.store.write("other") as session:
        rooms.set_list(session, "room-1", ["1", "3"])
    answer = client.post("/rooms/edit?pk=room-1", {"base": base, "title": "零食", "skus": "1\r\n2\r\n"})
    assert answer.status_code == 409
    assert "对方已改为：1、3" in html.unescape(answer.text)
    again = html.unescape(answer.text.split('name="base" value="')[1].split('"')[0])
    saved = client.post("/rooms/edit?pk=room-1", {"base": again, "title": "零食专场", "skus": "2\n3"})
    assert saved.status_code == 303
    with site.service.store.read() as session:
        assert rooms.listed(session, "room-1") == ["2", "3"]
        assert rooms.every(session)[0].title == "零食专场"
    wrong = client.post(
        "/rooms/edit?pk=room-1", {"base": client.base_of("/rooms/edit?pk=room-1"), "title": "x", "skus": "9"}
    )
    assert wrong.status_code == 422
    assert "没有货号为 '9' 的商品" in html.unescape(wrong.text)
