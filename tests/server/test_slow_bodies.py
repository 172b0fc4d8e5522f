"""Half a body for every route of `livecart run`: none keeps its connection, whatever routes are added."""

import asyncio
import re

from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from livecart.core import http_bodies
from livecart.server import app as server_app
from livecart.shop.admin.guard import Guard
from livecart.shop.repositories import tokens
from livecart.web import server as web_server
from tests.server.catalog_rooms import ROOM, Shop, on_air, rooms_file

WITHIN_S = 1.0
IN_PAGES = ["/login", "/photos/add", "/_api/products/action", "/nowhere"]
FORM = "application/x-www-form-urlencoded"


def hurry(monkeypatch):
    monkeypatch.setattr(web_server, "REQUEST_WITHIN_S", WITHIN_S)
    monkeypatch.setattr(http_bodies.read_body, "__defaults__", (WITHIN_S,))
    monkeypatch.setattr(http_bodies.BodyLimit.__init__, "__defaults__", ((), http_bodies.MOST_BYTES, WITHIN_S))
    monkeypatch.setattr(Guard.__init__, "__defaults__", (WITHIN_S,))


def requests_of(api):
    """Method, path and content type of a request to each route and below each mount."""
    for context in iter_route_contexts(api.routes):
        if isinstance(context.route, Mount):
            yield from (("POST", f"{context.path}{path}", FORM) for path in IN_PAGES)
            continue
        for method in sorted((context.methods or {"GET"}) - {"HEAD"}):
            # The room stays for the others.
            path = context.path.replace("{room}", "none" if method == "DELETE" else ROOM)
            kind = "application/sdp" if path.endswith(("/whip", "/whep")) else "application/json"
            yield method, re.sub(r"\{[^}]*\}", "1001", path), kind
    yield "POST", "/nowhere", "application/json"


async def test_every_route_lets_go_of_who_sends_half_a_body(tmp_path, archive, monkeypatch):
    hurry(monkeypatch)
    made, create_api = [], server_app.create_api

    def kept(*args, **more):
        made.append(create_api(*args, **more))
        return made[0]

    monkeypatch.setattr(server_app, "create_api", kept)
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    shop = Shop(url)
    with shop.store.write("setup") as session:
        token, _ = tokens.issue(session, "admin", "admin")
    shop.store.close()
    catalog = f'url = "{url}"\npublish = false\napi = {{body_s = {WITHIN_S}, large_waiting = 100}}'
    config = rooms_file(tmp_path, recognizer=archive.url, source="http://127.0.0.1:9/live.flv", catalog=catalog)
    async with on_air(config, monkeypatch) as show:
        port = int(show.url.rsplit(":", 1)[1])

        async def status(method, path, kind):
            """The answer's status; "" for none, None where the connection is held."""
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            writer.write(f"{head}Content-Type: {kind}\r\nContent-Length: 1000\r\n\r\n{{".encode())
            try:
                return (await asyncio.wait_for(reader.read(), 60))[9:12].decode()
            except ConnectionError:
                return ""
            except TimeoutError:
                return None
            finally:
                writer.close()

        sent = list(requests_of(made[0]))
        statuses = await asyncio.gather(*(status(*each) for each in sent))
    assert [each for each, said in zip(sent, statuses, strict=True) if said is None] == []
    assert statuses.count("408") > 40
