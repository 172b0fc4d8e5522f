"""Live cards, reviews, figures, sync, audit, tokens and hosts in the staff's pages; and both languages of all of it."""

import ast
import html
import re
from pathlib import Path

import msgspec
import pytest

from contract.uncertain_products import UNCERTAIN_PRODUCTS_FILE, UncertainProduct, UncertainProducts
from livecart.shop import admin
from livecart.shop.admin import texts
from livecart.shop.repositories import audit, hosts, products, reviews, tokens
from livecart.shop.sync import runs
from tests.shop.admin_pages import SHOP
from tests.shop.photo_files import photo

FOLDER = Path(admin.__file__).parent
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def test_live_cards_and_what_is_asked_of_them(site):
    client = site.client("edit")
    text = html.unescape(client.get("/live").text)
    assert "好欢螺螺蛳粉 1001" in text
    assert "已静音" in text
    site.rooms.asked.clear()
    for wish in ("pin", "unpin", "mute", "unmute", "withdraw"):
        assert client.post("/live/ask", {"room": "room-1", "sku": "1001", "wish": wish}).status_code == 303
    asked = [("unpin", "room-1"), ("mute", "room-1", "1001", 600.0), ("unmute", "room-1", "1001")]
    assert site.rooms.asked == [("pin", "room-1", "1001"), *asked, ("withdraw", "room-1", "1001")]
    with site.service.store.read() as session:
        noted = audit.latest(session, subject="live", limit=5)
    assert [(entry.who, entry.action, entry.name) for entry in noted][-1] == ("edit-person#2", "pin", "room-1")
    assert client.post("/live/ask", {"room": "none", "sku": "1", "wish": "pin"}).status_code == 303
    assert "该直播间已不存在" in client.get("/live").text
    for odd in ({"sku": "1", "wish": "explode"}, {"wish": "pin"}):
        assert client.post("/live/ask", {"room": "room-1", **odd}).status_code == 422


def test_what_the_photos_do_not_tell_stands_by_the_snapshot_with_what_would_help(site):
    plain = UncertainProduct(sku="1001", name="清水", kind="plain")
    alike = UncertainProduct(
        sku="1002", name="红茶", kind="alike", other_sku="1003", other_name="绿茶", words=("红茶",)
    )
    file = site.service.snapshots.folder / UNCERTAIN_PRODUCTS_FILE
    file.write_bytes(msgspec.json.encode(UncertainProducts(looked_at=40, found=2, products=(plain, alike))))
    text = html.unescape(site.client("read").get("/sync").text)
    file.unlink()
    assert "2 个商品凭照片和名称认不准" in text
    assert "请补一张能看到“红茶”的照片" in text
    assert "认不准" not in site.client("read").get("/sync").text


@pytest.mark.parametrize(
    ("decision", "sku", "state", "photo_of", "seed"),
    [
        ("approve", "", "approved", "1001", 101),
        ("correct", "1002", "corrected", "1002", 102),
        ("reject", "", "rejected", None, 103),
    ],
)
def test_a_crop_is_judged(site, decision, sku, state, photo_of, seed):
    with site.service.store.write("viewers") as session:
        crop = photo(seed)
        review = reviews.submit(session, site.service.crops, crop, reason="wrong_report", room="room-1", sku="1001")
    client = site.client("edit")
    assert f'data-lc-review="{review.id}"' in client.get("/reviews").text
    crop = client.get(f"/reviews/crop?id={review.id}")
    assert crop.headers["content-type"] == "image/jpeg"
    data = {"id": str(review.id), "version": str(review.version), "decision": decision, "sku": sku}
    assert client.post("/reviews/decide", data).status_code == 303
    with site.service.store.read() as session:
        decided = reviews.get(session, review.id)
        assert (decided.state, decided.decided_by) == (state, "edit-person#2")
        for one in ("1001", "1002"):
            has = review.crop_digest in {photo.digest for photo in products.get(session, one).photos}
            assert has == (one == photo_of)
    client.get("/reviews")
    for asked in ("999999", "x", "../1", ""):
        assert client.get(f"/reviews/crop?id={asked}").status_code == 404
    client.post("/reviews/decide", data)
    assert "已由 edit-person#2 处理" in html.unescape(client.get("/reviews").text)


