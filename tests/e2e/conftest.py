"""A real TorchServe with the built archive, started once for all tests of this folder; a browser, the viewer in it."""

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import requests
from PIL import Image

import torchserve_control as control
import torchserve_plan
from sample_photos import sample_photos
from tests.conftest import SERVED
from tests.e2e.browsing import chromium, element
from tests.e2e.served_catalog import ServedCatalog, built_in, following
from tests.e2e.viewer_page import FakeHub, write_stream
from tests.e2e.viewer_visits import Open, visiting
from torchserve_plan import free_port


@pytest.fixture(scope="session")
def followed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The snapshot that `server` follows: where `livecart` publishes it in a catalog's folder, of no products yet."""
    path = tmp_path_factory.mktemp("shop") / "catalog" / "published" / "catalog.snapshot"
    path.parent.mkdir(parents=True)
    path.write_bytes(built_in(archive))
    return path


@pytest.fixture(scope="session")
def server(archive: Path, followed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Server]:
    folder = tmp_path_factory.mktemp("server")
    served = following(archive, folder / archive.name, followed)
    yield control.start(torchserve_plan.Plan(folder=folder, archive=served, port=free_port()))
    assert control.stop(folder), f"the server ended during the tests:\n{control.log_tail(folder)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Function, nextitem: pytest.Item | None) -> Iterator[None]:
    """The server ends with the last file that shares it, and not with the session: it takes as much as all tests."""
    yield
    if item.path.stem in SERVED and (nextitem is None or nextitem.path.stem not in SERVED):
        for made in item.session._fixturemanager.getfixturedefs("server", item) or ():
            made.finish(item._request)


@pytest.fixture(scope="module")
def catalog(archive: Path, followed: Path, server: control.Server) -> Iterator[ServedCatalog]:
    """For files that publish products: the next one finds none."""
    served = ServedCatalog(archive, followed, server)
    yield served
    served.clear()


@pytest.fixture(scope="session")
def url(server: control.Server) -> str:
    return f"{server.inference_url}/predictions/{torchserve_plan.MODEL}"


@pytest.fixture(scope="session")
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


@pytest.fixture(scope="session")
def coffee() -> Path:
    """A photo whose label product_links.json knows."""
    return sample_photos()[0]


@pytest.fixture(scope="session")
def jpegs() -> list[bytes]:
    """Photos that look different to the classifier, as JPEG."""
    made = []
    for path in sample_photos():
        with Image.open(path) as photo:
            for size in ((640, 360), (360, 640), (500, 500)):
                buffer = io.BytesIO()
                photo.convert("RGB").resize(size).save(buffer, "JPEG", quality=90)
                made.append(buffer.getvalue())
    return made


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Any]:
    playwright_api = pytest.importorskip("playwright.async_api", reason="playwright is not installed: make setup")
    executable = chromium()
    async with playwright_api.async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=executable)
        yield launched
        await launched.close()


@pytest.fixture(scope="session")
def viewer_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The viewer's element as the sources are now."""
    return element(tmp_path_factory.mktemp("viewer"))


@pytest.fixture(scope="session")
def viewer_stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The video under the viewer's element; encoding it takes seconds."""
    path = tmp_path_factory.mktemp("stream") / "stream.webm"
    write_stream(path)
    return path


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Any, hub: FakeHub, viewer_script: Path, viewer_stream: Path) -> AsyncIterator[Open]:
    """Opens the viewer's page over `hub`."""
    async with visiting(browser, hub, viewer_script, viewer_stream) as visit_page:
        yield visit_page
