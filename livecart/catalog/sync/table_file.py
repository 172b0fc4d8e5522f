"""A feed that is a CSV or Excel file which somebody replaces from time to time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from livecart.catalog.sync.source import Page, Validators
from livecart.catalog.transfer.spreadsheet import MOST_BYTES, read_table
from livecart.catalog.values import ProductPatch
from livecart.errors import FeedError

_PER_PAGE = 1000


@dataclass(frozen=True, slots=True)
class TableFileSource:
    """`path` ends in .csv or .xlsx; its columns are as `spreadsheet.read_table` knows them."""

    name: str
    path: Path

    def pages(self, cursor: str | None, validators: Validators) -> Iterator[Page]:
        """See `Source.pages`. A cursor holds how many rows were kept, and of which state of the file."""
        try:
            stat = self.path.stat()
            state = f"{stat.st_mtime_ns}-{stat.st_size}"
            if state == validators.etag:
                yield Page([], unchanged=True)
                return
            if stat.st_size > MOST_BYTES:
                raise FeedError(f"{self.path}: has more than {MOST_BYTES} bytes")
            data = self.path.read_bytes()
        except OSError as error:
            raise FeedError(f"{self.path}: cannot be read: {error.strerror}") from error
        kept = 0
        if cursor is not None:
            count, _, of_state = cursor.partition("@")
            if of_state != state:
                raise FeedError(f"{self.path}: was replaced while it was read; it is read anew")
            kept = int(count)
        yield from self._pages(data, state, kept)

    def _pages(self, data: bytes, state: str, kept: int) -> Iterator[Page]:
        patches: list[ProductPatch] = []
        bad: list[str] = []
        number = 0
        for number, (_, row) in enumerate(read_table(data, self.path.name), 1):
            if number <= kept:
                continue
            if isinstance(row, ProductPatch):
                patches.append(row)
            else:
                bad.append(str(row))
            if len(patches) + len(bad) == _PER_PAGE:
                yield Page(patches, f"{number}@{state}", bad, Validators(etag=state))
                patches, bad = [], []
        yield Page(patches, None, bad, Validators(etag=state))
