"""Errors of the catalog: a stable reason with its parameters, said in Chinese and English by the table `errors.toml`.

CatalogError
├── StoreUnavailable  the database does not answer now
├── NotFound          no product, room, photo, ... of that name
├── Conflict          somebody else changed it first; holds both values
├── InvalidValue      a value that the catalog does not take; names the field
├── FeedError         a feed or a file that cannot be read, or that the guard refused
└── PublishError      no snapshot could be built; the old one stays
"""

import tomllib
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from livecart.core.errors import LivecartError

Param: TypeAlias = str | int | float

#: Kind of error: reason: (Chinese, English), both with the same parameters.
TABLE: dict[str, dict[str, tuple[str, str]]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
_TEXTS = {reason: texts for reasons in TABLE.values() for reason, texts in reasons.items()}


class CatalogError(LivecartError):
    """The catalog could not do something.

    Attributes:
        reason: of `TABLE`; stable, for programs.
        params: what fills its texts.
        where: the file, line, row or entry it was found at; "" elsewhere.
    """

    #: `error.code` of the API's answers, and the part of `TABLE` that holds its reasons.
    kind: ClassVar[str] = "unavailable"

    def __init__(self, reason: str, /, *, where: str = "", **params: Param) -> None:
        super().__init__(reason)
        self.reason = reason
        self.where = where
        self.params = params

    def text(self, language: str = "en") -> str:
        """The reason as a sentence, without the place and the field."""
        chinese, english = _TEXTS[self.reason]
        return (chinese if language == "zh" else english).format(**self.params)

    def __str__(self) -> str:
        return f"{self.where}: {self.text()}" if self.where else self.text()


class StoreUnavailable(CatalogError):
    """The database does not answer now. Nothing was saved, unless the reason is `store_lost_in_commit`."""


class NotFound(CatalogError):
    """Nothing of that name is in the catalog."""

    kind = "not_found"


class Conflict(CatalogError):
    """Somebody else was first.

    Attributes:
        theirs: what stands there now, as JSON values, its `version` among them; None where it was removed.
        yours: what was to be written, as JSON values.
    """

    kind = "conflict"

    def __init__(
        self, reason: str, /, *, theirs: dict[str, Any] | None, yours: dict[str, Any], **params: Param
    ) -> None:
        super().__init__(reason, **params)  # type: ignore[arg-type]  # no parameter is named `where`
        self.theirs = theirs
        self.yours = yours


class InvalidValue(CatalogError):
    """A value that the catalog does not take; `field` says whose it is, `sku` of which entry, if that is known."""

    kind = "invalid_value"

    def __init__(self, field: str, reason: str, /, *, where: str = "", **params: Param) -> None:
        super().__init__(reason, where=where, **params)
        self.field = field
        self.sku = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: {self.text()}" if self.where else f"{self.field}: {self.text()}"


class FeedError(CatalogError):
    """A feed or a file that cannot be read, or whose changes are not to be trusted."""

    kind = "bad_file"


class PublishError(CatalogError):
    """No snapshot could be built; the one before it stays published."""
