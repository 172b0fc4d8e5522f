"""Who gets to the staff's pages, what other sites' pages cannot make a browser do, and requests that no form makes."""

import asyncio
import logging
import re

import pytest

from livecart.shop.admin import admin_app
from livecart.shop.admin.guard import Guard
from livecart.shop.admin.sign_in import signing_secret
from livecart.shop.repositories import audit, products, reviews, tokens
from tests.shop.admin_pages import SHOP, Pages
from tests.shop.photo_files import photo

PAGES = [
    "/", "/products/list", "/products/create", "/products/edit?pk=1001", "/photos?sku=1001", "/rooms/list", "/live",
    "/live/rooms", "/reviews", "/figures", "/sync", "/audit/list", "/access",
]  # fmt: skip
EDITS = [
    "/products/create", "/products/edit?pk=1001", "/_api/products/action?name=off_sale&pks=1001",
    "/_api/products/row-action?name=delete&pk=1001", "/photos/add", "/photos/remove", "/rooms/create", "/live/ask",
    "/reviews/decide", "/sync/publish",
]  # fmt: skip
OF_ADMINS = ["/access/tokens/issue", "/access/tokens/revoke", "/access/hosts/allow", "/access/hosts/forbid"]


def entries(site: Pages) -> int:
    with site.service.store.read() as session:
        return len(audit.latest(session, limit=1000))


def test_strangers_are_sent_to_sign_in(site):
    for path in PAGES:
        answer = site.client().get(path)
        assert answer.status_code == 303, path
        assert "/admin/login?next=" in answer.headers["location"]


@pytest.mark.parametrize("csrf", [None, "made-up", "another session's"])
def test_nothing_is_changed_without_the_forms_own_secret(site, csrf):
    client, before = site.client("admin"), entries(site)
    if csrf == "another session's":
        csrf = site.client("admin").http.cookies["starlette_admin_csrftoken"]
    for path in [*EDITS, *OF_ADMINS, "/logout"]:
        answer = client.post(path, {"sku": "1001", "name": "x", "pattern": "evil.example"}, csrf=csrf)
        assert answer.status_code == 403, path
    assert entries(site) == before


def test_another_sites_page_is_refused_even_with_the_secret(site):
    before = entries(site)
    evil, elsewhere = {"pattern": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}
    assert site.client("admin").post("/access/hosts/allow", evil, headers=elsewhere).status_code == 403
    assert entries(site) == before


@pytest.mark.parametrize(("role", "paths"), [("read", EDITS + OF_ADMINS), ("edit", OF_ADMINS)])
def test_a_role_changes_no_more_than_it_may(site, role, paths):
    client, before = site.client(role), entries(site)
    form = {"sku": "1001", "name": "x", "room": "room-1", "wish": "pin", "base": "{}"}
    for path in paths:
        answer = client.post(path, form | {"role": "admin", "pattern": "evil.example"})
        assert answer.status_code == 403 or (path not in OF_ADMINS and answer.status_code == 400), path
    assert (entries(site), site.rooms.asked) == (before, [])
    assert client.get("/access").status_code == 403
    assert "/admin/access" not in client.get("/").text


@pytest.mark.parametrize("role", ["read", "edit"])
def test_the_audit_log_names_tokens_and_hosts_to_admins_only(site, role):
    for query in ("", "?q=token", "?q=host", f"?q={SHOP}", "?q=edit-person"):
        shown = site.client(role).get(f"/audit/list{query}").text.split("<tbody")[1].split("</tbody>")[0]
        assert "admin-person" not in shown
        assert "edit-person" not in shown
        assert f">{SHOP}<" not in re.sub(r"\s+", "", shown)
        assert ("1001" in shown) == (query == "")
    of_admins = site.client("admin").get("/audit/list").text
    assert "edit-person" in of_admins
    assert SHOP in of_admins


def test_readers_see_the_form_without_a_way_to_save_and_who_signed_out_nothing(site):
    text = site.client("read").get("/products/edit?pk=1001").text
    assert "好欢螺螺蛳粉 1001" in text
    assert "_continue_editing" not in text
    client = site.client("edit")
    assert "_continue_editing" in client.get("/products/edit?pk=1001").text
    assert client.post("/logout").status_code == 303
    assert client.get("/").status_code == 303


def test_a_revoked_token_ends_its_sessions(fresh_site):
    client = fresh_site.client("edit")
    assert client.get("/").status_code == 200
    with fresh_site.service.store.write("setup") as session:
        tokens.revoke(session, next(token.id for token in tokens.every(session) if token.role == "edit"))
    assert client.get("/").status_code == 303
    assert fresh_site.client().sign_in(fresh_site.tokens["edit"]).status_code == 400


