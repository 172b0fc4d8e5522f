"""A viewer by WebSocket."""

import asyncio
import contextlib

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from livecart.core.rate_limits import TokenBucket, network_of
from livecart.web.hub.admission import BadAfter, ViewerRequest, read_viewer_request
from livecart.web.hub.hub import ViewerHub, ViewerRefused
from livecart.web.hub.messages import (
    NOT_THE_PROTOCOL,
    FeedbackBatch,
    Message,
    Pong,
    ProtocolError,
    ack,
    read_viewer_message,
)
from livecart.web.hub.viewer_connection import Closing, ViewerQueue, run_connection

#: Messages of one viewer: it has some to send after a reconnect, then a batch every 2 s and a pong every 15 s.
_MESSAGES_BURST, _MESSAGES_PER_S = 60, 5
#: How long a viewer that does not read has for the last word.
_CLOSE_WITHIN_S = 1.0


async def serve_websocket(hub: ViewerHub, socket: WebSocket, room: str) -> None:
    # A browser tells its page nothing of a refusal before the handshake: the code comes after it.
    await socket.accept()
    try:
        visit = read_viewer_request(socket, room)
        async with hub.admit(visit), hub.watch(room, visit.after) as (queue, greeting):

            async def write(message: Message) -> None:
                await socket.send_text(message.text)

            await run_connection(queue, greeting, write, lambda: _read(hub, socket, visit, queue), hub.metrics)
            if queue.closing is not None:
                await _close(socket, queue.closing.code, queue.closing.reason)
    except ViewerRefused as refused:
        await _close(socket, refused.why.close_code, refused.why.reason)
    except BadAfter as bad:
        hub.metrics.refuse("protocol")
        await _close(socket, NOT_THE_PROTOCOL, str(bad))


async def _read(hub: ViewerHub, socket: WebSocket, visit: ViewerRequest, queue: ViewerQueue) -> None:
    network = network_of(visit.ip)
    bucket = TokenBucket(_MESSAGES_BURST, _MESSAGES_PER_S)
    with hub.intake.numbered(network) as number:
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
                if await hub.intake.take(visit.room, message, network=network, number=number):
                    hub.metrics.messages_dropped += queue.push(ack(message.batch_id))
            else:
                hub.push_hello(visit.room, queue)


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    if socket.application_state is not WebSocketState.CONNECTED or socket.client_state is not WebSocketState.CONNECTED:
        return
    with contextlib.suppress(WebSocketDisconnect, TimeoutError, OSError):
        # The reason goes into a control frame of at most 123 bytes (RFC 6455, 5.5).
        await asyncio.wait_for(socket.close(code, reason[:100]), _CLOSE_WITHIN_S)
