"""The commands of `livecart webhooks` as functions over the open catalog."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import asdict

from livecart.cli.catalog_work import CommandResult, who
from livecart.shop.repositories import webhooks
from livecart.shop.service import CatalogService
from livecart.shop.webhooks.outbox import RECORD_TIMEOUT_S, Answer
from livecart.shop.webhooks.post import Poster

_NONE = ["（空 none）"]


def add(service: CatalogService, url: str, types: Sequence[str]) -> CommandResult:
    """Add an endpoint; its secret is shown this once."""
    with service.store.write(who()) as session:
        endpoint_id, secret = webhooks.add(session, url, types, service.settings.internal_hosts)
    return CommandResult({"id": endpoint_id, "secret": secret}, [], secret=secret)


def list_endpoints(service: CatalogService) -> CommandResult:
    """All endpoints, without their secrets."""
    with service.store.read() as session:
        every = webhooks.every(session)
    lines = [
        f"{one.id:>4}  {_state(one):<8}  {','.join(one.types)}  {one.url}  {one.last_error or ''}".rstrip()
        for one in every
    ]
    return CommandResult({"endpoints": [asdict(one) for one in every]}, lines or _NONE)


def remove(service: CatalogService, endpoint_id: int) -> CommandResult:
    """Remove an endpoint."""
    with service.store.write(who()) as session:
        webhooks.remove(session, endpoint_id)
    return CommandResult({"removed": endpoint_id}, [f"已移除 removed: {endpoint_id}"])


def rotate(service: CatalogService, endpoint_id: int) -> CommandResult:
    """A new secret; it is shown this once."""
    with service.store.write(who()) as session:
        secret = webhooks.rotate(session, endpoint_id)
    return CommandResult({"id": endpoint_id, "secret": secret}, [], secret=secret)


def try_out(service: CatalogService, url: str) -> CommandResult:
    """Send a test message now."""
    with service.store.read() as session:
        endpoint = webhooks.by_url(session, url)
        secrets = webhooks.secrets_of(endpoint, service.store.now_s())
        endpoint_id = endpoint.id
    answer = asyncio.run(_send(service, url, secrets))
    if not answer.error:
        with service.store.write(who()) as session:
            webhooks.enable(session, endpoint_id)
    lines = [f"已送达 taken: status {answer.status}" if not answer.error else f"未送达 not taken: {answer.error}"]
    return CommandResult(asdict(answer), lines, is_good=not answer.error)


def dead(service: CatalogService) -> CommandResult:
    """Dead letters."""
    with service.store.read() as session:
        letters = webhooks.dead_letters(session)
    lines = [f"{one.message_id}  {one.type}  → {one.endpoint_id}  ({one.attempts}) {one.error}" for one in letters]
    return CommandResult({"dead": [asdict(one) for one in letters]}, lines or _NONE)


def replay(service: CatalogService, message_id: str | None) -> CommandResult:
    """Send again."""
    with service.store.write(who()) as session:
        count = webhooks.replay(session, message_id)
    return CommandResult({"deliveries": count}, [f"将重发 to be sent again: {count}"])


async def _send(service: CatalogService, url: str, secrets: Sequence[str]) -> Answer:
    at_s = service.store.now_s()
    body = webhooks.envelope("webhook.test", at_s, {"text": "livecart"})
    async with Poster(service.settings.internal_hosts) as poster:
        return await poster.post(
            url, message_id=f"test-{uuid.uuid4().hex}", body=body, secrets=secrets, timeout_s=RECORD_TIMEOUT_S
        )


def _state(endpoint: webhooks.Endpoint) -> str:
    return endpoint.disabled or ("failing" if endpoint.failing_since_s is not None else "ok")
