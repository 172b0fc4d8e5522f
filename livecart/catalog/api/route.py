"""The kind of route that all operations are: through the gate in, and out with one form for every error."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from livecart.catalog.api.faults import answer_to
from livecart.catalog.api.gate import Gate, Needs
from livecart.catalog.api.stats import ApiStats

#: Where an operation's needs stand in its OpenAPI.
ROLE, MOST_BYTES = "x-role", "x-most-bytes"


def guarded(gate: Gate, stats: ApiStats) -> type[APIRoute]:
    """The route class of a router behind this gate. It is no dependency: those run when the body has been read."""

    class GuardedRoute(APIRoute):
        """A route behind the gate."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """See FastAPI."""
            handle = super().get_route_handler()
            said = self.openapi_extra or {}
            needs = Needs(said[ROLE], said[MOST_BYTES])

            async def through_gate(request: Request) -> Response:
                try:
                    async with gate.passed(request, needs) as whole:
                        response = await handle(whole)
                except Exception as fault:  # noqa: BLE001  every fault has an answer, ours are logged
                    code, response = answer_to(fault)
                    stats.refused[code] += 1
                    stats.failures += response.status_code == 500
                stats.answered += 1
                response.headers.setdefault("Cache-Control", "no-store")
                response.headers["X-Content-Type-Options"] = "nosniff"
                return response

            return through_gate

    return GuardedRoute
