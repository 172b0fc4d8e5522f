"""Who gets to the staff's pages, and what other sites' pages cannot make a browser do."""

import logging
import re

import pytest

from livecart.shop.admin.sign_in import signing_secret
from livecart.shop.repositories import audit, hosts, tokens
from tests.shop.admin_pages import SHOP, Pages, pages

PAGES = [
    "/",
    "/products/list",
    "/products/create",
    "/products/edit?pk=1001",
    "/photos?sku=1001",
    "/rooms/list",
    "/live",
    "/live/rooms",
    "/reviews",
    "/figures",
    "/sync",
    "/audit/list",
    "/access",
]
POSTS = [
    "/products/create",
    "/products/edit?pk=1001",
    "/_api/products/action?name=off_sale&pks=1001",
    "/_api/products/row-action?name=delete&pk=1001",
    "/photos/add",
    "/photos/remove",
    "/rooms/create",
    "/live/ask",
    "/reviews/decide",
    "/sync/publish",
    "/access/tokens/issue",
    "/access/tokens/revoke",
    "/access/hosts/allow",
    "/access/hosts/forbid",
    "/logout",
]


@pytest.fixture
def fresh(tmp_path):
    with pages(tmp_path) as opened:
        yield opened


def entries(site: Pages) -> int:
    with site.service.store.read() as session:
        return len(audit.latest(session, limit=1000))


