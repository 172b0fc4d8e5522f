"""A viewer by server-sent events, where networks block WebSockets; what it did comes by POST."""

import asyncio
import contextlib

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from livecart.core.http_bodies import BodyRefused, read_body
from livecart.core.http_replies import error
from livecart.core.rate_limits import TokenBuckets, network_of
from livecart.web.hub.admission import BadAfter, ViewerRequest, read_viewer_request
from livecart.web.hub.feedback import BATCHES_BURST, BATCHES_PER_S
from livecart.web.hub.hub import ViewerHub, ViewerRefused
from livecart.web.hub.messages import (
    LONGEST_VIEWER_MESSAGE_BYTES,
    FeedbackBatch,
    Message,
    ProtocolError,
    ack,
    read_viewer_message,
)
from livecart.web.hub.viewer_connection import run_connection

#: How long a viewer that does not read has for the stream's end.
_END_WITHIN_S = 1.0


class EventStream(Response):
    """Answers one viewer until it leaves, or says why it is refused."""

    media_type = "text/event-stream"

    def __init__(self, hub: ViewerHub, visit: ViewerRequest) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"} | allow_page(hub, visit))
        # A stream has no length.
        del self.headers["content-length"]
        self._hub = hub
        self._visit = visit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with (
                self._hub.admit(self._visit),
                self._hub.watch(self._visit.room, self._visit.after) as (queue, greeting),
            ):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

                async def write(message: Message) -> None:
                    await send({"type": "http.response.body", "body": message.server_sent, "more_body": True})
                    # There is no pong: whoever takes what is sent is there.
                    queue.touch()

                async def read() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass

                await run_connection(queue, greeting, write, read, self._hub.metrics)
                if queue.closing is not None:
                    with contextlib.suppress(TimeoutError, OSError):
                        await asyncio.wait_for(send({"type": "http.response.body", "body": b""}), _END_WITHIN_S)
        except ViewerRefused as refused:
            await _refuse(self._hub, self._visit, refused)(scope, receive, send)


def event_stream(hub: ViewerHub, request: Request, room: str) -> Response:
    try:
        return EventStream(hub, read_viewer_request(request, room))
    except BadAfter as bad:
        return error(400, "bad_request", str(bad))


class FeedbackPost:
    """Takes batches by POST."""

    def __init__(self, hub: ViewerHub) -> None:
        self._hub = hub
        self._buckets = TokenBuckets(BATCHES_BURST, BATCHES_PER_S)

    async def __call__(self, request: Request, room: str) -> Response:
        metrics = self._hub.metrics
        try:
            visit = read_viewer_request(request, room)
        except BadAfter as bad:
            return error(400, "bad_request", str(bad))
        page = allow_page(self._hub, visit)
        if not self._buckets.take(network_of(visit.ip)):
            metrics.refuse_feedback("rate")
            return error(429, "too_many", "too many reports from this address; wait a moment", **page)
        why = await self._hub.admission.check(visit)
        if why is not None:
            metrics.refuse(why.reason)
            return error(why.http_status, why.reason, why.message, **page)
        try:
            batch = await _batch(request)
        except ProtocolError as refused:
            metrics.refuse_feedback("protocol")
            return error(422, "bad_request", str(refused), **page)
        if not await self._hub.intake.take(room, batch, network=network_of(visit.ip)):
            return error(503, "not_kept", "the reports could not be kept now; send them again", **page)
        return Response(ack(batch.batch_id).text, media_type="application/json", headers=page)


def preflight(hub: ViewerHub, request: Request, room: str) -> Response:
    """Answer a CORS preflight (Fetch standard) of another origin's page."""
    try:
        headers = allow_page(hub, read_viewer_request(request, room))
    except BadAfter as bad:
        return error(400, "bad_request", str(bad))
    if headers:
        headers |= {"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "Content-Type"}
        headers["Access-Control-Max-Age"] = "600"
    return Response(status_code=204, headers=headers)


def allow_page(hub: ViewerHub, visit: ViewerRequest) -> dict[str, str]:
    """Headers by which a page of another origin may read the answer; none where it may not."""
    if visit.origin is None or visit.is_same_host or not hub.admission.allows_origin(visit):
        return {}
    return {"Access-Control-Allow-Origin": visit.origin, "Vary": "Origin"}


async def _batch(request: Request) -> FeedbackBatch:
    try:
        batch = read_viewer_message(await read_body(request, LONGEST_VIEWER_MESSAGE_BYTES))
    except BodyRefused as refused:
        raise ProtocolError(str(refused)) from None
    if not isinstance(batch, FeedbackBatch):
        raise ProtocolError("send a message of type feedback")
    return batch


def _refuse(hub: ViewerHub, visit: ViewerRequest, refused: ViewerRefused) -> Response:
    why = refused.why
    return error(why.http_status, why.reason, why.message, **allow_page(hub, visit))
