"""`/rooms/{id}/slots`: a room's numbers on the platform, for whoever may be its host."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy.orm import Session

from livecart.core.http_bodies import BodyRefused, read_body
from livecart.core.http_replies import error, error_with, reply
from livecart.shop.api.error_handlers import answer_to
from livecart.shop.errors import CatalogError
from livecart.shop.repositories import slots
from livecart.shop.service import CatalogService


def slots_router(service: CatalogService, hosts: Callable[..., Any]) -> APIRouter:
    """Its routes.

    Args:
        service: the catalog.
        hosts: a FastAPI dependency that lets a room's host in.
    """
    router = APIRouter(prefix="/rooms", tags=["rooms"], dependencies=[Depends(hosts)])

    @router.get("/{room}/slots")
    async def read(room: str) -> Response:
        """The room's list, by number."""

        def work() -> list[slots.Slot]:
            with service.store.read() as session:
                return slots.of_room(session, room)

        return await _answer(work)

    @router.put("/{room}/slots")
    async def replace(room: str, request: Request) -> Response:
        """Make the list what the body says: text, in each line a number and a sku, as a spreadsheet copies them."""
        try:
            text = (await read_body(request, slots.MOST_BYTES)).decode("utf-8-sig")
        except BodyRefused as refused:
            return error(refused.status, "bad_request", f"slots: {refused}")
        except UnicodeDecodeError as fault:
            return error(422, "bad_request", f"slots: is not UTF-8 text: {fault.reason} at byte {fault.start}")
        who = "host" if getattr(request.state, "by_ticket", False) else "http"

        def work(session: Session) -> list[slots.Slot]:
            return slots.replace(session, room, text)

        return await _answer(lambda: service.store.edit(who, work))

    return router


async def _answer(work: Callable[[], list[slots.Slot]]) -> Response:
    try:
        return reply({"slots": await asyncio.to_thread(work)})
    except slots.BadLines as bad:
        lines = [
            {"line": line, "reason": why.reason, "zh-CN": why.text("zh"), "en": why.text()}
            for line, why in bad.lines.items()
        ]
        return error_with(422, "bad_lines", str(bad), {"lines": lines}, {})
    except CatalogError as fault:
        return answer_to(fault)[1]
