"""The routes of photos and snapshots beside the API, in one OpenAPI description."""

import hashlib
import io

import pytest
from fastapi import FastAPI
from PIL import Image

from livecart.shop.api import catalog_router
from livecart.shop.errors import PublishError
from livecart.shop.files import files_router
from livecart.shop.publish.snapshot_folder import SnapshotFolder
from livecart.shop.repositories import negatives, products
from tests.shop.api_clients import FAST, client_of, service_of, token_of
from tests.shop.catalog_stores import others_write_while_decoding, patch
from tests.shop.photo_files import photo, photo_of_a_phone

PHOTOS = "http://127.0.0.1/catalog/photos"


@pytest.fixture
def service(sqlite_store, tmp_path):
    made = service_of(sqlite_store, tmp_path)
    with sqlite_store.write("test") as session:
        products.create(session, patch("1001"))
        negatives.add(session, made.photos, "1001", photo(2))
    yield made
    made.cache.close()


@pytest.fixture
def client(service):
    app = FastAPI()
    app.include_router(files_router(service))
    app.include_router(catalog_router(service, settings=FAST))
    return client_of(app, token_of(service.store, "edit"))


def test_a_photo_is_served_as_long_as_a_product_has_it_and_a_negative_never(client):
    # FastAPI warns of an id that stands there twice, and warnings are errors here.
    assert len(client.app.openapi()["paths"]) > 20
    added = client.post("products/1001/photos", files={"photo": ("p.jpg", photo_of_a_phone())})
    (stored,) = added.json()["photos"]
    anybody = client_of(client.app, None)
    answer = anybody.get(f"{PHOTOS}/{stored['digest']}.jpg")
    assert dict(Image.open(io.BytesIO(answer.content)).getexif()) == {0x0112: 6}
    assert b"iPhone" not in answer.content
    assert hashlib.sha256(answer.content).hexdigest() == stored["digest"]
    assert len(answer.content) == stored["size_bytes"]
    assert "max-age=86400" in answer.headers["Cache-Control"]
    head = anybody.head(f"{PHOTOS}/{stored['digest']}.jpg")
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(stored["size_bytes"]))
    for method in ("GET", "HEAD"):
        assert client.request(method, "http://127.0.0.1/catalog/snapshot").status_code == 404
    assert client.delete(f"products/1001/photos/{stored['digest']}").status_code == 200
    for digest in (stored["digest"], hashlib.sha256(photo(2)).hexdigest()):
        assert anybody.get(f"{PHOTOS}/{digest}.jpg").status_code == 404


def test_others_write_while_a_photo_is_decoded(client, service, monkeypatch):
    decoded = others_write_while_decoding(service.store, monkeypatch)
    sent = {"photo": ("p.jpg", photo(1))}
    answer = client.post("products/1001/photos", files=sent, headers={"Idempotency-Key": "once"})
    assert (answer.status_code, decoded) == (201, [True])


@pytest.mark.parametrize("content", [b"", b"{}", b'{"file": "\xff"}'])
def test_a_current_json_that_is_none_of_ours_is_told(tmp_path, content):
    (tmp_path / "current.json").write_bytes(content)
    with pytest.raises(PublishError, match=r"current\.json: .*; remove it"):
        SnapshotFolder(tmp_path).current()
