"""Live cards, reviews, figures, sync, audit, tokens and hosts in the staff's pages; and both languages of all of it."""

import ast
import html
import re
from pathlib import Path

import msgspec
import pytest

from contract.doubts import DOUBTS_FILE, Doubt, Doubts
from livecart.shop import admin
from livecart.shop.admin import texts
from livecart.shop.repositories import audit, hosts, products, reviews, tokens
from livecart.shop.sync import runs
from tests.shop.admin_pages import room_view
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
    assert site.rooms.asked == [
        ("pin", "room-1", "1001"),
        ("unpin", "room-1"),
        ("mute", "room-1", "1001", 600.0),
        ("unmute", "room-1", "1001"),
        ("withdraw", "room-1", "1001"),
    ]
    with site.service.store.read() as session:
        noted = audit.latest(session, subject="live", limit=5)
    assert [(entry.who, entry.action, entry.name) for entry in noted][-1] == ("edit-person#2", "pin", "room-1")


def test_a_room_that_is_gone_is_said_and_odd_wishes_are_refused(site):
    client = site.client("edit")
    assert client.post("/live/ask", {"room": "none", "sku": "1", "wish": "pin"}).status_code == 303
    assert "该直播间已不存在" in client.get("/live").text
    assert client.post("/live/ask", {"room": "room-1", "sku": "1", "wish": "explode"}).status_code == 422
    assert client.post("/live/ask", {"room": "room-1", "wish": "pin"}).status_code == 422


def test_the_live_view_shows_every_state(site):
    client = site.client("read")
    states = ["connecting", "live", "stalled", "reconnecting", "ended", "closed"]
    before, site.rooms.shown = site.rooms.shown, [room_view(f"room-{state}", state=state) for state in states]
    try:
        text = client.get("/live/rooms").text
        assert all(texts.TEXTS[f"state_{state}"][0] in text for state in states)
    finally:
        site.rooms.shown = before


def test_what_the_photos_do_not_tell_stands_by_the_snapshot_with_what_would_help(site):
    doubts = Doubts(
        looked_at=40,
        found=2,
        products=(
            Doubt(sku="1001", name="清水", kind="plain"),
            Doubt(sku="1002", name="红茶", kind="alike", other_sku="1003", other_name="绿茶", words=("红茶",)),
        ),
    )
    file = site.service.snapshots.folder / DOUBTS_FILE
    file.write_bytes(msgspec.json.encode(doubts))
    try:
        text = html.unescape(site.client("read").get("/sync").text)
    finally:
        file.unlink()
    assert "2 个商品凭照片和名称认不准" in text
    assert "请补一张能看到“红茶”的照片" in text
    assert "认不准" not in site.client("read").get("/sync").text


def submit(site, seed: int) -> reviews.Review:
    with site.service.store.write("viewers") as session:
        review = reviews.submit(
            session, site.service.crops, photo(seed), reason="wrong_report", room="room-1", sku="1001"
        )
        assert review is not None
        return review


@pytest.mark.parametrize(
    ("decision", "sku", "state", "photo_of"),
    [("approve", "", "approved", "1001"), ("correct", "1002", "corrected", "1002"), ("reject", "", "rejected", None)],
)
def test_a_crop_is_judged(site, decision, sku, state, photo_of):
    review = submit(site, hash(decision) % 1000 + 100)
    client = site.client("edit")
    assert f'data-lc-review="{review.id}"' in client.get("/reviews").text
    crop = client.get(f"/reviews/crop?id={review.id}")
    assert crop.headers["content-type"] == "image/jpeg"
    data = {"id": str(review.id), "version": str(review.version), "decision": decision, "sku": sku}
    assert client.post("/reviews/decide", data).status_code == 303
    with site.service.store.read() as session:
        assert reviews.get(session, review.id).state == state
        assert reviews.get(session, review.id).decided_by == "edit-person#2"
        for one in ("1001", "1002"):
            has = review.crop_digest in {photo.digest for photo in products.get(session, one).photos}
            assert has == (one == photo_of)
    client.get("/reviews")
    client.post("/reviews/decide", data)
    assert "已由 edit-person#2 处理" in html.unescape(client.get("/reviews").text)


def test_an_unknown_crop_is_none(site):
    client = site.client("edit")
    for asked in ("999999", "x", "../1", ""):
        assert client.get(f"/reviews/crop?id={asked}").status_code == 404
    assert client.post("/reviews/decide", {"id": "x", "version": "1", "decision": "approve"}).status_code == 422


def test_sync_runs_are_shown(site):
    with site.service.store.write("sync") as session:
        run = runs.begin(session, "shop-feed", "me")
        assert run is not None
        runs.finish(session, run.id, "me", "refused", "lacks <most> products")
    text = html.unescape(site.client("read").get("/sync").text)
    assert "shop-feed" in text
    assert "已拒绝" in text
    assert "lacks <most> products" in text
    assert "由其他进程发布" in text


