"""JSON that people edit: duplicate keys are errors, and a key's line can be named in a message."""

import json
import re
from collections.abc import Callable
from typing import Any

#: Every string, so that a colon inside a value is never taken for the one behind a key; and the braces.
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|[{}]')


class DuplicateKeyError(ValueError):
    """An object names one key twice; plain ``json`` would silently keep the last."""

    def __init__(self, key: str) -> None:
        super().__init__(f"key {key!r} stands twice")
        self.key = key


class NotAnObjectError(ValueError):
    """JSON of another type; ``found`` is its name in Python."""

    def __init__(self, found: str) -> None:
        super().__init__(f"expected a JSON object, found {found}")
        self.found = found


def parse_object(text: str, *, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        json.JSONDecodeError: not JSON (``NaN`` and ``Infinity`` are not either).
        DuplicateKeyError: a key stands twice in one object.
        NotAnObjectError: JSON, but not an object.
        ValueError: a number of too many digits, or too large for ``parse_float``.
        RecursionError: nested too deep.
    """

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                raise DuplicateKeyError(key)
            result[key] = value
        return result

    def no_constant(name: str) -> Any:
        raise json.JSONDecodeError(f"{name} is not JSON", text, text.find(name))

    try:
        data = json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constant, parse_float=parse_float)
    except ArithmeticError as error:
        raise ValueError("a number is too large") from error
    if not isinstance(data, dict):
        raise NotAnObjectError(type(data).__name__)
    return data


def line_of_duplicate(text: str, key: str) -> int:
    """1-based line where ``key`` stands in one object for the second time; 1 if it never does."""
    seen: list[set[str]] = [set()]
    for match in _TOKEN.finditer(text):
        if match[0] == "{":
            seen.append(set())
        elif match[0] == "}":
            seen.pop()
        elif match[2]:
            name = json.loads(match[1])
            if name == key and name in seen[-1]:
                return text.count("\n", 0, match.start()) + 1
            seen[-1].add(name)
    return 1


def line_of_key(text: str, key: str, *, occurrence: int = 1) -> int:
    """1-based line of the ``occurrence``-th ``"key":`` at any depth; 1 if there is none."""
    for match in _TOKEN.finditer(text):
        if match[2] and json.loads(match[1]) == key:
            occurrence -= 1
            if occurrence == 0:
                return text.count("\n", 0, match.start()) + 1
    return 1
