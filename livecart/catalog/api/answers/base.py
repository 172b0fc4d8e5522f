"""What all answers have in common: kinds of values, and errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Money = Annotated[str, Field(description="An exact decimal, as it was written.", examples=["12.90"])]
Seconds = Annotated[float, Field(description="UNIX time in seconds.", examples=[1_760_000_000.0])]
Digest = Annotated[str, Field(description="SHA-256 of the file, in hex.", examples=["e3b0c44298fc1c14" * 4])]
Sku = Annotated[str, Field(examples=["1001"])]
Text = Annotated[str, Field(examples=["好欢螺螺蛳粉 300g"])]
Count = Annotated[int, Field(ge=0, examples=[1])]
RoomName = Annotated[str, Field(examples=["room-1"])]
Link = Annotated[str, Field(examples=["https://shop.example.com/item/1001"])]


class Answer(BaseModel):
    """Exactly these fields."""

    model_config = ConfigDict(extra="forbid")


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: Annotated[str, Field(description="For programs.", examples=["not_found"])]
    message: Annotated[str, Field(description="For people.", examples=["no product has sku '1001'"])]
    field: Annotated[str | None, Field(description="Of `invalid_value`: whose value it is.")] = None


class ErrorAnswer(Answer):
    """Every error, in the form that the recogniser uses too."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    error: ErrorDetail


class ConflictDetail(ErrorDetail):
    """Both values: merge them, and send If-Match with the version of `theirs`."""

    theirs: Annotated[dict[str, Any] | None, Field(description="What stands there now; null: it is gone.")]
    yours: Annotated[dict[str, Any], Field(description="What was to be written.")]


class ConflictAnswer(Answer):
    """Somebody else was first."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    error: ConflictDetail
