"""uvicorn in the program's own event loop, with limits on what connections may do."""

import asyncio
import contextlib
import logging
import math
import resource
import socket
from collections.abc import Callable, Iterator, Sequence

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from livecart.core.errors import SettingsError
from livecart.core.rate_limits import TokenBucket

_log = logging.getLogger(__name__)

#: How long a request's line and headers may take, from the connection on, or from their first byte.
REQUEST_WITHIN_S = 20.0
#: A request's line and headers; uvicorn's default.
_MOST_HEAD_BYTES = 64 * 1024
#: Chunks of a body: so many, and one more for so many bytes. A chunk takes 70 us, however small.
_MOST_SMALL_PIECES, _LEAST_PIECE_BYTES = 100, 128
#: Pings, pongs and further pieces of a message (RFC 6455, 5.4 and 5.5) of one viewer. Browsers send a pong for each of
#: the hub's pings at most, other clients a ping every few seconds; the hub counts whole messages.
_FRAMES_BURST, _FRAMES_PER_S = 40, 1
#: Pieces of one message, which has 32 KiB at most.
_MOST_PIECES = 32
#: Descriptors that are no connections, at least; those accepted before the first of them is refused among them.
_OTHER_DESCRIPTORS = 128
_ACCEPTED_AT_ONCE = 32
_REFUSAL_LINES = TokenBucket(1, 0.1)
#: Bytes that are parsed before the connection may be found ended. One read of a socket may hold 40,000 empty frames.
_PARSED_BYTES = 1024


class _BoundedPieces(h11.Connection):
    """h11's own, which makes an event of each chunk, however small."""

    def __init__(self, abort: Callable[[], None]) -> None:
        super().__init__(h11.SERVER, _MOST_HEAD_BYTES)
        self._abort = abort
        self._pieces = self._bytes = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._pieces = self._bytes = 0
        elif isinstance(event, h11.Data):
            self._pieces += 1
            self._bytes += len(event.data)
            if self._pieces > _MOST_SMALL_PIECES + self._bytes // _LEAST_PIECE_BYTES:
                self._abort()
                return h11.NEED_DATA
        return event


def most_connections() -> float:
    """Most connections at once: the descriptors of the process, less those of files, streams and databases.

    Without a descriptor left nothing works, and asyncio (3.11) writes a thousand tracebacks a second.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if limit == resource.RLIM_INFINITY else limit - max(_OTHER_DESCRIPTORS, limit // 8)


class DeadlineProtocol(H11Protocol):
    """uvicorn's own, which waits for ever but between two requests, and takes bodies in any number of pieces."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.conn = _BoundedPieces(transport.abort)
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
            if _REFUSAL_LINES.take():
                _log.warning("connections are refused: %g are open; raise the limit of open files", most_connections())
            return
        self._begin_waiting()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_waiting:
            self._end_waiting()
        elif self._deadline is None:
            self._begin_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_waiting()
        super().connection_lost(exc)

    @property
    def _is_waiting(self) -> bool:
        """True while no request is being answered; a WebSocket has another protocol than this."""
        answering = self.cycle is not None and not self.cycle.response_complete
        return not answering and self.transport.get_protocol() is self

    def _begin_waiting(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_WITHIN_S, self._give_up)

    def _end_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self._is_waiting:
            self.transport.close()


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's own, which takes frames that make no message, and answers pings, without end."""

    _frames: TokenBucket | None = None
    _pieces = 0

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _PARSED_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _PARSED_BYTES])

    def handle_ping(self) -> None:
        if self._takes_frame():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        if self._takes_frame():
            super().handle_pong(event)

    def handle_cont(self, event: Frame) -> None:
        self._pieces = 0 if event.fin else self._pieces + 1
        if self._takes_frame():
            super().handle_cont(event)

    def _takes_frame(self) -> bool:
        """Count a frame that is no message's first one, and end the connection at too many."""
        if self._frames is None:
            self._frames = TokenBucket(_FRAMES_BURST, _FRAMES_PER_S)
        if self._pieces <= _MOST_PIECES and self._frames.take():
            return True
        self.transport.abort()
        return False


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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Asyncio takes the backlog for how many it accepts at once, and sets it."""
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(_BACKLOG)


class HttpServer:
    """Serves one application.

    Args:
        api: what answers.
        host: address to bind.
        port: its port; 0: any free one.
        trusted_proxies: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed.

    Raises:
        SettingsError: the address cannot be bound.
    """

    def __init__(
        self, api: FastAPI, host: str, port: int, trusted_proxies: Sequence[str] = ("127.0.0.1", "::1")
    ) -> None:
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
            http=DeadlineProtocol,
            ws=LimitedWebSocket,
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
            forwarded_allow_ips=list(trusted_proxies),
            timeout_graceful_shutdown=_GRACE_S,
            backlog=_ACCEPTED_AT_ONCE,
        )
        self._server = _Server(config)

    async def run(self) -> None:
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
