"""Photos and negatives in the staff's pages and the API: what is taken, seen in it, and said of look-alikes."""

import asyncio
import html
from dataclasses import replace

import pytest
from starlette.requests import Request

from livecart.core.errors import RecognizerBusy
from livecart.shop.admin.views.photos import PhotosPage
from livecart.shop.errors import InvalidValue
from livecart.shop.repositories import audit, bulk, image_fetches, negatives, photos, products
from livecart.shop.repositories.photo_check import read_photo
from livecart.shop.schemas.product import PhotoInfo
from tests.shop.admin_pages import Client, Pages, detection
from tests.shop.api_clients import app_of, client_of, token_of
from tests.shop.catalog_stores import add, others_write_while_decoding, patch
from tests.shop.photo_files import layouts, photo


@pytest.fixture
def site(fresh_site):
    add(fresh_site.service.store, patch("1001"))
    return fresh_site


def upload(client: Client, data: bytes, name: str = "front.jpg", sku: str = "1001"):
    return client.post("/photos/add", {"sku": sku}, files={"photos": (name, data, "image/jpeg")})


def digests(site: Pages) -> list[str]:
    with site.service.store.read() as session:
        return [photo.digest for photo in products.get(session, "1001").photos]


def seen(client: Client, digest: str) -> str:
    answer = client.get(f"/photos/preview?sku=1001&digest={digest}")
    assert answer.status_code == 200
    return html.unescape(answer.text)


def test_a_photo_is_kept_shown_to_staff_and_removed(site):
    client = site.client("edit")
    data = photo(3, "webp")
    answer = upload(client, data, "../../front.exe")
    (digest,) = digests(site)
    assert (answer.status_code, answer.headers["location"].split("?")[1]) == (303, f"sku=1001&fresh={digest}")
    got = site.client("read").get(f"/photos/file?digest={digest}")
    assert (got.content, got.headers["content-type"]) == (data, "image/webp")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    assert site.client().get(f"/photos/file?digest={digest}").status_code == 303
    page = html.unescape(client.get("/photos?sku=1001").text)
    assert "front.exe" in page
    assert "../" not in page
    assert client.post("/photos/remove", {"sku": "1001", "digest": digest}).status_code == 303
    assert digests(site) == []
    client.post("/photos/remove", {"sku": "1001", "digest": digest})
    assert "该商品没有这张照片" in html.unescape(client.get("/photos?sku=1001").text)
    assert upload(client, data, sku="none").status_code == 303
    assert client.get("/photos?sku=none").status_code == 404


def test_others_write_while_photos_of_a_form_are_decoded(site, monkeypatch):
    decoded = others_write_while_decoding(site.service.store, monkeypatch)
    assert upload(site.client("edit"), photo(5)).status_code == 303
    assert (len(digests(site)), decoded) == (1, [True])


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
    site.recogniser.products = None
    assert "识别服务暂时没有响应" in seen(client, digest)
    # Of a product with a higher threshold of its own it is none.
    site.recogniser.products = (detection("1002", "加辣", 0.96, threshold=0.99),)
    assert 'data-lc-verdict="confused"' not in seen(client, digest)


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


NAME = '好欢螺"><script>alert(1)</script>'


@pytest.fixture
def taught(fresh_site):
    with fresh_site.service.store.write("setup") as session:
        products.create(session, patch("1001", name=NAME))
        products.create(session, patch("1002"))
        for seed in (1, 2):
            negatives.add(session, fresh_site.service.photos, "1001", photo(seed))
    return fresh_site


def digests_of(taught) -> list[str]:
    with taught.service.store.read() as session:
        return [negative.digest for negative in negatives.of_product(session, "1001")]


def api_of(taught, role: str = "edit"):
    return client_of(app_of(taught.service), token_of(taught.service.store, role))


