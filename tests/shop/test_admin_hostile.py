"""Requests that no form of the staff's pages makes."""

import asyncio

import pytest

from livecart.shop.admin import admin_app
from livecart.shop.admin.guard import Guard
from livecart.shop.repositories import products, reviews
from tests.shop.photo_files import photo

HUGE = ("9" * 30, "9" * 5000)


@pytest.mark.parametrize("number", HUGE)
def test_numbers_that_no_database_holds_are_no_crop(site, number):
    assert site.client("read").get(f"/reviews/crop?id={number}").status_code == 404


@pytest.mark.parametrize("number", HUGE)
def test_numbers_that_no_database_holds_are_no_decision(site, number):
    client = site.client("edit")
    with site.service.store.write("setup") as session:
        crop = photo(7)
        review = reviews.submit(session, site.service.crops, crop, reason="low_margin", room="room-1", sku="1001")
    for values in ({"id": number, "version": "1"}, {"id": str(review.id), "version": number}):
        assert client.post("/reviews/decide", {**values, "decision": "reject"}).status_code == 422


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("listing", ["products", "rooms", "audit"])
def test_pages_far_behind_the_last_are_empty(site, listing, number):
    answer = site.client("read").get(f"/{listing}/list?page={number}")
    assert answer.status_code in {200, 302, 303, 400}, answer.text


@pytest.mark.parametrize("length", ["9" * 30, "1048577"])
def test_a_form_that_says_it_is_long_is_not_read(site, length):
    answer = site.client().http.post(
        "/admin/login",
        content=b"",
        headers={"Content-Length": length, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 413


def test_a_form_that_is_longer_than_it_said_is_refused_without_a_traceback(site):
    chunks = (b"a" * 65536 for _ in range(32))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = site.client().http.post("/admin/login", content=chunks, headers=form)
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
    # It is read, and found to be no photo.
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
