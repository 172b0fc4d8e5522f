"""uvicorn in the program's own event loop: it binds first, leaves signals alone, and ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from livecart.errors import SettingsError
from livecart.web.patience import PatientProtocol, PatientWebSocket

#: How long open requests may take at the end.
_GRACE_S = 1

#: When a process was away, all its viewers come back within seconds.
_BACKLOG = 2048
#: A viewer's message; the hub refuses what is longer than half of it, with a reason.
_MOST_WEBSOCKET_BYTES = 64 * 1024
#: A peer that takes nothing for so long is gone, even where its machine still answers (Linux: tcp(7)).
_TCP_USER_TIMEOUT_MS = 60_000


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the program's."""
        yield


class HttpServer:
    """Serves one application.

    Args:
        api: what answers.
        host: address to bind.
        port: its port; 0: any free one.

    Raises:
        SettingsError: the address cannot be bound.
    """

    def __init__(self, api: FastAPI, host: str, port: int) -> None:
        try:
            self._socket = socket.create_server((host, port), family=_family(host), backlog=_BACKLOG)
        except OSError as error:
            raise SettingsError(
                f"http: {host}:{port} cannot be bound: {error.strerror or error}; set another http.port"
            ) from error
        # Accepted connections inherit it; asyncio sets it only where a socket names its protocol. Without it a body
        # waits 40 ms for the acknowledgement of its headers.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            api,
            http=PatientProtocol,
            ws=PatientWebSocket,
            log_config=None,
            access_log=False,
            # Its lines about WebSockets hold the address with the viewer's ticket.
            log_level="warning",
            # The hub's messages are small, and pinged by the hub.
            ws_per_message_deflate=False,
            ws_max_size=_MOST_WEBSOCKET_BYTES,
            ws_ping_interval=None,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        self._server = _Server(config)

    async def run(self) -> None:
        """Serve until `stop`."""
        await self._server.serve(sockets=[self._socket])

    async def stop(self, task: asyncio.Task[None] | None) -> None:
        """End `run`, which runs as `task`; open requests get a moment."""
        self._server.should_exit = True
        if task is not None:
            done, _ = await asyncio.wait({task}, timeout=_GRACE_S + 1)
            if not done:
                task.cancel()
        self._socket.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
