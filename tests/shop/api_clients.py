"""The API over a store, asked as a client asks it."""

import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from livecart.core.http_replies import error
from livecart.shop.api import ApiSettings, ApiStats, catalog_router
from livecart.shop.availability.open import open_cache
from livecart.shop.database.store import Store
from livecart.shop.publish.snapshot_folder import SnapshotFolder
from livecart.shop.repositories import tokens
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.service import CatalogService
from livecart.shop.settings import CatalogSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

BASE = "http://127.0.0.1/catalog/v1/"
#: Tests ask faster than people do.
FAST = ApiSettings(address_burst=1e6, address_per_s=1e6, token_burst=1e6, token_per_s=1e6)


def service_of(store: Store, folder: Path, **settings) -> CatalogService:
    (folder / "published").mkdir(parents=True, exist_ok=True)
    return CatalogService(
        settings=CatalogSettings(url="sqlite:///not-used.db", **settings),
        store=store,
        photos=BlobFolder(folder / "photos"),
        crops=BlobFolder(folder / "crops"),
        cache=open_cache("memory://", store),
        snapshots=SnapshotFolder(folder / "published"),
        publisher=None,
        folder=folder,
    )


def app_of(service: CatalogService, settings: ApiSettings = FAST, stats: ApiStats | None = None) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.exception_handler(HTTPException)
    async def refused(_, refused):
        # As livecart.web does it, for what is no operation at all.
        return error(refused.status_code, "bad_request", refused.detail)

    app.include_router(catalog_router(service, settings=settings, stats=stats))
    return app


def token_of(store: Store, role: str = "admin", **options) -> str:
    with store.write("setup") as session:
        return tokens.issue(session, f"test {role}", role, **options)[0]


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Its URL, while the block lasts."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def client_of(app: FastAPI, token: str | None, **options) -> TestClient:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return TestClient(app, base_url=BASE, headers=headers, **options)