def test_who_signs_in_is_logged(site, caplog):
    caplog.set_level(logging.INFO, "livecart")
    site.client("edit")
    (told,) = [record.getMessage() for record in caplog.records if "signed in" in record.getMessage()]
    assert re.fullmatch(r"admin: edit-person#\d+ signed in from \S+", told)
    assert site.tokens["edit"] not in caplog.text


def test_the_session_cookie_is_no_scripts_business_and_holds_no_token(site):
    client = site.client()
    answer = client.sign_in(site.tokens["admin"])
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("livecart_admin="))
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()
    assert site.tokens["admin"] not in cookie
    tampered = client.http.cookies["livecart_admin"][:-4] + "AAAA"
    client.http.cookies.set("livecart_admin", tampered, domain="admin.example")
    assert site.client().get("/", headers={"Cookie": f"livecart_admin={tampered}"}).status_code == 303


def test_over_https_no_other_host_can_plant_the_session(site):
    plain = site.client("admin").http.cookies["livecart_admin"]
    client = site.client()
    client.http.base_url = "https://admin.example"
    answers = [client.get("/login"), client.sign_in(site.tokens["read"])]
    cookies = [value.lower() for answer in answers for value in answer.headers.get_list("set-cookie")]
    assert all("secure" in value for value in cookies), cookies
    (cookie,) = [value for value in cookies if "livecart_admin=" in value]
    assert cookie.startswith("__host-livecart_admin=")
    assert "path=/" in cookie.split("; ")
    assert "domain" not in cookie
    assert client.get("/").status_code == 200
    # One of another host of the domain, or of plain HTTP, is no session.
    planted = f"livecart_admin={plain}"
    assert client.get("/access", headers={"Cookie": planted}).status_code == 303
    own = f"__Host-livecart_admin={client.http.cookies['__Host-livecart_admin']}"
    assert client.get("/access", headers={"Cookie": f"{planted}; {own}"}).status_code == 403


def test_guessing_is_slowed_down(fresh_site):
    client = fresh_site.client()
    client.get("/login")
    for _ in range(10):
        assert "令牌无效" in client.post("/login", {"password": "lc_guess"}).text
    # From here on even the right one is not looked at.
    answer = client.post("/login", {"password": fresh_site.tokens["admin"]})
    assert "失败次数过多" in answer.text
    assert client.get("/").status_code == 303


def test_signing_in_leads_back_but_never_to_another_site(site):
    client = site.client()
    client.get("/login")
    own = client.post("/login?next=/admin/reviews", {"password": site.tokens["read"]})
    assert own.headers["location"] == "/admin/reviews"
    for evil in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        other = site.client()
        other.get("/login")
        answer = other.post(f"/login?next={evil}", {"password": site.tokens["read"]})
        assert "evil" not in answer.headers["location"]
        assert "javascript" not in answer.headers["location"]


def test_every_page_has_a_strict_policy(site):
    client = site.client("admin")
    for path in PAGES:
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        scripts = policy.split("script-src")[1].split(";")[0]
        assert "unsafe" not in scripts
        assert "*" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        nonce = scripts.split("'nonce-")[1].split("'")[0]
        assert (
            answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}"') > 0 or path == "/live/rooms"
        )
        assert not re.search(r"\bon(click|change)=", answer.text)
        links = re.findall(r'(?:src|href)="([^"]*)', answer.text)
        assert [link for link in links if re.match(r"https?:|//", link) and "admin.example" not in link] == [], path


