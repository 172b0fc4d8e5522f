"""What the API refuses, and that nothing is changed by it."""

import io
import zipfile

import pytest
import requests

from livecart.shop.api import ApiSettings, ApiStats
from livecart.shop.errors import StoreUnavailable
from livecart.shop.repositories import products
from tests.shop.api_clients import app_of, client_of, serving, token_of
from tests.shop.catalog_stores import link
from tests.shop.photo_files import photo

MIB = 1024 * 1024


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


@pytest.fixture
def stats():
    return ApiStats()


@pytest.fixture
def client(service, store, stats):
    made = client_of(app_of(service, stats=stats), token_of(store, "admin"))
    made.post("products", json=body("1001"))
    return made


def body(sku, **more):
    return {"sku": sku, "name": "螺蛳粉", "url": link("1")} | more


def code_of(answer):
    assert answer.json()["schema"] == 1
    assert answer.json()["error"]["message"]
    return answer.status_code, answer.json()["error"]["code"]


def test_without_a_good_token_nothing_is_told(client, store, clock):
    expired = token_of(store, "admin", lifetime_s=10)
    clock.pass_s(11)
    till = client_of(client.app, token_of(store, "edit", lifetime_s=10))
    assert till.get("hosts").status_code == 200
    clock.pass_s(10)
    # Void although it was believed a moment ago.
    assert code_of(till.get("hosts")) == (401, "denied")
    for token in (None, "", "wrong", "lc_" + "a" * 43, expired):
        asked = client_of(client.app, token)
        for path in ("products", "openapi.json", "tokens"):
            assert code_of(asked.get(path)) == (401, "denied")
    basic = client_of(client.app, None)
    assert code_of(basic.get("products", headers={"Authorization": f"Basic {expired}"})) == (401, "denied")


def test_a_role_that_is_too_low_is_refused_before_the_body_is_read(client, store):
    beyond = {
        "read": ["POST products", "PUT stock/1001", "POST viewer-events", "POST feeds/shop/dry-run", "GET audit"],
        "edit": ["GET tokens", "POST tokens", "PUT hosts/evil.example.org", "GET audit"],
    }
    stranger, large = client_of(client.app, None), b"x" * 100 * MIB
    for role, operations in beyond.items():
        asked = client_of(client.app, token_of(store, role))
        for method, path in map(str.split, operations):
            assert code_of(asked.request(method, path)) == (403, "forbidden"), (role, method, path)
            assert code_of(stranger.request(method, path, content=large)) == (401, "denied"), (method, path)


def test_a_photo_whose_name_is_a_path_is_refused(client, service):
    for name in ("../../etc/cron.d/x.jpg", "..\\..\\x.jpg", "/etc/passwd", ".."):
        answer = client.post("products/1001/photos", files={"photo": (name, photo(1))})
        assert code_of(answer) == (422, "invalid_value")
    assert [path for path in service.photos.folder.rglob("*") if path.is_file()] == []


def test_a_photo_is_named_by_its_digest_and_by_nothing_else(client):
    for digest in ("..%2f..%2fetc%2fpasswd", "../catalog.db", "%00", "A" * 64, "0" * 64):
        assert client.get(f"photos/{digest}").status_code in {404, 422}


def test_only_photos_are_photos_whatever_they_say_they_are(client):
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    html = b"<!doctype html><script>alert(1)</script>"
    for data, kind in ((svg, "image/svg+xml"), (html, "text/html"), (b"GIF89a", "image/gif"), (b"", "image/png")):
        for said in (kind, "image/jpeg"):
            answer = client.post("products/1001/photos", files={"photo": ("photo.jpg", data, said)})
            assert code_of(answer) == (422, "invalid_value")
    assert client.get("products/1001").json()["photos"] == []


def bomb():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"\0" * (401 * MIB))
    return file.getvalue()


def test_a_zip_bomb_is_no_table(client):
    data = bomb()
    assert len(data) < 4 * MIB
    answer = client.post("tables", files={"table": ("goods.xlsx", data)})
    assert code_of(answer) == (422, "bad_file")
    assert "unpacks to" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://evil.example.org/1", "https://shop.example.com@evil.example.org/"]
)
def test_a_link_that_must_not_be_shown_is_refused_by_every_way_in(client, url):
    assert code_of(client.post("products", json=body("2", url=url))) == (422, "invalid_value")
    changed = client.patch("products/1001", json={"url": url}, headers={"If-Match": "*"})
    many = client.post("products/bulk", json={"products": [body("2", url=url)]})
    assert code_of(changed) == code_of(many) == (422, "invalid_value")
    assert client.put("product_links.json", json={"x": url}).status_code == 422
    table = client.post("tables", files={"table": ("t.csv", f"sku,name,url\n2,x,{url}\n".encode())})
    assert (table.json()["created"], table.json()["bad"]) == (0, 1)
    assert client.get("products/1001").json()["url"] == link("1")
    assert client.get("products/2").status_code == 404


def test_ten_thousand_of_anything_in_one_request_are_refused(client):
    event = {"kind": "impression", "card_id": "c", "viewer": "viewer-0001"}
    events = [{"event_key": f"key-{n:08d}", **event} for n in range(501)]
    assert code_of(client.post("viewer-events", json={"events": events})) == (422, "bad_request")
    many = [{"sku": str(n), "stock": 1} for n in range(10_000)]
    assert code_of(client.post("products/bulk", json={"products": many})) == (422, "bad_request")
    lines = "\n".join(f'{{"sku": "{n}"}}' for n in range(10_000)).encode()
    assert code_of(client.post("products/bulk", content=lines)) == (422, "bad_request")
    assert code_of(client.post("stock/confirm", json={"skus": [str(n) for n in range(501)]})) == (422, "bad_request")
    assert client.put("rooms/r/products", json={"skus": [str(n) for n in range(10_000)]}).status_code == 422


