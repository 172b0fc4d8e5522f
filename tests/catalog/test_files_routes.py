"""The routes of photos and snapshots beside the API, in one OpenAPI description."""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from livecart.catalog.api import catalog_router
from livecart.catalog.files import files_router
from livecart.catalog.publish.snapshot_folder import SnapshotFolder
from livecart.catalog.records import photos, products
from livecart.errors import PublishError
from tests.catalog.api_clients import client_of, service_of, token_of
from tests.catalog.catalog_stores import patch
from tests.catalog.photo_files import photo


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


@pytest.mark.parametrize("content", [b"", b"{}", b'{"file": "\xff"}'])
def test_a_current_json_that_is_none_of_ours_is_told(tmp_path, content):
    (tmp_path / "current.json").write_bytes(content)
    with pytest.raises(PublishError, match=r"current\.json: .*; remove it"):
        SnapshotFolder(tmp_path).current()
