"""The application: health, metrics, the routes of rooms, and one form for every error."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from livecart.core.errors import SettingsError
from livecart.core.http_bodies import BodyLimit
from livecart.core.http_replies import error, reply
from livecart.web.access import AccessDenied, DeniedTooOften, TicketCheck, TokenCheck, trusted_hosts
from livecart.web.control import Health, RoomControl
from livecart.web.room_routes import Audit, host_router, rooms_router, whip_router


def create_api(
    control: RoomControl,
    health: Health,
    registry: CollectorRegistry,
    token: str | None,
    *,
    hosts: TicketCheck | None = None,
    publishers: TicketCheck | None = None,
    viewers: Sequence[APIRouter] = (),
    mounts: Mapping[str, ASGIApp] = MappingProxyType({}),
    own_limits: Sequence[str] = (),
    audit: Audit | None = None,
) -> FastAPI:
    """The API over these rooms.

    Args:
        control: the rooms.
        health: answers probes.
        registry: what Prometheus reads.
        token: what everything but `/healthz`, `/readyz` and the viewers' routes asks for; None: nothing.
        hosts: who may ask what a room's host may; None: who has the token.
        publishers: who may send a room's stream; None: who has the token.
        viewers: the viewers' routes, which say themselves who may ask.
        mounts: applications by their path, which say that too, and how long bodies may be.
        own_limits: how paths of `viewers` begin that say how long bodies may be.
        audit: keeps what hosts ask; None: nothing does.
    """
    # The schema is for programs of this machine; strangers are told nothing without the token.
    schema = "/openapi.json" if token is None else None
    api = FastAPI(title="livecart", openapi_url=schema, docs_url=None, redoc_url=None)
    api.add_middleware(BodyLimit, own=[*own_limits, *(f"{path}/" for path in mounts)])
    api.add_middleware(TrustedHostMiddleware, allowed_hosts=trusted_hosts(token))
    guard = [Depends(TokenCheck(token))]

    @api.get("/healthz", tags=["probes"])
    async def healthz() -> Response:
        """Liveness; 503: restart the process."""
        alive = health.is_alive()
        return reply({"status": "ok" if alive else "failed"}, 200 if alive else 503)

    @api.get("/readyz", tags=["probes"])
    async def readyz() -> Response:
        """Readiness: the recogniser is ready and the bus is up."""
        checks = health.checks()
        ready = all(checks.values())
        return reply({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    @api.get("/metrics", tags=["probes"], dependencies=guard)
    async def metrics() -> Response:
        """Prometheus text."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    api.include_router(rooms_router(control), dependencies=guard)
    api.include_router(host_router(control, audit), dependencies=[Depends(hosts or TokenCheck(token))])
    api.include_router(whip_router(control), dependencies=[Depends(publishers or TokenCheck(token))])
    for router in viewers:
        api.include_router(router)
    for path, app in mounts.items():
        api.mount(path, app)
    denials = _Denials()
    registry.register(denials)
    _add_error_handlers(api, denials)
    return api


class _Denials:
    """Counts requests without a valid token, for Prometheus."""

    def __init__(self) -> None:
        self.count = 0

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily("livecart_http_denied", "Requests without a valid token", value=self.count)


def _add_error_handlers(api: FastAPI, denials: _Denials) -> None:
    @api.exception_handler(SettingsError)
    async def bad_settings(_: Request, refused: SettingsError) -> Response:
        return error(422, "bad_settings", str(refused))

    @api.exception_handler(AccessDenied)
    async def denied(_: Request, refused: AccessDenied) -> Response:
        denials.count += 1
        if isinstance(refused, DeniedTooOften):
            message = "too many wrong tokens from this address; wait a moment"
            return error(429, "too_many", message, **{"Retry-After": "1"})
        return error(401, "denied", "send Authorization: Bearer <http.token>", **{"WWW-Authenticate": "Bearer"})

    @api.exception_handler(RequestValidationError)
    async def bad_request(_: Request, refused: RequestValidationError) -> Response:
        first = refused.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return error(422, "bad_request", f"{where}: {first['msg']}")

    @api.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        # In the middle of its body. Nobody reads the answer; without one there would be a traceback in the log.
        return error(400, "bad_request", "the body is not whole")

    @api.exception_handler(HTTPException)
    async def refused(_: Request, refused: HTTPException) -> Response:
        code = "not_found" if refused.status_code == HTTPStatus.NOT_FOUND else "bad_request"
        return error(refused.status_code, code, refused.detail, **(refused.headers or {}))
