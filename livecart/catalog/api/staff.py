"""Routes of what few may do: link hosts, tokens, the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from livecart.catalog.api.answers.staff import AuditPage, HostsAnswer, IssuedAnswer, TokensAnswer
from livecart.catalog.api.bodies import TokenBody
from livecart.catalog.api.faults import Refused
from livecart.catalog.api.operations import Cursor, IdPath, Limit, Writer, Writing, json_reply, reads, writes
from livecart.catalog.records import audit, hosts, tokens
from livecart.catalog.service import CatalogService
from livecart.errors import NotFound

Host = Annotated[
    str,
    Path(
        max_length=255,
        description="`shop.example.com`, `host:port`, or `*.example.com` for all below.",
        examples=["shop.example.com"],
    ),
]


def add_hosts(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/hosts`."""

    @router.get("/hosts", response_model=HostsAnswer, **reads())
    def list_hosts() -> Response:
        """Hosts that purchase links may lead to."""
        with service.store.read() as session:
            return json_reply({"hosts": hosts.allowed(session)})

    @router.put("/hosts/{host}", response_model=HostsAnswer, **writes("admin"))
    def allow_host(host: Host, caller: Writing) -> Response:
        """Allow links to a host. The archive's own list (`allowed_hosts`) should be kept alike."""

        def allow(session: Session) -> Response:
            hosts.allow(session, host)
            return json_reply({"hosts": hosts.allowed(session)})

        return writer.run(caller, allow)

    @router.delete("/hosts/{host}", status_code=204, response_model=None, **writes("admin"))
    def forbid_host(host: Host, caller: Writing) -> Response:
        """Allow links to it no more: cards with such links are no longer shown."""

        def forbid(session: Session) -> Response:
            if not hosts.forbid(session, host):
                raise NotFound(f"{host!r} is not on the list of link hosts")
            return Response(status_code=204)

        return writer.run(caller, forbid)


def add_tokens(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/tokens` and `/audit`."""
    store = service.store

    @router.get("/tokens", response_model=TokensAnswer, **reads("admin"))
    def list_tokens() -> Response:
        """All tokens ever issued, without what they are."""
        with store.read() as session:
            return json_reply({"tokens": tokens.every(session)})

    @router.post("/tokens", status_code=201, response_model=IssuedAnswer, **writes("admin"))
    def issue_token(body: TokenBody, caller: Writing) -> Response:
        """Issue a token. Its text is shown this once, so an Idempotency-Key is refused: nothing could keep it."""
        if caller.idempotency_key is not None:
            raise Refused(422, "bad_request", "Idempotency-Key: a token is shown once and kept nowhere; send no key")

        def issue(session: Session) -> Response:
            token, info = tokens.issue(session, body.name, body.role, lifetime_s=body.lifetime_s)
            return json_reply({"token": token, "info": info}, 201)

        return writer.run(caller, issue)

    @router.delete("/tokens/{token_id}", status_code=204, response_model=None, **writes("admin"))
    def revoke_token(token_id: IdPath, caller: Writing) -> Response:
        """Make a token void: here at once, in other processes within seconds."""

        def revoke(session: Session) -> Response:
            tokens.revoke(session, token_id)
            return Response(status_code=204)

        return writer.run(caller, revoke)

    @router.get("/audit", response_model=AuditPage, **reads("admin"))
    def list_audit(
        subject: Annotated[str | None, Query(max_length=16, description="product, photo, room, host, token, …")] = None,
        name: Annotated[str | None, Query(max_length=255, description="Whose: a sku, a room's name, …")] = None,
        who: Annotated[str | None, Query(max_length=128, description="By whom.")] = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """Who changed what, newest first."""
        with store.read() as session:
            found = audit.latest(session, subject=subject, name=name, who=who, before_id=cursor, limit=limit)
        return json_reply({"entries": found, "next_cursor": found[-1].id if len(found) == limit else None})
