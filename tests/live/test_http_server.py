"""The socket that everything is answered through."""

from __future__ import annotations

import socket

from fastapi import FastAPI

from livecart.web import HttpServer


async def test_what_is_answered_waits_for_no_acknowledgement():
    server = HttpServer(FastAPI(), "127.0.0.1", 0)
    port = int(server.url.rsplit(":", 1)[1])
    server._socket.listen()
    with socket.create_connection(("127.0.0.1", port)):
        accepted, _ = server._socket.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    await server.stop(None)