def test_the_signing_secret_is_made_once_and_is_its_owners(tmp_path):
    first = signing_secret(tmp_path)
    assert len(first) >= 48
    assert signing_secret(tmp_path) == first
    assert (tmp_path / "admin.secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["admin.secret"]


@pytest.mark.parametrize("content", [b"", b"secret"])
def test_a_file_without_a_secret_signs_nothing(tmp_path, content):
    (tmp_path / "admin.secret").write_bytes(content)
    with pytest.raises(OSError, match=r"admin\.secret is too short to sign sessions with"):
        signing_secret(tmp_path)


def test_a_database_that_is_away_is_said(site, monkeypatch):
    from livecart.shop.errors import StoreUnavailable

    client = site.client("read")

    def away(*_, **__):
        raise StoreUnavailable("store_silent", cause="Access denied for user 'shop'@'10.0.0.7'")

    monkeypatch.setattr(site.service.store.__class__, "read", away)
    answer = client.get("/products/list")
    assert answer.status_code == 503
    assert "数据库暂时没有响应" in answer.text
    for page in (answer, site.client().post("/login", {"password": "x"})):
        assert "10.0.0.7" not in page.text


HUGE = ("9" * 30, "9" * 5000)


@pytest.mark.parametrize("number", HUGE)
def test_numbers_that_no_database_holds_are_refused(site, number):
    client = site.client("edit")
    with site.service.store.write("setup") as session:
        review = reviews.submit(session, site.service.crops, photo(7), reason="low_margin", room="r", sku="1001")
    assert client.get(f"/reviews/crop?id={number}").status_code == 404
    for values in ({"id": number, "version": "1"}, {"id": str(review.id), "version": number}):
        assert client.post("/reviews/decide", {**values, "decision": "reject"}).status_code == 422
    for listing in ("products", "rooms", "audit"):
        assert client.get(f"/{listing}/list?page={number}").status_code in {200, 302, 303, 400}


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("length", ["9" * 30, "1048577"])
def test_a_form_that_says_it_is_long_is_not_read(site, length):
    answer = site.client().http.post("/admin/login", content=b"", headers=FORM | {"Content-Length": length})
    assert answer.status_code == 413


def test_a_form_that_is_longer_than_it_said_is_refused_without_a_traceback(site):
    answer = site.client().http.post("/admin/login", content=(b"a" * 65536 for _ in range(32)), headers=FORM)
    assert (answer.status_code, answer.text.split("。")[0]) == (413, "表单太长、传输太慢，或连接中断")


async def test_a_form_that_comes_a_byte_at_a_time_is_ended(site):
    """Strangers' forms are read before they sign in: each would hold a connection for as long as it likes."""
    pieces = [{"type": "http.request", "body": b"u", "more_body": True}] * 3
    sent = []

    async def receive():
        if not pieces:
            await asyncio.sleep(60)
        return pieces.pop()

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/x-www-form-urlencoded"), (b"content-length", b"1000"), (b"host", b"a")]
    scope = {"type": "http", "method": "POST", "path": "/login", "raw_path": b"/login", "query_string": b""}
    scope |= {"headers": headers, "scheme": "http", "root_path": "", "http_version": "1.1", "client": ("127.0.0.1", 1)}
    guard = Guard(admin_app(site.service)._app, within_s=0.2)
    await asyncio.wait_for(guard(scope, receive, send), 5)
    assert sent[0]["status"] == 413


def test_only_who_is_signed_in_may_send_large_photos(site):
    large = {"photos": ("large.jpg", b"a" * 2 * 1024 * 1024)}
    stranger, editor = site.client(), site.client("edit")
    stranger.get("/login")
    answers = []
    for client in (stranger, editor):
        # Each with its form's own secret.
        values = {"sku": "1001", "csrftoken": client.http.cookies["starlette_admin_csrftoken"]}
        answers.append(client.http.post("/admin/photos/add", data=values, files=large, follow_redirects=False))
    assert [(answer.status_code, answer.text) for answer in answers] == [(403, "CSRF token missing"), (303, "")]
    larger = {"photos": ("larger.jpg", b"x" * 18 * 1024 * 1024)}
    assert editor.post("/photos/add", {"sku": "1001"}, files=larger).status_code == 413
    # The other was read, and found to be no photo.
    assert "不是 JPEG、PNG、WebP、HEIC 或 AVIF 图片" in editor.get("/photos?sku=1001").text


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_saved(site):
    client = site.client("edit")
    folder = site.service.photos.folder
    kept = folder.with_name("kept")
    folder.rename(kept)
    folder.write_bytes(b"")
    try:
        values = {"sku": "1001", "csrftoken": client.http.cookies["starlette_admin_csrftoken"]}
        answer = client.http.post("/admin/photos/add", data=values, files={"photos": ("a.jpg", photo(9))})
        assert answer.status_code == 503
        assert "服务器暂时无法读写商品文件" in answer.text
        assert str(folder) not in answer.text
        with site.service.store.read() as session:
            assert products.get(session, "1001").photos == ()
    finally:
        folder.unlink()
        kept.rename(folder)
    values["csrftoken"] = client.http.cookies["starlette_admin_csrftoken"]
    client.http.post("/admin/photos/add", data=values, files={"photos": ("a.jpg", photo(9))})
    with site.service.store.read() as session:
        assert len(products.get(session, "1001").photos) == 1
