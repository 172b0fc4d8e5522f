"""Hosts of links, tokens, and the record of changes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from livecart.catalog.api.answers.base import Answer, Seconds


class HostsAnswer(Answer):
    """Hosts that links may lead to."""

    hosts: Annotated[list[str], Field(examples=[["shop.example.com", "*.shop.example.cn"]])]


class TokenAnswer(Answer):
    """A token, without what it is."""

    id: Annotated[int, Field(examples=[3])]
    name: Annotated[str, Field(examples=["till"])]
    role: Literal["read", "edit", "admin"]
    created_at_s: Seconds
    expires_at_s: float | None
    revoked_at_s: float | None


class TokensAnswer(Answer):
    """All tokens ever issued."""

    tokens: list[TokenAnswer]


class IssuedAnswer(Answer):
    """A new token. `token` is shown this once: only its hash is kept."""

    token: Annotated[str, Field(examples=["lc_…"])]
    info: TokenAnswer


class AuditAnswer(Answer):
    """One change: who, when, and the fields that differ."""

    id: Annotated[int, Field(examples=[12])]
    at_s: Seconds
    who: Annotated[str, Field(examples=["till#3"])]
    action: Annotated[str, Field(examples=["update"])]
    subject: Annotated[str, Field(examples=["product"])]
    name: Annotated[str, Field(examples=["1001"])]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditPage(Answer):
    """The newest changes first."""

    entries: list[AuditAnswer]
    next_cursor: Annotated[int | None, Field(examples=[12])]
