"""Everything that goes wrong on purpose, with the message that the operator reads.

LivecartError
├── SettingsError         a setting, a file or an argument that cannot be used; names it, says what to do
├── StreamError           the stream cannot be opened, read or decoded; the reader reconnects
├── RecognizerError       the recogniser refused or failed this frame
│   └── RecognizerBusy    it may well answer in a moment: queue full, restarting, not reachable
├── BusError              events cannot be published or read now
└── CatalogError          the catalog's store, its files, its feeds, its snapshots
    ├── StoreUnavailable  the database does not answer now
    ├── NotFound          no product, room, photo, ... of that name
    ├── Conflict          somebody else changed it first; holds both values
    ├── InvalidValue      a value that the catalog does not take; names the field
    ├── FeedError         a feed or a file that cannot be read, or that the guard refused
    └── PublishError      no snapshot could be built; the old one stays
"""

from __future__ import annotations

from typing import Any


class LivecartError(Exception):
    """Base of all: its text is one sentence for the person who runs livecart."""


class SettingsError(LivecartError):
    """A setting that cannot be used."""


class StreamError(LivecartError):
    """A stream that cannot be opened, read or decoded."""


class RecognizerError(LivecartError):
    """A frame that the recogniser did not answer, and would not answer if asked again."""


class RecognizerBusy(RecognizerError):
    """The recogniser did not answer now; the same frame may be sent again while it is fresh."""


class BusError(LivecartError):
    """The event bus is not to be had now."""


class CatalogError(LivecartError):
    """What the catalog could not do."""


class StoreUnavailable(CatalogError):
    """The database does not answer now. Nothing was saved, unless the text says that it may have been."""


class NotFound(CatalogError):
    """Nothing of that name is in the catalog."""


class Conflict(CatalogError):
    """Somebody else was first.

    Attributes:
        theirs: what stands there now, as JSON values, its `version` among them; None where it was removed.
        yours: what was to be written, as JSON values.
    """

    def __init__(self, message: str, *, theirs: dict[str, Any] | None, yours: dict[str, Any]) -> None:
        super().__init__(message)
        self.theirs = theirs
        self.yours = yours


class InvalidValue(CatalogError):
    """A value that the catalog does not take.

    Attributes:
        field: whose value it is.
        where: of a file, the line or row, "" elsewhere.
    """

    def __init__(self, field: str, reason: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {field}: {reason}" if where else f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.where = where


class FeedError(CatalogError):
    """A feed or a file that cannot be read, or whose changes are not to be trusted."""


class PublishError(CatalogError):
    """No snapshot could be built; the one before it stays published."""
