"""Photos in the staff's pages: what is taken, what the recogniser sees in it, what is said of look-alikes."""

import asyncio
import html
import sqlite3

import pytest
from starlette.requests import Request

from livecart.core.errors import RecognizerBusy
from livecart.shop.admin.views.photos import PhotosPage
from livecart.shop.repositories import photo_check, photos, products
from livecart.shop.schemas.product import PhotoInfo
from tests.shop.admin_pages import Client, Pages, detection, pages
from tests.shop.catalog_stores import patch
from tests.shop.photo_files import photo

NO_PHOTOS = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "gif": b"GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;",
    "cut short": photo(1, width_px=300, height_px=300)[:400],
    "nothing": b"",
}


@pytest.fixture(scope="module")
def _site(tmp_path_factory):
    with pages(tmp_path_factory.mktemp("admin")) as opened:
        yield opened


@pytest.fixture
def site(_site):
    """Each test has a product of its own: 1001, without photos."""
    with _site.service.store.write("setup") as session:
        for product in list(products.every(session)):
            products.remove(session, product.sku, expected_version=None)
        products.create(session, patch("1001"))
    _site.recogniser.products = ()
    _site.recogniser.asked.clear()
    return _site


def upload(client: Client, data: bytes, name: str = "front.jpg", sku: str = "1001"):
    return client.post("/photos/add", {"sku": sku}, files={"photos": (name, data, "image/jpeg")})


def digests(site: Pages) -> list[str]:
    with site.service.store.read() as session:
        return [photo.digest for photo in products.get(session, "1001").photos]


def seen(client: Client, digest: str) -> str:
    answer = client.get(f"/photos/preview?sku=1001&digest={digest}")
    assert answer.status_code == 200
    return html.unescape(answer.text)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_a_photo_is_kept_and_shown_as_what_it_is(site, kind):
    client = site.client("edit")
    data = photo(3, kind)
    answer = upload(client, data, f"../../{kind}.exe")
    assert answer.status_code == 303
    (digest,) = digests(site)
    assert answer.headers["location"].endswith(f"sku=1001&fresh={digest}")
    got = client.get(f"/photos/file?digest={digest}")
    assert got.content == data
    assert got.headers["content-type"] == f"image/{kind}"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    page = html.unescape(client.get("/photos?sku=1001").text)
    assert f"{kind}.exe" in page
    assert "../" not in page


def test_others_write_while_photos_of_a_form_are_decoded(site, monkeypatch):
    decoded = []

    def decode(*_args, **_options):
        connection = sqlite3.connect(site.service.store.engine.url.database, timeout=0.1)
        connection.execute("BEGIN IMMEDIATE")
        connection.close()
        decoded.append(True)
        return {"problem": "", "width_px": 60, "height_px": 80, "jpeg": b""}

    monkeypatch.setattr(photo_check, "run_untrusted", decode)
    assert upload(site.client("edit"), photo(5)).status_code == 303
    assert (len(digests(site)), decoded) == (1, [True])


@pytest.mark.parametrize("what", NO_PHOTOS)
def test_what_is_no_photo_is_refused_in_chinese(site, what):
    client = site.client("edit")
    upload(client, NO_PHOTOS[what], "photo.jpg")
    assert digests(site) == []
    text = html.unescape(client.get("/photos?sku=1001").text)
    assert any(said in text for said in ("不是 JPEG、PNG", "无法读取", "图片已损坏", "不能为空")), text
    assert not list(site.service.photos.folder.rglob("*.svg"))


@pytest.mark.parametrize(
    "digest", ["../../admin.secret", "..%2f..%2fadmin.secret", "/etc/passwd", "a" * 64, "", "%00", "x" * 5000]
)
def test_no_other_file_is_ever_given_out(site, digest):
    client = site.client("admin")
    for path in ("file", "seen"):
        assert client.get(f"/photos/{path}?digest={digest}&sku=1001").status_code == 404
    assert client.get(f"/static/{digest}").status_code in {404, 405}
    assert client.get("/static/../admin.secret").status_code == 404
    assert client.get("/static/%2e%2e/guard.py").status_code == 404
    assert client.get("/_files/local/../../x").status_code == 404


