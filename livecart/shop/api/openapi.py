"""Answers of operations, and the OpenAPI that describes them: both from one type.

An operation returns `Json[Product]`: msgspec writes its bytes from the product, and the schema from the type.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from fastapi import APIRouter, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from msgspec import UNSET, Meta, UnsetType

T = TypeVar("T")
_ABOUT = (
    "Products, photos, rooms, stock, cards, figures, reviews. Every request shows `Authorization: Bearer lc_…`; "
    "`x-role` says which role an operation needs, `x-most-bytes` how large its body may be. docs/api.md has the rest."
)
_COMPONENTS = "#/components/schemas/{name}"


class Json(Response, Generic[T]):
    """`content`, by msgspec, as JSON."""

    media_type = "application/json"

    def __init__(self, content: T, status: int = 200, **headers: str) -> None:
        super().__init__(msgspec.json.encode(content), status, headers)

    @classmethod
    def versioned(cls, content: T, version: int, status: int = 200, **headers: str) -> Json[T]:
        """The same with its version as ETag."""
        return cls(content, status, ETag=f'"{version}"', **headers)


class ErrorDetail(msgspec.Struct):
    """An error, for programs and for people."""

    code: Annotated[str, Meta(description="For programs.", examples=["not_found"])]
    message: Annotated[str, Meta(description="For people.", examples=["no product has sku '1001'"])]
    field: Annotated[str | UnsetType, Meta(description="Of `invalid_value`: whose value it is.")] = UNSET
    reason: Annotated[str | UnsetType, Meta(description="Why exactly, for programs.", examples=["no_product"])] = UNSET
    params: Annotated[dict[str, str | int | float] | UnsetType, Meta(description="The reason's.")] = UNSET


class ErrorAnswer(msgspec.Struct):
    """Every error, in the form that the recogniser uses too."""

    schema: Literal[1]
    error: ErrorDetail


class ConflictDetail(ErrorDetail, kw_only=True):
    """Both values: merge them, and send If-Match with the version of `theirs`."""

    theirs: Annotated[dict[str, Any] | None, Meta(description="What stands there now; null: it is gone.")]
    yours: Annotated[dict[str, Any], Meta(description="What was to be written.")]


class ConflictAnswer(msgspec.Struct):
    """Somebody else was first."""

    schema: Literal[1]
    error: ConflictDetail


def openapi_of(router: APIRouter, parts: Iterable[APIRouter]) -> dict[str, Any]:
    """Describe all operations of a router, which stand in its parts."""
    made = get_openapi(title="livecart catalog", version="1", description=_ABOUT, routes=router.routes)
    answers: list[tuple[dict[str, Any], Any]] = []
    for route in (route for part in parts for route in part.routes if isinstance(route, APIRoute)):
        kind = get_type_hints(route.endpoint)["return"]
        for method in route.methods or ():
            responses = made["paths"][router.prefix + route.path_format][method.lower()]["responses"]
            for status, response in responses.items():
                if int(status) >= 400:
                    answers.append((response, ConflictAnswer if status == "409" else ErrorAnswer))
                elif get_origin(kind) is Json:
                    answers.append((response, *get_args(kind)))
    refs, components = msgspec.json.schema_components([kind for _, kind in answers], ref_template=_COMPONENTS)
    for (response, _), ref in zip(answers, refs, strict=True):
        response["content"] = {"application/json": {"schema": ref}}
    made["components"].setdefault("schemas", {}).update({name: _as_sent(part) for name, part in components.items()})
    return made


def _as_sent(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of what msgspec writes: exactly these fields, also those that are at their defaults."""
    fields = schema.get("properties", {})
    always = [name for name, field in fields.items() if name in schema["required"] or "default" in field]
    for field in fields.values():
        field.pop("default", None)
    return {**schema, "required": always, "additionalProperties": False} if fields else schema