def test_the_audit_log_is_searched(site):
    client = site.client("read")
    text = html.unescape(client.get("/audit/list?q=1002").text)
    rows = text.split("<tr data-sa-pk=")[1:]
    assert rows
    assert all(">1002<" in re.sub(r"\s+", "", row) for row in rows)


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


def test_bad_tokens_and_ones_own_are_refused(site):
    client = site.client("admin")
    for wrong in ({"role": "root"}, {"name": " "}, {"days": "-1"}, {"days": "soon"}, {"days": "99999999999"}):
        client.post("/access/tokens/issue", {"name": "x", "role": "read", **wrong})
        assert 'class="alert alert-dismissible' in client.get("/access").text
    with site.service.store.read() as session:
        own = next(token.id for token in tokens.every(session) if token.name == "admin-person")
    client.post("/access/tokens/revoke", {"id": str(own)})
    assert "不能撤销正在使用的令牌" in client.get("/access").text


def test_hosts_are_allowed_and_forbidden(site):
    client = site.client("admin")
    client.post("/access/hosts/allow", {"pattern": "*.Example.COM"})
    client.post("/access/hosts/allow", {"pattern": "no host/at all"})
    assert "域名格式不对" in html.unescape(client.get("/access").text)
    with site.service.store.read() as session:
        assert "*.example.com" in hosts.allowed(session)
    client.post("/access/hosts/forbid", {"pattern": "*.example.com"})
    with site.service.store.read() as session:
        assert "*.example.com" not in hosts.allowed(session)


@pytest.mark.parametrize("pattern", ["*.com.cn", "*.github.io", "*.公司.cn", "*.co.uk:8443"])
def test_no_wildcard_stands_for_everybodys_hosts(site, pattern):
    client = site.client("admin")
    client.post("/access/hosts/allow", {"pattern": pattern})
    assert "公共后缀" in html.unescape(client.get("/access").text)
    with site.service.store.read() as session:
        assert [host for host in hosts.allowed(session) if host.startswith("*")] == []


# Both languages


def used_keys() -> set[str]:
    """Keys named in templates and modules; a key made up of parts stands there with its first part."""
    found = set()
    for path in FOLDER.rglob("*.html"):
        found |= set(re.findall(r'\bt\("(\w+)"', path.read_text(encoding="utf-8")))
        found |= set(re.findall(r"\bt\('(\w+)'", path.read_text(encoding="utf-8")))
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"t", "later"}:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(first.value)
    return found


def test_every_text_is_there_in_both_languages():
    assert {key for key in used_keys() if not key.endswith("_")} <= set(texts.TEXTS)
    for key, (chinese, english) in texts.TEXTS.items():
        assert chinese.strip(), key
        assert english.strip(), key
        assert re.findall(r"\{\w+\}", chinese).sort() == re.findall(r"\{\w+\}", english).sort(), key
        assert CHINESE.search(chinese) or key == "language_other", key
        assert not CHINESE.search(english) or key == "language_other", key


def test_no_template_holds_a_text_of_its_own():
    for path in FOLDER.rglob("*.html"):
        shown = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", path.read_text(encoding="utf-8"), flags=re.S)
        words = re.findall(r"[A-Za-z\u4e00-\u9fff]{3,}", shown)
        assert words == [], (path.name, words)


def test_the_librarys_texts_are_all_chinese():
    import starlette_admin
    from babel.messages.pofile import read_po

    po = Path(starlette_admin.__file__).parent / "translations" / "zh" / "LC_MESSAGES" / "admin.po"
    with po.open("rb") as file:
        assert [message.id for message in read_po(file) if message.id and not message.string] == []


PAGES = [
    "/",
    "/products/list",
    "/products/create",
    "/rooms/create",
    "/live",
    "/reviews",
    "/figures",
    "/sync",
    "/access",
]


@pytest.mark.parametrize("path", PAGES)
def test_the_switch_turns_the_whole_page(site, path):
    client = site.client("admin")
    assert client.get(path, headers={"Accept-Language": "en"}).text.count('<html lang="zh"') == 1
    client.http.cookies.set("language", "en", domain="admin.example")
    text = client.get(path).text
    assert '<html lang="en"' in text
    shown = html.unescape(re.sub(r"<script.*?</script>|<template.*?</template>|<[^>]*>", " ", text, flags=re.S))
    data = {"好欢螺螺蛳粉", "新同事", "中文"}
    left = [word for word in CHINESE.findall(shown) if not any(word in known for known in data)]
    assert left == []


def test_refusals_are_said_in_the_language_of_the_page():
    from starlette_admin.i18n import set_locale

    from livecart.shop.errors import InvalidValue, NotFound

    set_locale("zh")
    try:
        assert texts.refusal(InvalidValue("name", "empty")) == "不能为空"
        assert texts.refusal(NotFound("no_product", sku="7")) == "没有货号为 '7' 的商品"
    finally:
        set_locale("en")
    assert texts.refusal(InvalidValue("name", "empty")) == "is empty"