def test_a_client_that_asks_too_often_is_told_when_to_come_back(service, store):
    settings = ApiSettings(token_burst=5, token_per_s=0.01, address_burst=20, address_per_s=0.01)
    stats = ApiStats()
    app = app_of(service, settings, stats)
    client = client_of(app, token_of(store, "read"))
    answers = [client.get("hosts") for _ in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
    assert code_of(answers[-1]) == (429, "rate_limited")
    assert 80 < int(answers[-1].headers["Retry-After"]) <= 100
    other = client_of(app, token_of(store, "read"))
    assert other.get("hosts").status_code == 200
    # Guessing tokens is counted by address.
    guesses = [client_of(app, f"lc_guess{number}").get("hosts").status_code for number in range(15)]
    assert guesses == [401] * 11 + [429] * 4
    assert stats.refused["rate_limited"] == 7


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [("POST", "products", 64 * 1024), ("POST", "products/1001/photos", 16 * MIB + 65536)],
)
def test_a_body_that_is_too_large_is_refused_by_its_length_and_without_one(client, method, path, most):
    def pieces():
        for _ in range(most // MIB + 2):
            yield b" " * MIB

    assert code_of(client.request(method, path, content=b" " * (most + 1))) == (413, "too_large")
    assert code_of(client.request(method, path, content=pieces())) == (413, "too_large")


def product_with(more):
    return b'{"sku": "a", "name": "x", "url": "https://shop.example.com/", %b}' % more


def test_who_sends_too_much_is_told_so_on_a_real_connection(client, store):
    headers = {"Authorization": f"Bearer {token_of(store, 'edit')}"}
    with serving(client.app) as url, requests.Session() as session:
        for sent in (b" " * 8 * MIB, iter([b" " * MIB] * 8)):
            answer = session.post(f"{url}/catalog/v1/products", data=sent, headers=headers, timeout=20)
            assert code_of(answer) == (413, "too_large")
        assert session.get(f"{url}/catalog/v1/hosts", headers=headers, timeout=20).status_code == 200


MALFORMED = {
    "no JSON": (b"{", 422),
    "no UTF-8": (b'{"sku": "\xff", "name": "x"}', 400),
    "deep": (b"[" * 60_000, 400),
    "a long number": (b'{"stock": ' + b"9" * 5000 + b"}", 400),
    "half a surrogate": (rb'{"sku": "\ud800", "name": "x", "url": "https://shop.example.com/"}', 422),
    "a null byte": (rb'{"sku": "a\u0000b", "name": "x", "url": "https://shop.example.com/"}', 422),
    "a text for a number": (product_with(b'"stock": "5"'), 422),
    "a price that is a number": (product_with(b'"price": 5.1'), 422),
    "a huge number": (product_with(b'"stock": 99999999999999999999'), 422),
    "NaN": (product_with(b'"threshold": NaN'), 422),
    "an unknown key": (product_with(b'"stok": 1'), 422),
}


def test_a_body_that_is_malformed_is_told_so(client, stats):
    for case, (data, status) in MALFORMED.items():
        answer = client.post("products", content=data, headers={"Content-Type": "application/json"})
        assert code_of(answer)[0] == status, case
        bulk = client.post("products/bulk", content=b'{"products": [' + data + b"]}")
        assert code_of(bulk)[0] in {400, 422}, case
        assert code_of(client.put("product_links.json", content=data))[0] in {400, 422}, case
    assert stats.failures == 0


OUT_OF_BOUNDS = [
    "products?limit=0", "products?limit=100000000000000000000000", "products?cursor=99999999999999999999999",
    "products?cursor=-1", "products?on_sale=perhaps", "reviews/99999999999999999999999/crop", "reviews?state=none",
    "figures/products?since_s=inf", "figures/rooms?since_s=nan", "audit?cursor=1e9", "cards?cursor=%00",
    "products?q=" + "x" * 201,
]  # fmt: skip


def test_a_question_that_is_out_of_bounds_is_refused(client, stats):
    for path in OUT_OF_BOUNDS:
        assert client.get(path).status_code == 422, path
    for nobody in ("products/%00", "products/%ff%fe", "cards/%00", "products/" + "x" * 129, "rooms/%00/products"):
        assert client.get(nobody).status_code in {200, 404, 422}, nobody
    assert stats.failures == 0


def test_a_fault_of_ours_tells_nothing_and_is_counted(client, stats, monkeypatch, caplog):
    monkeypatch.setattr(products, "get", lambda *_: 1 / 0)
    answer = client.get("products/1001")
    assert code_of(answer) == (500, "internal_error")
    assert "division" not in answer.text
    assert (stats.failures, stats.refused["internal_error"]) == (1, 1)
    assert "ZeroDivisionError" in caplog.text


def test_a_database_that_is_away_is_told_so_without_its_address(client, store, stats, monkeypatch):
    def away(*_, **__):
        raise StoreUnavailable("store_silent", where="catalog mysql+pymysql://root@10.0.0.1/x", cause="gone")

    client.get("hosts")
    monkeypatch.setattr(store, "read", away)
    answer = client.get("hosts")
    assert (code_of(answer), answer.headers["Retry-After"]) == ((503, "unavailable"), "1")
    assert "10.0.0.1" not in answer.text
    # A token that is not known cannot be looked up: that is no 401.
    assert code_of(client_of(client.app, "lc_other").get("hosts")) == (503, "unavailable")
