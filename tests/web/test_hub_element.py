"""The built element, as a browser asks for it."""

import httpx
import pytest
from fastapi import FastAPI

from livecart.core.errors import SettingsError
from livecart.web.hub import element_router


def client_of(folder):
    api = FastAPI()
    api.include_router(element_router(folder))
    return httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://127.0.0.1")


async def test_files_have_types_and_are_asked_for_once(tmp_path):
    (tmp_path / "live-cart.js").write_text("'推车'", encoding="utf-8")
    (tmp_path / "live-cart.mjs").write_text("export {}")
    (tmp_path / "secret.txt").write_text("no")
    async with client_of(str(tmp_path)) as client:
        script = await client.get("/viewer/live-cart.js")
        assert (script.status_code, script.text) == (200, "'推车'")
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        module = await client.get("/viewer/live-cart.mjs")
        assert module.headers["content-type"].startswith("text/javascript")
        assert module.headers["etag"] != script.headers["etag"]
        again = await client.get("/viewer/live-cart.js", headers={"If-None-Match": script.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("secret.txt", "hls.light.min.js", "..%2Fsecret.txt", "types"):
            assert (await client.get(f"/viewer/{name}")).status_code == 404


def test_a_folder_without_the_element_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="viewer_dist"):
        element_router(str(tmp_path))