def test_sync_runs_are_shown(site):
    with site.service.store.write("sync") as session:
        run = runs.begin(session, "shop-feed", "me")
        runs.finish(session, run.id, "me", "refused", "lacks <most> products")
    text = html.unescape(site.client("read").get("/sync").text)
    assert all(said in text for said in ("shop-feed", "已拒绝", "lacks <most> products", "由其他进程发布"))


def test_a_token_is_shown_once_and_works(site):
    client = site.client("admin")
    answer = client.post("/access/tokens/issue", {"name": "新同事", "role": "edit", "days": "30"})
    token = re.search(r"lc_[\w-]{43}", answer.text)
    assert token
    assert token.group(0) not in client.get("/access").text
    assert site.client().sign_in(token.group(0)).status_code == 303
    with site.service.store.read() as session:
        made = next(info for info in tokens.every(session) if info.name == "新同事")
    assert made.expires_at_s == pytest.approx(made.created_at_s + 30 * 86400)
    assert client.post("/access/tokens/revoke", {"id": str(made.id)}).status_code == 303
    assert site.client().sign_in(token.group(0)).status_code == 400
    for wrong in ({"role": "root"}, {"name": " "}, {"days": "-1"}, {"days": "soon"}, {"days": "99999999999"}):
        client.post("/access/tokens/issue", {"name": "x", "role": "read", **wrong})
        assert 'class="alert alert-dismissible' in client.get("/access").text
    with site.service.store.read() as session:
        own = next(token.id for token in tokens.every(session) if token.name == "admin-person")
    client.post("/access/tokens/revoke", {"id": str(own)})
    assert "不能撤销正在使用的令牌" in client.get("/access").text


def test_hosts_are_allowed_and_forbidden_but_no_wildcard_for_everybodys(site):
    client = site.client("admin")

    def allowed(pattern):
        client.post("/access/hosts/allow", {"pattern": pattern})
        with site.service.store.read() as session:
            return pattern.lower() in hosts.allowed(session), html.unescape(client.get("/access").text)

    assert allowed("*.Example.COM")[0]
    assert "域名格式不对" in allowed("no host/at all")[1]
    for pattern in ("*.com.cn", "*.github.io", "*.公司.cn", "*.co.uk:8443"):
        there, page = allowed(pattern)
        assert not there
        assert "公共后缀" in page
    client.post("/access/hosts/forbid", {"pattern": "*.example.com"})
    with site.service.store.read() as session:
        assert hosts.allowed(session) == (SHOP,)


# Both languages


def used_keys() -> set[str]:
    """Keys named in templates and modules; a key made up of parts stands there with its first part."""
    found = set()
    for path in FOLDER.rglob("*.html"):
        found |= set(re.findall(r"""\bt\(["'](\w+)["']""", path.read_text(encoding="utf-8")))
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in {"t", "later"}:
                found |= {first.value for first in node.args[:1] if isinstance(first, ast.Constant)}
    return found


def test_every_text_is_there_in_both_languages():
    assert {key for key in used_keys() if not key.endswith("_")} <= set(texts.TEXTS)
    for key, (chinese, english) in texts.TEXTS.items():
        assert english.strip(), key
        assert sorted(re.findall(r"\{\w+\}", chinese)) == sorted(re.findall(r"\{\w+\}", english)), key
        assert CHINESE.search(chinese) or key == "language_other", key
        assert not CHINESE.search(english) or key == "language_other", key


def test_no_template_holds_a_text_of_its_own():
    for path in FOLDER.rglob("*.html"):
        shown = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", path.read_text(encoding="utf-8"), flags=re.S)
        words = re.findall(r"[A-Za-z\u4e00-\u9fff]{3,}", shown)
        assert words == [], (path.name, words)


def test_the_switch_turns_the_whole_page(site):
    client, english = site.client("admin"), site.client("admin")
    english.http.cookies.set("language", "en", domain="admin.example")
    pages = ["/", "/products/list", "/products/create", "/rooms/create", "/live", "/reviews", "/figures", "/sync"]
    for path in [*pages, "/access"]:
        assert client.get(path, headers={"Accept-Language": "en"}).text.count('<html lang="zh"') == 1
        text = english.get(path).text
        assert '<html lang="en"' in text
        shown = html.unescape(re.sub(r"<script.*?</script>|<template.*?</template>|<[^>]*>", " ", text, flags=re.S))
        data = {"好欢螺螺蛳粉", "新同事", "中文"}
        assert [word for word in CHINESE.findall(shown) if not any(word in known for known in data)] == [], path