def test_photos_need_somebody_signed_in(site):
    upload(site.client("edit"), photo(4))
    (digest,) = digests(site)
    assert site.client().get(f"/photos/file?digest={digest}").status_code == 303
    assert site.client("read").get(f"/photos/file?digest={digest}").status_code == 200


def test_a_photo_is_removed(site):
    client = site.client("edit")
    upload(client, photo(4))
    (digest,) = digests(site)
    assert client.post("/photos/remove", {"sku": "1001", "digest": digest}).status_code == 303
    assert digests(site) == []
    client.post("/photos/remove", {"sku": "1001", "digest": digest})
    assert "该商品没有这张照片" in html.unescape(client.get("/photos?sku=1001").text)


def test_an_unknown_product_is_said(site):
    client = site.client("edit")
    assert upload(client, photo(4), sku="none").status_code == 303
    assert client.get("/photos?sku=none").status_code == 404


def test_the_preview_shows_boxes_texts_and_neighbours(site):
    client = site.client("edit")
    data = photo(5)
    upload(client, data)
    (digest,) = digests(site)
    site.recogniser.products = (detection("1001", "本尊", 0.98), detection("9", "康师傅", 0.12))
    text = seen(client, digest)
    assert site.recogniser.asked == [data]
    assert 'viewBox="0 0 60 80"' in text
    assert '<rect class="lc-box" x="10.0" y="10.0" width="40.0" height="60.0"/>' in text
    assert "好欢螺" in text
    assert "康师傅" in text
    assert "本商品" in text
    assert 'data-lc-verdict="clear"' in text


def test_a_look_alike_is_a_warning(site):
    client = site.client("edit")
    upload(client, photo(5))
    (digest,) = digests(site)
    twin = detection("1002", "<b>加辣加臭</b>", 0.96, threshold=0.95)
    near = detection("1003", "番茄味", 0.6)
    site.recogniser.products = (twin, near)
    text = client.get(f"/photos/preview?sku=1001&digest={digest}").text
    assert "<b>" not in text
    text = html.unescape(text)
    assert 'data-lc-verdict="confused"' in text
    assert "无法区分：照片里的商品会被认作“<b>加辣加臭</b>”（0.96，阈值 0.95）" in text
    assert "与“番茄味”相似（0.60）" in text
    # Of a product with a higher threshold of its own it is none.
    site.recogniser.products = (detection("1002", "加辣", 0.96, threshold=0.99),)
    assert 'data-lc-verdict="confused"' not in seen(client, digest)


def test_a_recogniser_that_is_away_is_said(site):
    client = site.client("edit")
    upload(client, photo(5))
    (digest,) = digests(site)
    site.recogniser.products = None
    assert "识别服务暂时没有响应" in seen(client, digest)


def test_many_photos_at_once_and_one_bad_among_them(site):
    client = site.client("edit")
    files = [("photos", (f"{n}.jpg", photo(n), "image/jpeg")) for n in (6, 7)]
    client.post("/photos/add", {"sku": "1001"}, files=[*files, ("photos", ("bad.jpg", b"<html>", "image/jpeg"))])
    assert len(digests(site)) == 2
    with site.service.store.read() as session:
        assert photos.count(session) == 2


async def test_few_photos_are_previewed_at_once(site, monkeypatch):
    most = at_once = 0

    async def recognize(_):
        nonlocal most, at_once
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        raise RecognizerBusy("nobody there")

    async def found(*_):
        return PhotoInfo(digest="0" * 64, kind="jpeg", width_px=1, height_px=1, size_bytes=1, name=""), b""

    page = PhotosPage(site.service.store, site.service.photos, recognize)
    monkeypatch.setattr(page, "_photo", found)
    monkeypatch.setattr(page, "fragment", lambda *_, **given: given["problem"])
    request = Request({"type": "http", "query_string": b"", "headers": []})
    assert len(await asyncio.gather(*(page.preview(request) for _ in range(20)))) == 20
    assert 1 <= most <= 4
