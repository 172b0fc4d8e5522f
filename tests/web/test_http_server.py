"""The socket that everything is answered through."""

import json
import socket
from contextlib import AsyncExitStack

import httpx
import pytest
import websockets
from fastapi import FastAPI, Request

from livecart.core.errors import SettingsError
from livecart.core.settings import HttpSettings
from livecart.web import HttpServer
from tests.web.hub_clients import running_hub, serving


async def test_what_is_answered_waits_for_no_acknowledgement():
    server = HttpServer(FastAPI(), "127.0.0.1", 0)
    port = int(server.url.rsplit(":", 1)[1])
    server._socket.listen()
    with socket.create_connection(("127.0.0.1", port)):
        accepted, _ = server._socket.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    await server.stop(None)


@pytest.mark.parametrize(
    ("trusted", "forwarded", "seen"),
    [
        (("127.0.0.1",), "203.0.113.7", "203.0.113.7"),
        (("127.0.0.0/8",), "203.0.113.7", "203.0.113.7"),
        (("127.0.0.1",), "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # what the client itself sent comes first
        (("127.0.0.1", "10.0.0.0/8"), "203.0.113.7, 10.1.2.3", "203.0.113.7"),
        (("10.0.0.0/8",), "203.0.113.7", "127.0.0.1"),
    ],
)
async def test_a_client_behind_a_trusted_proxy_is_known_by_its_own_address(trusted, forwarded, seen):
    api = FastAPI()

    @api.get("/")
    async def who(request: Request) -> str:
        return request.client.host

    async with serving(api, *trusted) as url, httpx.AsyncClient() as client:
        answer = await client.get(url, headers={"X-Forwarded-For": forwarded})
    assert answer.json() == seen


@pytest.mark.parametrize(
    ("trusted", "told"), [(("127.0.0.0/8",), ["hello"] * 7), (("10.0.0.1",), ["hello"] * 2 + [1013] * 5)]
)
async def test_a_hub_behind_a_proxy_counts_viewers_by_their_own_addresses(caplog, trusted, told):
    async with (
        running_hub(open=True, most_per_ip=2) as hub,
        serving(hub.api, *trusted) as url,
        AsyncExitStack() as viewers,
    ):
        heard = []
        for number in range(7):
            opened = websockets.connect(
                f"{url.replace('http', 'ws')}/rooms/room-1/events",
                additional_headers={"X-Forwarded-For": f"203.0.113.{number}"},
            )
            viewer = await viewers.enter_async_context(opened)
            try:
                heard.append(json.loads(await viewer.recv())["type"])
            except websockets.ConnectionClosed as closed:
                heard.append(closed.rcvd.code)
    assert heard == told
    # Once, for whoever looks why.
    named = [record.getMessage() for record in caplog.records if "http.trusted_proxies" in record.getMessage()]
    assert len(named) == (1013 in told)


def test_a_proxy_that_is_no_address_is_refused():
    with pytest.raises(SettingsError, match=r"trusted_proxies: 'nginx' is no address or network"):
        HttpSettings(trusted_proxies=("nginx",))
