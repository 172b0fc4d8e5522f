"""The routes of photos and snapshots beside the API, in one OpenAPI description."""

import hashlib
import io
import sqlite3

import pytest
from fastapi import FastAPI
from PIL import Image

from livecart.shop.api import catalog_router
from livecart.shop.errors import PublishError
from livecart.shop.files import files_router
from livecart.shop.publish.snapshot_folder import SnapshotFolder
from livecart.shop.repositories import negatives, photo_check, photos, products
from tests.shop.api_clients import FAST, client_of, service_of, token_of
from tests.shop.catalog_stores import patch
from tests.shop.photo_files import photo, photo_of_a_phone


def test_every_operation_is_described_once_and_head_is_answered(sqlite_store, tmp_path):
    service = service_of(sqlite_store, tmp_path)
    with sqlite_store.write("test") as session:
        products.create(session, patch("1001"))
        (stored,) = photos.add(session, service.photos, "1001", photo(1)).photos
    app = FastAPI()
    app.include_router(files_router(service))
    app.include_router(catalog_router(service))
    # FastAPI warns of an id that stands there twice, and warnings are errors here.
    paths = app.openapi()["paths"]
    ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(ids) == len(set(ids)) > 30
    client = client_of(app, token_of(sqlite_store, "read"))
    for method, length in (("GET", len(photo(1))), ("HEAD", 0)):
        answer = client.request(method, f"http://127.0.0.1/catalog/photos/{stored.digest}.jpg")
        assert (answer.status_code, len(answer.content)) == (200, length)
        assert answer.headers["Content-Length"] == str(len(photo(1)))
        assert client.request(method, "http://127.0.0.1/catalog/snapshot").status_code == 404
    service.cache.close()


def test_a_photo_is_served_as_long_as_a_product_has_it_and_a_negative_never(sqlite_store, tmp_path):
    service = service_of(sqlite_store, tmp_path)
    with sqlite_store.write("test") as session:
        products.create(session, patch("1001"))
        negatives.add(session, service.photos, "1001", photo(2))
    app = FastAPI()
    app.include_router(files_router(service))
    app.include_router(catalog_router(service, settings=FAST))
    client = client_of(app, token_of(sqlite_store, "edit"))
    added = client.post("products/1001/photos", files={"photo": ("p.jpg", photo_of_a_phone())})
    (stored,) = added.json()["photos"]

    def anybody_asks(digest: str):
        return client_of(app, None).get(f"http://127.0.0.1/catalog/photos/{digest}.jpg")

    answer = anybody_asks(stored["digest"])
    assert dict(Image.open(io.BytesIO(answer.content)).getexif()) == {0x0112: 6}
    assert b"iPhone" not in answer.content
    assert hashlib.sha256(answer.content).hexdigest() == stored["digest"]
    assert len(answer.content) == stored["size_bytes"]
    assert "max-age=86400" in answer.headers["Cache-Control"]
    assert client.delete(f"products/1001/photos/{stored['digest']}").status_code == 200
    assert anybody_asks(stored["digest"]).status_code == 404
    assert anybody_asks(hashlib.sha256(photo(2)).hexdigest()).status_code == 404
    service.cache.close()


def test_others_write_while_a_photo_is_decoded(sqlite_store, tmp_path, monkeypatch):
    service, decoded = service_of(sqlite_store, tmp_path), []

    def decode(*_args, **_options):
        connection = sqlite3.connect(sqlite_store.engine.url.database, timeout=0.1)
        connection.execute("BEGIN IMMEDIATE")
        connection.close()
        decoded.append(True)
        return {"problem": "", "width_px": 64, "height_px": 64, "jpeg": b""}

    monkeypatch.setattr(photo_check, "run_untrusted", decode)
    with sqlite_store.write("test") as session:
        products.create(session, patch("1001"))
    app = FastAPI()
    app.include_router(catalog_router(service, settings=FAST))
    client = client_of(app, token_of(sqlite_store, "edit"))
    answer = client.post(
        "products/1001/photos", files={"photo": ("p.jpg", photo(1))}, headers={"Idempotency-Key": "once"}
    )
    assert (answer.status_code, decoded) == (201, [True])
    service.cache.close()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"file": "\xff"}'])
def test_a_current_json_that_is_none_of_ours_is_told(tmp_path, content):
    (tmp_path / "current.json").write_bytes(content)
    with pytest.raises(PublishError, match=r"current\.json: .*; remove it"):
        SnapshotFolder(tmp_path).current()
