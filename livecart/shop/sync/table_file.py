"""A feed that is a CSV or Excel file which somebody replaces from time to time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from livecart.shop.errors import FeedError
from livecart.shop.import_export.spreadsheet import MOST_BYTES, open_table
from livecart.shop.sync.source import NO_VALIDATORS, Feed, Page, Validators, in_pages


class TableFeed(Feed, frozen=True, kw_only=True, tag="table"):
    """A feed of kind "table": a table that somebody replaces from time to time."""

    path: str

    def source(self) -> TableFileSource:
        return TableFileSource(self.name, Path(self.path))


@dataclass(frozen=True, slots=True)
class TableFileSource:
    """`path` names a table as `spreadsheet.open_table` reads it."""

    name: str
    path: Path

    def pages(self, cursor: str | None, validators: Validators) -> Iterator[Page]:
        """A cursor holds how many rows were kept, and of which state of the file."""
        try:
            stat = self.path.stat()
            state = f"{stat.st_mtime_ns}-{stat.st_size}"
            if state == validators.etag:
                yield Page([], unchanged=True)
                return
            if stat.st_size > MOST_BYTES:
                raise FeedError("table_too_large", where=str(self.path), most_bytes=MOST_BYTES)
            data = self.path.read_bytes()
        except OSError as error:
            raise FeedError("unreadable", where=str(self.path), cause=str(error.strerror)) from error
        kept = 0
        if cursor is not None:
            count, _, of_state = cursor.partition("@")
            if of_state != state:
                raise FeedError("table_replaced", where=str(self.path))
            kept = int(count)
        table = open_table(data, self.path.name)
        entries = (row for _, row in table.products())
        # A sale begins and ends without a new file.
        read_as = NO_VALIDATORS if table.has_sale_dates else Validators(etag=state)
        yield from in_pages(entries, kept, lambda: read_as, lambda count: f"{count}@{state}")

    def close(self) -> None:
        """A file is read at once."""
