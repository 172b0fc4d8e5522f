"""A viewer by WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import secrets

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from livecart.rate_limits import TokenBucket
from livecart.web.hub.addresses import Asking, BadAfter, read_asking
from livecart.web.hub.hub import Refused, ViewerHub
from livecart.web.hub.messages import (
    NOT_THE_PROTOCOL,
    FeedbackBatch,
    Message,
    Pong,
    ProtocolError,
    ack,
    read_viewer_message,
)
from livecart.web.hub.seats import network_of
from livecart.web.hub.session import run_connection
from livecart.web.hub.viewer_queue import Closing, ViewerQueue

#: Messages of one viewer: it has some to send after a reconnect, then a batch every 2 s and a pong every 15 s.
_MESSAGES_BURST, _MESSAGES_PER_S = 60, 5
#: How long a viewer that does not read has for the last word.
_CLOSE_WITHIN_S = 1.0


async def serve_websocket(hub: ViewerHub, socket: WebSocket, room: str) -> None:
    """Serve one viewer until it leaves, or is refused."""
    # A browser tells its page nothing of a refusal before the handshake: the code comes after it.
    await socket.accept()
    try:
        asking = read_asking(socket, room)
        async with hub.seat(asking), hub.watch(room, asking.after) as (queue, greeting):

            async def write(message: Message) -> None:
                await socket.send_text(message.text)

            await run_connection(queue, greeting, write, lambda: _read(hub, socket, asking, queue), hub.metrics)
            if queue.closing is not None:
                await _close(socket, queue.closing.code, queue.closing.reason)
    except Refused as refused:
        await _close(socket, refused.why.close_code, refused.why.reason)
    except BadAfter as bad:
        hub.metrics.refuse("protocol")
        await _close(socket, NOT_THE_PROTOCOL, str(bad))


async def _read(hub: ViewerHub, socket: WebSocket, asking: Asking, queue: ViewerQueue) -> None:
    viewer, network = secrets.token_hex(8), network_of(asking.ip)
    bucket = TokenBucket(_MESSAGES_BURST, _MESSAGES_PER_S)
    while True:
        received = await socket.receive()
        if received["type"] == "websocket.disconnect":
            return
        try:
            message = read_viewer_message(received.get("text") or received.get("bytes") or "")
        except ProtocolError:
            queue.close(Closing(NOT_THE_PROTOCOL, "protocol"))
            return
        if not bucket.take():
            queue.close(Closing(NOT_THE_PROTOCOL, "rate"))
            return
        queue.touch()
        if isinstance(message, Pong):
            continue
        if isinstance(message, FeedbackBatch):
            if await hub.desk.take(asking.room, viewer, message, network=network):
                hub.metrics.messages_dropped += queue.push(ack(message.batch_id))
        else:
            hub.push_hello(asking.room, queue)


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    if socket.application_state is not WebSocketState.CONNECTED or socket.client_state is not WebSocketState.CONNECTED:
        return
    with contextlib.suppress(WebSocketDisconnect, TimeoutError, OSError):
        # The reason goes into a control frame of at most 123 bytes (RFC 6455, 5.5).
        await asyncio.wait_for(socket.close(code, reason[:100]), _CLOSE_WITHIN_S)
