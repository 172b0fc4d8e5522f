"""Connections that ask for nothing, never end asking, or ping without end are let go: one machine could take all."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from livecart.rate_limits import TokenBucket

#: How long a request's line and headers may take, from the connection on, or from their first byte.
REQUEST_WITHIN_S = 20.0
#: Pings (RFC 6455, 5.5.2) of one viewer. Browsers send none, other clients one every few seconds.
_PINGS_BURST, _PINGS_PER_S = 20, 1


class PatientProtocol(H11Protocol):
    """uvicorn's own, which waits for ever but between two requests."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        super().connection_made(transport)
        self._begin_waiting()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        super().data_received(data)
        if not self._is_waiting:
            self._end_waiting()
        elif self._deadline is None:
            self._begin_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._end_waiting()
        super().connection_lost(exc)

    @property
    def _is_waiting(self) -> bool:
        """Whether no request is being answered; a WebSocket has another protocol than this."""
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


class PatientWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's own, which keeps an answer to every ping for a peer that reads none of them."""

    _pings: TokenBucket | None = None

    def handle_ping(self) -> None:
        """Answer one ping."""
        if self._pings is None:
            self._pings = TokenBucket(_PINGS_BURST, _PINGS_PER_S)
        if self._pings.take():
            super().handle_ping()
        else:
            self.transport.abort()