@pytest.mark.parametrize("path", PAGES)
def test_strangers_are_sent_to_sign_in(site, path):
    answer = site.client().get(path)
    assert answer.status_code == 303
    assert "/admin/login?next=" in answer.headers["location"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("csrf", [None, "made-up", "anothers"])
def test_nothing_is_changed_without_the_forms_own_secret(site, path, csrf):
    client = site.client("admin")
    before = entries(site)
    if csrf == "anothers":
        other = site.client("admin")
        csrf = other.http.cookies["starlette_admin_csrftoken"]
    answer = client.post(path, {"sku": "1001", "name": "x", "pattern": "evil.example"}, csrf=csrf)
    assert answer.status_code == 403, path
    assert entries(site) == before


def test_another_sites_page_is_refused_even_with_the_secret(site):
    answer = site.client("admin").post(
        "/access/hosts/allow", {"pattern": "evil.example"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    with site.service.store.read() as session:
        assert "evil.example" not in hosts.allowed(session)


@pytest.mark.parametrize("path", [path for path in POSTS if not path.startswith(("/access", "/logout"))])
def test_readers_change_nothing(site, path):
    client = site.client("read")
    before = entries(site)
    answer = client.post(path, {"sku": "1001", "name": "x", "room": "room-1", "wish": "pin", "base": "{}"})
    assert answer.status_code in {400, 403}, (path, answer.status_code)
    assert entries(site) == before
    assert site.rooms.asked == []


@pytest.mark.parametrize("role", ["read", "edit"])
def test_tokens_and_hosts_are_for_admins(site, role):
    client = site.client(role)
    assert client.get("/access").status_code == 403
    for path in (path for path in POSTS if path.startswith("/access")):
        assert client.post(path, {"name": "x", "role": "admin", "pattern": "evil.example"}).status_code == 403
    assert "/admin/access" not in client.get("/").text


@pytest.mark.parametrize("role", ["read", "edit"])
@pytest.mark.parametrize("query", ["", "?q=token", "?q=host", f"?q={SHOP}", "?q=edit-person"])
def test_the_audit_log_names_tokens_and_hosts_to_admins_only(site, role, query):
    shown = site.client(role).get(f"/audit/list{query}").text.split("<tbody")[1].split("</tbody>")[0]
    assert "admin-person" not in shown
    assert "edit-person" not in shown
    assert f">{SHOP}<" not in re.sub(r"\s+", "", shown)
    assert ("1001" in shown) == (query == "")


def test_admins_see_all_of_the_audit_log(site):
    shown = site.client("admin").get("/audit/list").text
    assert "edit-person" in shown
    assert SHOP in shown


def test_readers_see_the_form_without_a_way_to_save(site):
    text = site.client("read").get("/products/edit?pk=1001").text
    assert "好欢螺螺蛳粉 1001" in text
    assert "_continue_editing" not in text
    assert "_continue_editing" in site.client("edit").get("/products/edit?pk=1001").text


def test_a_revoked_token_ends_its_sessions(fresh):
    client = fresh.client("edit")
    assert client.get("/").status_code == 200
    with fresh.service.store.write("setup") as session:
        tokens.revoke(session, next(token.id for token in tokens.every(session) if token.role == "edit"))
    assert client.get("/").status_code == 303
    assert fresh.client().sign_in(fresh.tokens["edit"]).status_code == 400


def test_who_signs_in_is_logged(site, caplog):
    caplog.set_level(logging.INFO, "livecart")
    site.client("edit")
    (told,) = [record.getMessage() for record in caplog.records if "signed in" in record.getMessage()]
    assert re.fullmatch(r"admin: edit-person#\d+ signed in from \S+", told)
    assert site.tokens["edit"] not in caplog.text


def test_signing_out_ends_the_session(site):
    client = site.client("edit")
    assert client.post("/logout").status_code == 303
    assert client.get("/").status_code == 303


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


def test_over_https_every_cookie_is_secure(site):
    client = site.client()
    client.http.base_url = "https://admin.example"
    answers = [client.get("/login"), client.sign_in(site.tokens["read"])]
    cookies = [value.lower() for answer in answers for value in answer.headers.get_list("set-cookie")]
    assert cookies
    assert all("secure" in value for value in cookies), cookies


def test_over_https_no_other_host_can_plant_the_session(site):
    plain = site.client("admin").http.cookies["livecart_admin"]
    client = site.client()
    client.http.base_url = "https://admin.example"
    answer = client.sign_in(site.tokens["read"])
    (cookie,) = [value for value in answer.headers.get_list("set-cookie") if "livecart_admin=" in value]
    assert cookie.startswith("__Host-livecart_admin=")
    assert {"path=/", "secure"} <= set(cookie.lower().split("; "))
    assert "domain" not in cookie.lower()
    assert client.get("/").status_code == 200
    # One of another host of the domain, or of plain HTTP, is no session.
    planted = f"livecart_admin={plain}"
    assert client.get("/access", headers={"Cookie": planted}).status_code == 303
    own = f"__Host-livecart_admin={client.http.cookies['__Host-livecart_admin']}"
    assert client.get("/access", headers={"Cookie": f"{planted}; {own}"}).status_code == 403


def test_guessing_is_slowed_down(fresh):
    client = fresh.client()
    client.get("/login")
    for _ in range(10):
        assert "令牌无效" in client.post("/login", {"password": "lc_guess"}).text
    # From here on even the right one is not looked at.
    answer = client.post("/login", {"password": fresh.tokens["admin"]})
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
        assert "onclick=" not in answer.text
        assert "onchange=" not in answer.text


def test_every_asset_is_ours(site):
    client = site.client("admin")
    for path in PAGES:
        links = [part.split('"')[0] for part in client.get(path).text.replace("href=", "src=").split('src="')[1:]]
        foreign = [link for link in links if link.startswith(("http", "//")) and "admin.example" not in link]
        assert foreign == [], path


def test_a_long_body_is_not_read(site):
    client = site.client("edit")
    answer = client.post("/photos/add", {"sku": "1001"}, files={"photos": ("a.jpg", b"x" * (18 * 1024 * 1024))})
    assert answer.status_code == 413


def test_the_signing_secret_is_made_once_and_is_its_owners(tmp_path):
    first = signing_secret(tmp_path)
    assert len(first) >= 48
    assert signing_secret(tmp_path) == first
    assert (tmp_path / "admin.secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["admin.secret"]


@pytest.mark.parametrize("content", [b"", b"\n", b"secret", b"\xff" * 8])
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