def test_the_api_lists_shows_and_removes_them(taught):
    client, (newer, older) = api_of(taught), digests_of(taught)
    listed = client.get("products/1001/negatives").json()["negatives"]
    assert [(entry["digest"], entry["kind"]) for entry in listed] == [(newer, "jpeg"), (older, "jpeg")]
    assert client.get("products/1002/negatives").json() == {"negatives": []}
    shown = client.get(f"products/1001/negatives/{newer}")
    assert (shown.content, shown.headers["Content-Type"]) == (photo(2), "image/jpeg")
    for method, path in (
        ("GET", "products/none/negatives"),
        ("GET", f"products/1002/negatives/{newer}"),
        ("GET", f"products/1001/negatives/{'a' * 64}"),
        ("DELETE", f"products/1002/negatives/{newer}"),
    ):
        assert client.request(method, path).status_code == 404, path
    assert client.get("products/1001/negatives/..%2f..%2fadmin.secret").status_code in {404, 422}
    assert api_of(taught, "read").delete(f"products/1001/negatives/{newer}").status_code == 403
    version = client.get("products/1001").json()["version"]
    keyed = {"Idempotency-Key": "once"}
    gone = client.delete(f"products/1001/negatives/{newer}", headers=keyed)
    assert (gone.status_code, gone.json()["version"]) == (200, version + 1)
    assert client.delete(f"products/1001/negatives/{newer}", headers=keyed).content == gone.content
    assert digests_of(taught) == [older]
    with taught.service.store.read() as session:
        newest = audit.latest(session, subject="negative", limit=1)[0]
    assert (newest.action, newest.name, newest.before) == ("delete", "1001", {"digest": newer})
    taught.service.photos.remove(older, "jpg")
    answer = client.get(f"products/1001/negatives/{older}")
    assert answer.status_code == 404
    assert "the folder photos holds no" in answer.json()["error"]["message"]
    assert str(taught.service.folder) not in answer.text


def test_the_photo_page_shows_them_and_takes_them_away(taught):
    client, reader, (newer, older) = taught.client("edit"), taught.client("read"), digests_of(taught)
    page = client.get("/photos?sku=1001").text
    assert "<script>alert" not in page
    assert "反例" in page
    assert "反例" not in client.get("/photos?sku=1002").text
    assert all(f"digest={digest}" in html.unescape(page) for digest in (newer, older))
    shown = client.get(f"/photos/negative?sku=1001&digest={newer}")
    assert (shown.content, shown.headers["Content-Type"]) == (photo(2), "image/jpeg")
    for digest in ("../../admin.secret", "/etc/passwd", "", "%00", "a" * 64, "x" * 5000):
        assert client.get(f"/photos/negative?sku=1001&digest={digest}").status_code == 404
    assert client.get(f"/photos/negative?sku=1002&digest={newer}").status_code == 404
    assert taught.client().get(f"/photos/negative?sku=1001&digest={newer}").status_code == 303
    assert "negative/remove" not in reader.get("/photos?sku=1001").text
    assert reader.post("/photos/negative/remove", {"sku": "1001", "digest": newer}).status_code == 403
    assert client.post("/photos/negative/remove", {"sku": "1001", "digest": newer}).status_code == 303
    assert digests_of(taught) == [older]
    client.get("/photos?sku=1001")
    client.post("/photos/negative/remove", {"sku": "1001", "digest": newer})
    assert "该商品没有这张反例" in client.get("/photos?sku=1001").text


def test_pictures_of_a_feed_that_wait_for_a_person_are_shown_used_or_left_out(site):
    service = site.service
    with service.store.write("feed") as session:
        urls = tuple(f"https://cdn.example.com/{name}.jpg" for name in ("collage", "chart", "gone"))
        bulk.upsert(session, [patch("1001", image_urls=urls)], source="douyin")
        collage, chart, gone = image_fetches.take(session, 10)
        for due, name in ((collage, "collage"), (chart, "chart")):
            kept = replace(read_photo(layouts()[name]), layout="collage" if name == "collage" else "text")
            assert not image_fetches.keep(session, service.photos, due, kept, etag=None, again_s=None)
        image_fetches.refuse(session, gone, InvalidValue("photo", "image_status", status=410), again_s=None)
        held = {each.url[24:-4]: each.digest for each in image_fetches.of_product(session, "1001")}
    client, reader = site.client("edit"), site.client("read")
    overview = html.unescape(reader.get("/sync").text)
    for text in ("douyin", "image_status", "服务器回复状态 410", "image_collage", "/photos?sku=1001"):
        assert text in overview, text
    page = html.unescape(reader.get("/photos?sku=1001").text)
    assert "像是尺码表" in page
    assert "held/use" not in page, "who only reads decides nothing"
    assert "held/use" in client.get("/photos?sku=1001").text
    form = {"sku": "1001", "digest": held["collage"]}
    shown = reader.get(f"/photos/held?sku=1001&digest={held['collage']}")
    assert (shown.status_code, shown.content) == (200, read_photo(layouts()["collage"]).data)
    assert reader.get(f"/photos/held?sku=none&digest={held['collage']}").status_code == 404
    assert reader.post("/photos/held/use", form).status_code == 403
    for _ in range(2):
        assert client.post("/photos/held/use", form).status_code == 303
    assert "没有这张待确认的图片" in html.unescape(client.get("/photos?sku=1001").text)
    client.post("/photos/held/leave-out", form | {"digest": held["chart"]})
    assert digests(site) == [held["collage"]]
    assert reader.get(f"/photos/held?sku=1001&digest={held['chart']}").status_code == 404
