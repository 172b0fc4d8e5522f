"""Negatives over the API and in the staff's pages: what a wrong decision taught is seen, and taken back."""

import html

import pytest

from livecart.shop.repositories import audit, negatives, products
from tests.shop.admin_pages import pages
from tests.shop.api_clients import app_of, client_of, token_of
from tests.shop.catalog_stores import patch
from tests.shop.photo_files import photo

NAME = '好欢螺"><script>alert(1)</script>'


@pytest.fixture
def site(tmp_path):
    with pages(tmp_path) as opened:
        with opened.service.store.write("setup") as session:
            products.create(session, patch("1001", name=NAME))
            products.create(session, patch("1002"))
            for seed in (1, 2):
                negatives.add(session, opened.service.photos, "1001", photo(seed))
        yield opened


@pytest.fixture
def digests(site) -> list[str]:
    return of_1001(site)


def of_1001(site) -> list[str]:
    with site.service.store.read() as session:
        return [negative.digest for negative in negatives.of_product(session, "1001")]


def api_of(site, role: str = "edit"):
    return client_of(app_of(site.service), token_of(site.service.store, role))


def test_the_api_lists_shows_and_removes_them(site, digests):
    client = api_of(site)
    listed = client.get("products/1001/negatives").json()["negatives"]
    assert [(entry["digest"], entry["kind"]) for entry in listed] == [(digest, "jpeg") for digest in digests]
    assert client.get("products/1002/negatives").json() == {"negatives": []}
    shown = client.get(f"products/1001/negatives/{digests[0]}")
    assert (shown.content, shown.headers["Content-Type"]) == (photo(2), "image/jpeg")
    version = client.get("products/1001").json()["version"]
    keyed = {"Idempotency-Key": "once"}
    gone = client.delete(f"products/1001/negatives/{digests[0]}", headers=keyed)
    assert (gone.status_code, gone.json()["version"]) == (200, version + 1)
    assert client.delete(f"products/1001/negatives/{digests[0]}", headers=keyed).content == gone.content
    assert of_1001(site) == digests[1:]
    with site.service.store.read() as session:
        newest = audit.latest(session, subject="negative", limit=1)[0]
    assert (newest.action, newest.name, newest.before) == ("delete", "1001", {"digest": digests[0]})


def test_what_is_not_there_is_said(site, digests):
    client = api_of(site)
    for method, path in (
        ("GET", "products/none/negatives"),
        ("GET", f"products/1002/negatives/{digests[0]}"),
        ("GET", f"products/1001/negatives/{'a' * 64}"),
        ("DELETE", f"products/1002/negatives/{digests[0]}"),
    ):
        assert client.request(method, path).status_code == 404, path
    assert client.get("products/1001/negatives/..%2f..%2fadmin.secret").status_code in {404, 422}
    assert of_1001(site) == digests


def test_readers_take_nothing_away(site, digests):
    assert api_of(site, "read").delete(f"products/1001/negatives/{digests[0]}").status_code == 403
    client = site.client("read")
    assert "negative/remove" not in client.get("/photos?sku=1001").text
    assert client.post("/photos/negative/remove", {"sku": "1001", "digest": digests[0]}).status_code == 403
    assert of_1001(site) == digests


def test_the_photo_page_shows_them_and_takes_them_away(site, digests):
    client = site.client("edit")
    page = client.get("/photos?sku=1001").text
    assert "<script>alert" not in page
    assert "反例" in page
    for digest in digests:
        assert f"digest={digest}" in html.unescape(page)
    shown = client.get(f"/photos/negative?sku=1001&digest={digests[0]}")
    assert (shown.content, shown.headers["Content-Type"]) == (photo(2), "image/jpeg")
    assert client.post("/photos/negative/remove", {"sku": "1001", "digest": digests[0]}).status_code == 303
    assert of_1001(site) == digests[1:]
    client.get("/photos?sku=1001")
    client.post("/photos/negative/remove", {"sku": "1001", "digest": digests[0]})
    assert "该商品没有这张反例" in client.get("/photos?sku=1001").text


def test_no_other_file_is_shown_as_one(site, digests):
    client = site.client("admin")
    for digest in ("../../admin.secret", "/etc/passwd", "", "%00", "a" * 64, "x" * 5000):
        assert client.get(f"/photos/negative?sku=1001&digest={digest}").status_code == 404
    assert client.get(f"/photos/negative?sku=1002&digest={digests[0]}").status_code == 404
    assert site.client().get(f"/photos/negative?sku=1001&digest={digests[0]}").status_code == 303


def test_a_product_without_negatives_shows_no_heading(site):
    assert "反例" not in site.client("edit").get("/photos?sku=1002").text


def test_a_file_that_is_gone_is_told_without_where_it_lay(site, digests):
    site.service.photos.remove(digests[0], "jpg")
    answer = api_of(site).get(f"products/1001/negatives/{digests[0]}")
    assert answer.status_code == 404
    assert "the folder photos holds no" in answer.json()["error"]["message"]
    assert str(site.service.folder) not in answer.text
