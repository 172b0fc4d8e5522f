"""JSON that people write: a key that stands twice is a mistake, and numbers keep their digits."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from livecart.errors import FeedError


def parse_object(text: str, where: str) -> dict[str, Any]:
    """A JSON object, its fractions as decimals.

    Args:
        text: the file's.
        where: the file's name, for messages.

    Raises:
        FeedError: naming the line: not JSON, no object, a key twice, NaN or Infinity.
    """

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise FeedError(f"{where}: key {key!r} stands twice in one object")
            found[key] = value
        return found

    def no_constant(name: str) -> Any:
        raise FeedError(f"{where}: {name} is not JSON")

    try:
        data = json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constant, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise FeedError(f"{where}: line {error.lineno}: not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise FeedError(f"{where}: cannot be read as JSON: {error}") from error
    if not isinstance(data, dict):
        raise FeedError(f"{where}: expected a JSON object, found {type(data).__name__}")
    return data
