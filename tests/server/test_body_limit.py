"""Bodies that are too long, before anybody knows who sent them."""

import httpx
import pytest
from fastapi import FastAPI, Request

from livecart.core.http_bodies import MOST_BYTES
from livecart.web import create_api
from tests.server.test_live_api import TOKEN, api_of, client_of

PIECE = b"a" * 65536
ROUTES = [
    ("PUT", "/rooms/a"),
    ("POST", "/rooms/a/mute"),
    ("POST", "/rooms/a/pin"),
    ("POST", "/rooms/a/withdraw"),
    ("POST", "/nowhere"),
]


class Endless:
    """Pieces without end, counted."""

    def __init__(self):
        self.sent = 0

    async def __aiter__(self):
        while self.sent < 10 * MOST_BYTES:
            self.sent += len(PIECE)
            yield PIECE


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_strangers_body_is_not_read_beyond_the_limit(engine, tmp_path, method, path):
    api, _ = api_of(engine, tmp_path, token=TOKEN)
    async with client_of(api) as client:
        said = await client.request(method, path, content=b"a" * (MOST_BYTES + 1))
        assert (said.status_code, said.json()["error"]["code"]) == (413, "bad_request")
        body = Endless()
        answer = await client.request(method, path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {413, 404}
        assert body.sent <= MOST_BYTES + 2 * len(PIECE)


async def test_what_has_limits_of_its_own_is_left_to_them(engine, tmp_path):
    mounted = FastAPI()

    @mounted.post("/take")
    async def take(request: Request) -> int:
        return len(await request.body())

    _, health = api_of(engine, tmp_path)
    api = create_api(None, health, engine.metrics.registry, TOKEN, mounts={"/large": mounted})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://127.0.0.1") as client:
        assert (await client.post("/large/take", content=b"a" * 2 * MOST_BYTES)).json() == 2 * MOST_BYTES
        assert (await client.post("/largely", content=b"a" * 2 * MOST_BYTES)).status_code == 413
